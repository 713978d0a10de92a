"""The command that is tested."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Another installation's, such as a wheel's, where that is what is tested.
LW_CODER = os.environ.get("LW_CODER", str(Path(sys.executable).with_name("lw_coder")))
