"""Optimise the program that writes the prompts, with `dspy.GEPA` or another optimiser of DSPy.

Everything here is what `lw_coder code` uses itself: the program, the adapter, the parameters of the model and
the types of the inputs. So the text that a program is tuned on is the text that is sent later.
`lw_coder docs improve-the-prompts` has an example.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dspy
from msgspec.structs import replace
from pydantic import TypeAdapter, ValidationError

from lw_coder.dspy.answer_adapter import AnswerAdapter
from lw_coder.dspy.answer_cache import open_cache
from lw_coder.dspy.code_prompt_signature import CodePromptProgram, CodePromptSignature
from lw_coder.dspy.prompt_orchestrator import language_model as _language_model
from lw_coder.dspy.prompt_orchestrator import load_program
from lw_coder.dspy.sample_metric import sample_metric
from lw_coder.foundation.errors import PromptError, RunError
from lw_coder.foundation.json_text import read_json
from lw_coder.foundation.report import warn
from lw_coder.foundation.state import prompt_cache_folder
from lw_coder.repository.git import find_repository, text_lines
from lw_coder.settings.config import load_config_or_defaults
from lw_coder.settings.environment import load_environment

__all__ = ["adapter", "examples", "language_model", "program", "sample_metric", "save", "split"]

RETRIES = 5  # of a request, after a failure of the server: a failed example would count as a bad answer
_ALSO_KEPT = ("run", "score", "feedback", "ended")
_VALIDATION = 3  # each third plan

_EXPORT = "write the file with `lw_coder runs export`"


def examples(exported: str | Path | Iterable[Mapping[str, Any]]) -> list[dspy.Example]:
    """Make the training data of runs.

    The input of an example is `plan`, exactly as it is sent to the model. Its labels are the outputs of the
    run (`main_prompt`, `code_review_prompt`, `plan_alignment_prompt`, `feedback_summary`), `run` (its name),
    `score` and `feedback` (None, or what `lw_coder runs score` stored), and `ended` (how the session ended,
    as in run.json). A run of another version of lw_coder whose texts have other names is left out, with a
    warning.

    Args:
        exported: the path of a file that `lw_coder runs export` wrote, or its lines as mappings, such as
            `lw_coder.runs.exported.exported_runs` yields.

    Raises:
        RunError: the file cannot be read, or is not such a file, or no run is left.
    """
    runs = _lines(Path(exported)) if isinstance(exported, str | Path) else exported
    found = [example for run in runs if (example := _example(run)) is not None]
    if not found:
        where = f"{exported}: " if isinstance(exported, str | Path) else ""
        raise RunError(f"{where}there is no run with prompts", "carry out a plan with `lw_coder code` first")
    return found


def split(data: Iterable[dspy.Example]) -> tuple[list[dspy.Example], list[dspy.Example]]:
    """Divide examples for training and for validation, so that no plan is in both.

    Each third plan is for validation. A single plan is in both: there is nothing else to validate with.
    """
    known = list(data)
    plans = list(dict.fromkeys(example.plan.plan_id for example in known))
    chosen = set(plans[_VALIDATION - 1 :: _VALIDATION] or plans[1:])
    validation = [example for example in known if example.plan.plan_id in chosen]
    training = [example for example in known if example.plan.plan_id not in chosen]
    return training, validation or training


def program(repository: str | Path = ".") -> CodePromptProgram:
    """Return the program that `lw_coder code` uses in a repository: the configured one, or the built-in one.

    Args:
        repository: a folder in it.

    Raises:
        LwCoderError: there is no repository, its configuration is invalid, or the program cannot be loaded.
    """
    root = find_repository(Path(repository)).root
    named = load_config_or_defaults(root).prompt_program
    return load_program(root / named if named else None)


def adapter() -> dspy.Adapter:
    """Return the adapter that `lw_coder code` uses. With any other one, another text is sent."""
    return AnswerAdapter()


def language_model(repository: str | Path = ".", model: str | None = None, **parameters: Any) -> dspy.LM:
    """Return the model that `lw_coder code` asks in a repository, with the same parameters.

    Answers are then cached where lw_coder caches them. After a failure of the server a request is repeated,
    at most RETRIES times.

    Args:
        repository: a folder in it; the key and the address come from its env file or from the shell.
        model: another model of the same server, or None.
        parameters: DSPy's parameters of a model, such as `temperature` or `max_tokens`, to change.

    Raises:
        LwCoderError: there is no repository, its configuration is invalid, or the key is missing.
    """
    root = find_repository(Path(repository)).root
    config = load_config_or_defaults(root)
    environment = load_environment(root, config.env_file, (), os.environ)
    access = environment.with_deadline(config.model_timeout).model
    open_cache(prompt_cache_folder())
    return _language_model(replace(access, model=model or access.model)).copy(
        num_retries=RETRIES, **parameters
    )


def save(tuned: CodePromptProgram, path: str | Path) -> None:
    """Save a program for `prompt_program` in `.lw_coder/config.toml`.

    Only its instructions and demos are saved: no model and no key.

    Args:
        tuned: what an optimiser returned for `program()`.
        path: of a `.json` file, which is replaced.

    Raises:
        PromptError: the file cannot be written, or `lw_coder code` could not load it.
    """
    target = Path(path)
    if target.suffix != ".json":
        raise PromptError(f"{target}: is not the name of a .json file", "save the program as NAME.json")
    saved = tuned.deepcopy()
    saved.set_lm(None)
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.json")
    try:
        temporary.touch()  # DSPy would hide why it cannot be written
        saved.save(temporary)
        load_program(temporary)
        temporary.replace(target)
    except OSError as error:
        raise PromptError(f"{target}: cannot be written: {error.strerror}", "correct the path") from error
    except RuntimeError as error:
        raise PromptError(f"{target}: the program cannot be written as JSON", "check its demos") from error
    finally:
        temporary.unlink(missing_ok=True)


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        lines = text_lines(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}", _EXPORT) from error
    except UnicodeDecodeError:
        raise RunError(f"{path}: is not UTF-8 text", _EXPORT) from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _run_of(line, f"{path}, line {number}")


def _run_of(line: str, where: str) -> Mapping[str, Any]:
    try:
        run = read_json(line)
    except ValueError:
        run = None
    if not isinstance(run, dict):
        raise RunError(f"{where}: is not a run", _EXPORT)
    return run


def _example(run: Mapping[str, Any]) -> dspy.Example | None:
    """Make an example, or None of a run whose texts have other names or types."""
    try:
        inputs = _typed(CodePromptSignature.input_fields, run["inputs"])
        outputs = _typed(CodePromptSignature.output_fields, run["outputs"])
    except (KeyError, TypeError, ValidationError):
        warn(f"{run.get('run')}: was made by another version of lw_coder, and is left out")
        return None
    kept = {name: run.get(name) for name in _ALSO_KEPT}
    return dspy.Example(**inputs, **outputs, **kept).with_inputs(*inputs)


def _typed(fields: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Read values as the types that the program is called with: a mapping may be sent as another text."""
    return {
        name: TypeAdapter(field.annotation).validate_python(values[name]) for name, field in fields.items()
    }
