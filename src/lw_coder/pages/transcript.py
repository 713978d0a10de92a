"""The conversations of a run: the agent's, and each subagent's, from droid's transcripts in its folder."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import groupby

from msgspec import Struct
from msgspec.structs import replace

from lw_coder.foundation.counting import counted
from lw_coder.foundation.errors import GitError
from lw_coder.pages.fields import Fields
from lw_coder.pages.parts import Call, Part, read_line
from lw_coder.pages.run_files import RunFiles
from lw_coder.sessions.droid_events import Lines
from lw_coder.sessions.transcripts import SESSIONS

MOST_SHOWN = 2_000_000  # characters of all conversations, about
MOST_READ = 128 << 20  # bytes of all transcripts
_MOST_CONVERSATIONS = 50
_CHUNK = 4 << 20
_SUFFIX = ".jsonl"
_LONGEST_TITLE = 200


class Conversation(Struct, frozen=True):
    """A conversation of the agent or of a subagent.

    Attributes:
        file: its transcript's path below the run's folder.
        id: droid's id of it.
        title: what droid calls it.
        caller: the conversation and the call that began it; two empty texts for the agent's.
        parts: in their order; a call has its result.
        first: the time of the first part, for the order of conversations.
        subagent: the name of the subagent; empty for the agent.
    """

    file: str
    id: str
    title: str
    caller: tuple[str, str]
    parts: tuple[Part, ...]
    first: str = ""
    subagent: str = ""

    @property
    def errors(self) -> int:
        """How many parts failed."""
        return sum(part.is_error or bool(part.result and part.result.is_error) for part in self.parts)

    @property
    def last_words(self) -> str:
        """The last text that the agent wrote; empty if there is none."""
        return next((part.text for part in reversed(self.parts) if part.kind == "said"), "")


class Transcript(Struct, frozen=True):
    """What a session left of its conversations.

    Attributes:
        conversations: the agent's first, then those of subagents in the order of their beginnings.
        more: how many files were left out.
    """

    conversations: tuple[Conversation, ...]
    more: int

    def called_by(self, conversation: Conversation, call: Call) -> Conversation | None:
        """Return the conversation that a call has begun, if it is here."""
        caller = (conversation.id, call.id)
        return next((other for other in self.conversations if other.caller == caller), None)


def read_transcript(files: RunFiles, most: int = MOST_SHOWN) -> Transcript:
    """Read the transcripts of a run's folder; what is too much is left out in the middle of each.

    Args:
        files: those of the run.
        most: characters of all conversations, about.
    """
    sizes = _sizes(files)
    shown = sorted(sizes[:_MOST_CONVERSATIONS], key=lambda found: found[1])
    read, room, conversations = MOST_READ, most, list[Conversation]()
    for number, (name, size) in enumerate(shown):
        others = len(shown) - number  # this and larger ones
        conversation = _read(files, name, size, read // others, room // others)
        conversations.append(conversation)
        read -= min(size, read // others)
        room -= min(sum(part.size for part in conversation.parts), room // others)
    return Transcript(tuple(_in_order(conversations)), len(sizes) - len(shown))


def _sizes(files: RunFiles) -> list[tuple[str, int]]:
    try:
        names = [name for name in files.folder.files(SESSIONS) if name.endswith(_SUFFIX)]
    except GitError:
        return []
    return list(zip(names, files.folder.sizes(names), strict=True))


def _in_order(conversations: Sequence[Conversation]) -> list[Conversation]:
    calls = {
        (one.id, part.call.id): part.call.subagent for one in conversations for part in one.parts if part.call
    }
    named = [replace(one, subagent=calls.get(one.caller) or _named(one)) for one in conversations]
    return sorted(named, key=lambda one: (bool(one.subagent), one.first))


def _named(conversation: Conversation) -> str:
    """Return a subagent's name if the call that began it is not here."""
    return (conversation.title.partition(":")[0] or "unknown") if any(conversation.caller) else ""


def _read(files: RunFiles, name: str, size: int, most: int, room: int) -> Conversation:
    kept, start = _Kept(room), Fields(None)
    for line in _lines(files, name, size, most, kept):
        found, read = read_line(line, files.redaction)
        if not start and found.text("type") == "session_start":
            start = found
        for part in read:
            kept.add(part)
    parts = tuple(_with_results(kept.parts()))
    caller = (start.text("callingSessionId"), start.text("callingToolUseId"))
    first = next((part.time for part in parts if part.time), "")
    return Conversation(name, start.text("id"), start.text("title")[:_LONGEST_TITLE], caller, parts, first)


def _lines(files: RunFiles, name: str, size: int, most: int, kept: _Kept) -> Iterator[bytes]:
    """Yield the lines of a file; of one that is too long, those at its beginning and at its end."""
    if size <= most:
        yield from _between(files, name, 0, size)
        return
    yield from _between(files, name, 0, most // 2)
    kept.add(Part("gap", f"{size - most:,} bytes of the transcript were not read"))
    after = _between(files, name, size - most // 2, size)
    next(after, None)  # the rest of a line
    yield from after


def _between(files: RunFiles, name: str, start: int, end: int) -> Iterator[bytes]:
    lines = Lines()
    while start < end and (chunk := files.folder.read_part(name, start, min(_CHUNK, end - start))):
        yield from lines.feed(chunk)
        start += len(chunk)
    yield from lines.end()


class _Kept:
    """Keeps the first and the last parts of a conversation.

    Args:
        room: how much of a page they may take.
    """

    def __init__(self, room: int) -> None:
        self._first: list[Part] = []
        self._last: deque[Part] = deque()
        self._room = self._at_end = room // 2
        self._is_full = False
        self._left_out = 0

    def add(self, part: Part) -> None:
        """Add a part; if there is no room, the oldest of the last ones makes it."""
        self._room -= 0 if self._is_full else part.size
        self._is_full = self._is_full or self._room < 0
        if not self._is_full:
            self._first.append(part)
            return
        self._last.append(part)
        self._at_end -= part.size
        while self._at_end < 0 and len(self._last) > 1:
            self._at_end += self._last.popleft().size
            self._left_out += 1

    def parts(self) -> list[Part]:
        """Return what was kept, and what was left out between."""
        left_out = counted(self._left_out, "part is", "parts are")
        gap = [Part("gap", f"{left_out} left out here")] if self._left_out else []
        return [*self._first, *gap, *self._last]


def _with_results(parts: Sequence[Part]) -> Iterator[Part]:
    """Give each call its result, which then does not stand alone; unite what droid itself added."""
    results = {part.answers: part for part in parts if part.kind == "result" and part.answers}
    calls = {part.call.id for part in parts if part.call}
    for is_added, group in groupby(parts, lambda part: part.kind == "added"):
        if is_added:
            first, *others = group
            yield replace(first, text="\n\n".join([first.text, *(other.text for other in others)]))
            continue
        for part in group:
            if part.call:
                yield replace(part, result=results.get(part.call.id))
            elif part.kind != "result" or part.answers not in calls:
                yield part
