"""Prompt generation: the only package that imports DSPy. Import it late: DSPy takes a second to load."""

import os

# Read at the first call of a language model; without it a price list is fetched from the network.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
