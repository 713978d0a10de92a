from __future__ import annotations

from pathlib import Path

import pytest

from lw_coder.foundation.errors import PlanError
from lw_coder.plans.plan_file import STATUSES, find_plan, plans_with_id, read_plan, require_unique_id
from tests.support.patience import within_cpu_time

SHA = "0123456789abcdef0123456789abcdef01234567"
KEYS = {"plan_id": "a-plan", "git_sha": SHA, "status": "ready", "evaluation_notes": "[]"}
TASKS = ".lw_coder/tasks"


def text(body: str = "# Do it\n", /, **changed: str | None) -> str:
    """A plan's text; a key that is None is left out."""
    keys = {name: value for name, value in {**KEYS, **changed}.items() if value is not None}
    return "---\n" + "".join(f"{name}: {value}\n" for name, value in keys.items()) + f"---\n{body}"


def written(folder: Path, content: str | bytes, name: str = "plan.md") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


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
    [b"\xef\xbb\xbf" + text().encode(), text().replace("\n", "\r\n").encode(), text().encode()[:-1]],
    ids=["bom", "crlf", "no last line feed"],
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
        ("\n" + text(), "has no front matter"),
        ("---\nplan_id: a-plan\n", "has no front matter"),
        ("---\n---\nbody\n", "is not a mapping"),
        ("---\n- a\n- b\n---\nbody\n", "is not a mapping"),
        (text(plan_id="a-plan\nplan_id: b-plan"), "plan_id: appears twice"),
        (text(priority="high"), "priority: unknown key"),
        (text(**{'"a\\nb"': "x"}), "a\\nb: unknown key"),
        (text("\n \n"), "there is no plan below"),
        (text(notes="[a]"), "notes: is not a string"),
        (text(status="finished"), "status: 'finished' is unknown"),
        (text(status="[draft]"), "status: a list is unknown"),
        (text(evaluation_notes="good"), "evaluation_notes: is not a list of strings"),
        (text(evaluation_notes="[[a]]"), "evaluation_notes: is not a list of strings"),
        (text(evaluation_notes=""), "evaluation_notes: is not a list of strings"),
        (text(notes="a\x00b"), "is not valid YAML"),
    ],
)
def test_what_breaks_a_rule(tmp_path: Path, content: str, problem: str) -> None:
    assert problem in refused(written(tmp_path, content)).message


@pytest.mark.parametrize("key", KEYS)
def test_each_required_key(tmp_path: Path, key: str) -> None:
    error = refused(written(tmp_path, text(**{key: None})))
    assert f"{key}: is missing" in error.message
    assert error.remedy == f"add {key} to the front matter"


@pytest.mark.parametrize("plan_id", ["ab", "a..b", "a b", "a/b", "'../x'", "x" * 101, "[a]", "caf\u00e9"])
def test_bad_ids(tmp_path: Path, plan_id: str) -> None:
    error = refused(written(tmp_path, text(plan_id=plan_id)))
    assert f"{tmp_path}/" in error.message
    assert "plan_id:" in error.message
    assert "3 to 100" in error.remedy
    assert len(error.message) < len(str(tmp_path)) + 150


@pytest.mark.parametrize("plan_id", [".plan", "plan.", "plan.lock", ".gitignore"])
def test_ids_that_git_takes_for_no_branch(tmp_path: Path, plan_id: str) -> None:
    path = written(tmp_path, text(plan_id=plan_id))
    error = refused(path)
    assert error.message == f"{path}: plan_id: {plan_id!r} is not valid in a branch name"
    assert "neither begins nor ends with a dot" in error.remedy


@pytest.mark.parametrize("sha", [SHA[:12], SHA.upper(), SHA + "0", "g" * 40, "HEAD", "[1]", f"'{SHA} '"])
def test_bad_shas(tmp_path: Path, sha: str) -> None:
    error = refused(written(tmp_path, text(git_sha=sha)))
    assert "git_sha:" in error.message
    assert "git rev-parse HEAD" in error.remedy


@pytest.mark.parametrize("lines", [0, 3])
def test_the_line_of_a_yaml_error(tmp_path: Path, lines: int) -> None:
    content = "---\n" + "# a comment\n" * lines + "status: [draft\nplan_id: x\n---\nbody\n"
    with_tab = "---\n" + "# a comment\n" * lines + "\tplan_id: x\n---\nbody\n"
    assert (
        f"line {lines + 3}: the front matter is not valid YAML" in refused(written(tmp_path, content)).message
    )
    assert (
        f"line {lines + 2}: the front matter is not valid YAML"
        in refused(written(tmp_path, with_tab)).message
    )


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
    ],
    ids=["bomb", *KEYS, "notes", "deep", "loop", "loop in a list", "many keys", "long"],
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


def test_found_by_path_and_by_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / TASKS, b"\xef\xbb\xbf" + text().encode(), "some-name.md")
    monkeypatch.chdir(tmp_path)
    assert find_plan(tmp_path, f"{TASKS}/some-name.md") == path
    assert find_plan(tmp_path, "a-plan") == path


def not_found(root: Path, name: str) -> PlanError:
    with pytest.raises(PlanError) as caught:
        find_plan(root, name)
    assert "\n" not in caught.value.message + caught.value.remedy
    return caught.value


def test_names_that_find_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / TASKS, "not a plan", "broken.md")
    monkeypatch.chdir(tmp_path)
    assert "no plan with that id" in not_found(tmp_path, "a-plan").message
    assert "no plan with that id" in not_found(tmp_path, "two\nlines").message
    assert "is a folder" in not_found(tmp_path, TASKS).message
    assert "cannot be read" in not_found(tmp_path, "x" * 5000).message


def test_a_plan_beside_a_folder_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / TASKS, text(plan_id="docs"), "some-name.md")
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_plan(tmp_path, "docs") == path


def test_ids_that_two_plans_have(tmp_path: Path) -> None:
    first = written(tmp_path / TASKS, text(), "first.md")
    second = written(tmp_path / TASKS, text().replace("\n", "\r\n"), "second.md")
    assert plans_with_id(tmp_path, "a-plan") == [first, second]
    message = not_found(tmp_path, "a-plan").message
    assert f"{TASKS}/first.md, {TASKS}/second.md" in message
    with pytest.raises(PlanError, match=r"more than one plan: .*first\.md, .*second\.md"):
        require_unique_id(tmp_path, read_plan(first))


def test_a_plan_outside_the_tasks_folder(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, text()))
    require_unique_id(tmp_path, plan)
    written(tmp_path / TASKS, text(), "same.md")
    with pytest.raises(PlanError, match="more than one plan"):
        require_unique_id(tmp_path, plan)
