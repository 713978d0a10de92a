"""Notice from droid's transcripts that its model can never finish an answer.

If an answer ends at the token limit, droid asks the model to continue, for ever.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from lw_coder.sessions.transcripts import TYPED, Added, TranscriptReader

MOST = 3  # in a row; a long answer may well need a second part
WHY = (
    f"{MOST} answers of its model in a row were cut off at the token limit; raise max_output_tokens in"
    " .lw_coder/config.toml, or set another OPENROUTER_MODEL"
)

# What droid 0.215.0 adds to a conversation in that case.
_CUT_OFF = re.compile(
    rb'"role":"user","content":\[\{"type":"text","text":"Your previous response ended before completion'
    rb'(?=.*"visibility":"llm_only")'
)
_TOOL = re.compile(rb'"type":"tool_use"')


class CutOffAnswers:
    """Counts the answers in a row that were cut off at the end of each transcript below a run's folder.

    What was there before, or comes with a new file, is history: it does not complete a row.
    """

    def __init__(self, run_folder: Path) -> None:
        self._reader = TranscriptReader(run_folder)
        self._rows: Counter[str] = Counter()

    def are_too_many(self) -> bool:
        """Read on, and tell whether a conversation ends with too many of them."""
        for added in self._reader.added():
            self._rows[added.name] = self._row(added)
        return any(row >= MOST for row in self._rows.values())

    def _row(self, added: Added) -> int:
        is_history = added.is_new or added.is_rewritten
        row = 0 if is_history else self._rows[added.name]
        for line in added.lines:
            if _CUT_OFF.search(line):
                row += 1
            elif _TOOL.search(line) or TYPED.search(line):
                row = 0
        return min(row, MOST - 1) if is_history else row
