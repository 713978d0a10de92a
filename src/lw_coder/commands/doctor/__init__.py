"""`lw_coder doctor`: one module for each topic; command.py makes the checks in their order."""
