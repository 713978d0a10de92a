"""The files that `lw_coder init` writes, fitted to the project."""
