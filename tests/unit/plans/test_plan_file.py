from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from lw_coder.foundation.errors import PlanError
from lw_coder.plans.plan_file import STATUSES, read_plan
from tests.support.patience import within_cpu_time
from tests.support.plan_files import KEYS, SHA, text, written


def refused(path: Path) -> PlanError:
    """Read a plan that is wrong: the error is one line, names the file and has a remedy of one line."""
    with pytest.raises(PlanError) as caught:
        read_plan(path)
    error = caught.value
    assert "\n" not in error.message + error.remedy
    assert str(path) in error.message
    assert error.remedy
    return error


def test_reads_a_plan(tmp_path: Path) -> None:
    path = written(tmp_path, text("\n# Do it\n\n---\nmore\n", evaluation_notes="\n  - fast\n  - small"))
    plan = read_plan(path)
    found = plan.metadata
    assert (found.plan_id, found.git_sha, found.status) == ("a-plan", SHA, "ready")
    assert found.evaluation_notes == ("fast", "small")
    assert found.body == "# Do it\n\n---\nmore"
    assert (found.linear_issue_id, found.created_by, found.created_at, found.notes) == (None,) * 4
    assert (plan.path, plan.text) == (path, path.read_text(encoding="utf-8"))


def test_optional_keys_stay_text(tmp_path: Path) -> None:
    content = text(created_at="2025-01-02", linear_issue_id="42", created_by="Ann", notes="yes")
    found = read_plan(written(tmp_path, content)).metadata
    assert (found.created_at, found.linear_issue_id, found.created_by) == ("2025-01-02", "42", "Ann")
    assert found.notes == "yes"


@pytest.mark.parametrize("status", STATUSES)
def test_each_status(tmp_path: Path, status: str) -> None:
    assert read_plan(written(tmp_path, text(status=status))).metadata.status == status


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + text().encode(),
        text().replace("\n", "\r\n").encode(),
        text().replace("\n", "\r").encode(),
        text().encode()[:-1],
    ],
    ids=["bom", "crlf", "cr", "no last line feed"],
)
def test_odd_line_ends_and_bom(tmp_path: Path, content: bytes) -> None:
    assert read_plan(written(tmp_path, content)).metadata.body == "# Do it"


@pytest.mark.parametrize("sha", [SHA, "1" * 40, "1" * 39 + "e", SHA + "0123456789abcdef01234567"])
def test_full_shas(tmp_path: Path, sha: str) -> None:
    assert read_plan(written(tmp_path, text(git_sha=sha))).metadata.git_sha == sha


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("# Just Markdown\n", "has no front matter"),
        ("", "has no front matter"),
        ("\n" + text(), "has no front matter: it must begin in line 1"),
        ("---\nplan_id: a-plan\n", "no line of --- ends it"),
        ("plan_id: a-plan\n---\n", "no line of --- begins it"),
        ("---\n---\nbody\n", "plan_id: is missing"),
        ("---\n- a\n- b\n---\nbody\n", "'- a' is neither a key with a colon nor an item of a list"),
        ("---\njust text\n---\nbody\n", "'just text' is neither a key with a colon nor an item of a list"),
        (text(plan_id="a-plan\nplan_id: b-plan"), "plan_id: appears twice"),
        (text(priority="high"), "priority: unknown key"),
        (text(**{'"a\\nb"': "x"}), "a\\nb: unknown key"),
        (text("\n \n"), "there is no plan below"),
        (text(notes="[a]"), "notes: is not a string"),
        (text(status="finished"), "status: 'finished' is unknown"),
        (text(status="[draft]"), "status: '[draft]' is unknown"),
        (text(evaluation_notes="good"), "evaluation_notes: is not a list of strings"),
        (
            text(evaluation_notes="[[a]]"),
            'evaluation_notes, item 1: YAML reads the "[" as the start of a list',
        ),
        (text(evaluation_notes=""), "evaluation_notes: is not a list of strings"),
        (text(notes="a\x00b"), "contains '\\x00', which YAML does not allow"),
    ],
)
def test_what_breaks_a_rule(tmp_path: Path, content: str, problem: str) -> None:
    assert problem in refused(written(tmp_path, content)).message


MISSING = {
    "plan_id": "add the line plan_id: my-plan",
    "git_sha": "write the 40 lower-case hex digits that `git rev-parse HEAD` prints",
    "status": "add the line status: draft",
    "evaluation_notes": "add the line evaluation_notes: []",
}


@pytest.mark.parametrize("key", KEYS)
def test_each_required_key(tmp_path: Path, key: str) -> None:
    error = refused(written(tmp_path, text(**{key: None}), "my plan.md"))
    assert f"{key}: is missing" in error.message
    assert error.remedy.startswith(MISSING[key])


BAD_IDS = {
    "ab": "it has 2 characters, fewer than 3",
    "x" * 101: "it has 101 characters, more than 100",
    "a..b": "it has two dots in a row",
    "a b": "it contains ' '",
    "a/b": "it contains '/'",
    "'../x'": "it contains '/'; it has two dots in a row; it begins or ends with a dot",
    "[a]": "it is not a word",
    "caf\u00e9": "it contains '\u00e9'",
    ".plan": "it begins or ends with a dot",
    "plan.": "it begins or ends with a dot",
    "plan.lock": "it ends in .lock",
}


