"""How long lw_coder takes, beside what a person would type without it: `nox -s bench`."""
