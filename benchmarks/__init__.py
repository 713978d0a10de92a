"""How long lw_coder takes, compared with what a person would type without it: `nox -s bench`."""