@pytest.mark.parametrize("plan_id", BAD_IDS)
def test_bad_ids(tmp_path: Path, plan_id: str) -> None:
    error = refused(written(tmp_path, text(plan_id=plan_id)))
    assert f"{tmp_path}/" in error.message
    assert error.message.endswith(f"is not a valid id: {BAD_IDS[plan_id]}")
    assert "3 to 100" in error.remedy
    assert len(error.message) < len(str(tmp_path)) + 200


@pytest.mark.parametrize("sha", [SHA[:12], SHA.upper(), SHA + "0", "g" * 40, "HEAD", "[1]", f"'{SHA} '"])
def test_bad_shas(tmp_path: Path, sha: str) -> None:
    error = refused(written(tmp_path, text(git_sha=sha)))
    assert "git_sha:" in error.message
    assert "git rev-parse HEAD" in error.remedy


@pytest.mark.parametrize("lines", [0, 3])
def test_the_line_of_a_yaml_error(tmp_path: Path, lines: int) -> None:
    content = "---\n" + "# a comment\n" * lines + "status: [draft\nplan_id: x\n---\nbody\n"
    with_tab = "---\n" + "# a comment\n" * lines + "\tplan_id: x\n---\nbody\n"
    assert any(f", line {lines + 2}: status: '[draft' is" in line for line in all_of(tmp_path, content))
    assert any(f", line {lines + 2}: is indented with a tab" in line for line in all_of(tmp_path, with_tab))


def all_of(folder: Path, content: str) -> list[str]:
    """Return each problem of a plan as it would be shown."""
    return [f"{part.message}; {part.remedy}" for part in refused(written(folder, content)).parts]


def test_all_problems_at_once(tmp_path: Path) -> None:
    lines = all_of(tmp_path, "---\npriority: high\ngitsha: x\nstatus: finished\n---\n")
    known = ", ".join((*KEYS, "checks", "depends_on", "linear_issue_id", "created_by", "created_at", "notes"))
    assert [line.removeprefix(f"{tmp_path}/plan.md") for line in lines] == [
        f", line 2: priority: unknown key; remove it; known keys: {known}",
        ", line 3: gitsha: unknown key; write git_sha instead, or remove it",
        f", line 4: status: 'finished' is unknown; use one of {', '.join(STATUSES)}",
        ": plan_id: is missing; add the line plan_id: plan",
        f": git_sha: is missing; {MISSING['git_sha']} (64 in a sha256 repository)",
        ": evaluation_notes: is missing; add the line evaluation_notes: []",
        ": there is no plan below the front matter; write what to do, in Markdown",
    ]


@pytest.mark.parametrize(
    "key", ["evaluation-notes", "evaluationNotes", "Evaluation Notes", "evaluation_note"]
)
def test_a_key_that_resembles_one_of_ours(tmp_path: Path, key: str) -> None:
    lines = all_of(tmp_path, text(**{key: "[]"}))
    assert f"line 6: {key}: unknown key; write evaluation_notes instead" in "".join(lines)


def test_errors_of_a_plan_are_picklable(tmp_path: Path) -> None:
    error = refused(written(tmp_path, "---\n---\n"))
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - it was made here
    assert [part.message for part in again.parts] == [part.message for part in error.parts]


def bomb(key: str) -> str:
    anchors = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 40))
    return f"---\na0: &a0 [x]\n{anchors}{key}: *a39\n---\nbody\n"


def inline_bomb(key: str) -> str:
    """The same, with no key of its own: it is the value of a known one."""
    value = "&a0 [x]"
    for number in range(1, 30):
        value = f"&a{number} [{value}, *a{number - 1}, *a{number - 1}]"
    return text(**{key: value})


@pytest.mark.parametrize(
    "content",
    [
        bomb("plan_id"),
        *(inline_bomb(key) for key in (*KEYS, "notes")),
        text(notes="[" * 50_000),
        text(plan_id="&loop [*loop]"),
        text(evaluation_notes="&loop [*loop]"),
        text(notes="x\n" + "".join(f"key{number}: x\n" for number in range(8_000))),
        text(notes="x" * 900_000),
        text(evaluation_notes="\n- [" * 15_000),
        text(status="[", notes="\nx" * 40_000),
        text(status="[", notes=f"\na{' ' * 99_000}"),
        text(status="[", notes="\n" + "\t\n\tx" * 20_000),
        text(evaluation_notes="\n- &a" * 15_000),
        "<!---->" * 100_000 + "x\n---\n" + text(),
        "-" * 500_000,
    ],
    ids=[
        *("bomb", *KEYS, "notes", "deep", "loop", "loop in a list", "many keys", "long", "many broken items"),
        *("many stray lines", "many spaces", "many tabs", "many anchors", "many comments", "many dashes"),
    ],
)
def test_bombs_end_at_once(tmp_path: Path, content: str) -> None:
    path = written(tmp_path, content)
    message = within_cpu_time(60, lambda: refused(path).message)
    assert len(message) < len(str(tmp_path)) + 200


def test_not_utf8(tmp_path: Path) -> None:
    assert "is not UTF-8" in refused(written(tmp_path, text().encode("utf-16"))).message


def test_unreadable(tmp_path: Path) -> None:
    """Root may read any file; a loop of links or a folder, nobody."""
    loop = tmp_path / "loop.md"
    loop.symlink_to(loop)
    assert "cannot be read: Too many levels" in refused(loop).message
    assert "is not a file" in refused(tmp_path).message
    assert "cannot be read: No such file" in refused(tmp_path / "none.md").message
