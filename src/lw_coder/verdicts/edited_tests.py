"""What was done to the text of a test: tests and assertions removed, tests skipped, linters silenced."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

_TESTS = re.compile(
    r"^\s*(?:async\s+)?def test|^\s*func (?:\(.*\) ?)?(?:Test|Benchmark|Fuzz|Example)\w*\("
    r"|^\s*fun `?\w.*\(\)|\b(?:it|test|specify|scenario)(?:\.each\b.*)?\s*\(?\s*['\"`]"
    r"|@(?:Test|ParameterizedTest)\b|#\[(?:\w+::)?test\b|\[(?:Fact|Theory|Test|TestMethod|TestCase)\b"
    r"|^\s*(?:public )?function test|\bTEST(?:_F|_P)?\(|^\s*Scenario:"
)
_ASSERTIONS = re.compile(
    r"\bassert\w*\b|\bexpect\w*\s*[(!]|\.should\b|\brequire\.\w+\(|\bt\.(?:Error|Fatal|Fail)\w*\("
    r"|\bEXPECT_\w+|\bASSERT_\w+|\bXCTAssert\w*|\bpytest\.raises\b|\bself\.fail\(|\bverify\(|^\s*>>> "
    r"|^\s*(?:Then|And) "
)
_SKIPS = re.compile(
    r"\bmark\.(?:skip|skipif|xfail)\b|\bpytest\.(?:skip|xfail|importorskip|exit)\("
    r"|@(?:unittest\.)?(?:skip|skipIf|skipUnless|expectedFailure)\b|\bskipTest\(|\bSkipTest\b"
    r"|\bcollect_ignore\b|\b__test__\s*=\s*False|\bpytest_collection_modifyitems\b"
    r"|\b(?:it|test|describe|context|suite)\.(?:skip|todo|only|failing|fixme|skipIf|runIf)\b"
    r"|\b(?:xit|xtest|xdescribe|fit|fdescribe)\(|@(?:Disabled|Ignore)\b|\[Ignore\b|\bSkip\s*=\s*\""
    r"|\bt\.Skip\w*\(|//\s*go:build ignore|\+build ignore|#\[ignore\b|\bmarkTest(?:Skipped|Incomplete)\("
    r"|\bXCTSkip\b|@tag :skip|\bpending\b\s*['\"(]|^\s*skip\b\s*['\"(]|\bGTEST_SKIP\b"
)
_SILENCERS = re.compile(
    r"#\s*(?:noqa\b|type:\s*ignore|pylint:\s*disable|pyright:\s*ignore|mypy:\s*ignore|pragma:\s*no cover"
    r"|nosec\b|ruff:\s*noqa|fmt:\s*off)|eslint-disable|@ts-(?:ignore|expect-error|nocheck)|biome-ignore"
    r"|istanbul ignore|[cv]8 ignore|#!?\[allow\(|//\s*nolint|@SuppressWarnings|rubocop:disable"
    r"|phpstan-ignore|NOLINT|shellcheck disable"
)


class _Lines(Counter[str]):
    """The lines of a text, each with how often it occurs."""

    def __init__(self, text: str) -> None:
        super().__init__(line.strip() for line in text.split("\n") if line.strip())

    def matching(self, pattern: re.Pattern[str]) -> int:
        return sum(count for line, count in self.items() if pattern.search(line))


def test_changes(old: str, new: str) -> Iterator[str]:
    """Say what was done to a test that existed before; the most suspicious first."""
    before, after = _Lines(old), _Lines(new)
    added, removed = _Lines(""), _Lines("")
    added.update(after - before)
    removed.update(before - after)
    if (skips := added.matching(_SKIPS) - removed.matching(_SKIPS)) > 0:
        yield f"{_number(skips, 'skip')} added"
    if (tests := before.matching(_TESTS) - after.matching(_TESTS)) > 0:
        yield f"{_number(tests, 'test')} removed"
    assertions = before.matching(_ASSERTIONS) - after.matching(_ASSERTIONS)
    if assertions > 0:
        yield f"{_number(assertions, 'assertion')} removed"
    if (changed := removed.matching(_ASSERTIONS) - max(assertions, 0)) > 0:
        yield f"{_number(changed, 'assertion')} changed"
    yield f"{_number(removed.total(), 'line')} removed, {added.total()} added"


def skips_in(text: str) -> int:
    """Count the lines of a new test that skip it."""
    return _Lines(text).matching(_SKIPS)


def silencers_added(old: str, new: str) -> int:
    """Count the comments that a change adds to make linters or type checkers ignore something."""
    return _Lines(new).matching(_SILENCERS) - _Lines(old).matching(_SILENCERS)


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
