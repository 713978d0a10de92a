"""Ask the language model for the prompts of a run: cached, checked, and within a deadline."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dspy
from dspy.utils.exceptions import (
    AdapterParseError,
    LMError,
    LMTransportError,
    is_retryable_lm_error,
)
from msgspec import Struct
from msgspec.structs import replace
from pydantic_core import to_jsonable_python

from lw_coder.dspy import model_errors
from lw_coder.dspy.answer_adapter import AnswerAdapter
from lw_coder.dspy.answer_cache import AnswerCache, open_cache
from lw_coder.dspy.answer_checks import fault_of_outputs, fault_of_wire
from lw_coder.dspy.code_prompt_signature import CodePromptProgram
from lw_coder.dspy.generated_prompts import GeneratedPrompts
from lw_coder.foundation.errors import PromptError

if TYPE_CHECKING:
    from lw_coder.plans.plan_file import PlanMetadata
    from lw_coder.settings.model_access import ModelAccess

ATTEMPTS = 3  # one question, and two more after unusable answers
RETRIES = 2  # of one question, after transient failures
SHORTEST_RETRY = 0.1  # of the deadline; no retry is sent with less time left
# At temperature 0 the same bad answer would come again. Every model accepts 1.0.
RETRY_TEMPERATURE = 1.0

_BROKEN_STATE = (OSError, ValueError, LookupError, TypeError, AttributeError, NotImplementedError)

Progress = Callable[[str], None]


class _Question(Struct, frozen=True):
    """Everything that one question needs; `config` distinguishes repeated requests."""

    program: CodePromptProgram
    lm: dspy.LM
    adapter: AnswerAdapter
    plan: PlanMetadata
    access: ModelAccess
    config: dict[str, object]
    on_progress: Progress


class _Answer(Struct, frozen=True):
    """The outputs of one answer, or what is wrong with it."""

    outputs: dict[str, Any]
    fault: str | None


def _silent(_message: str) -> None:
    """Show nothing."""


def generate_prompts(
    plan: PlanMetadata,
    model: ModelAccess,
    cache_folder: Path,
    program_state: Path | None = None,
    on_progress: Progress = _silent,
) -> GeneratedPrompts:
    """Turn a plan into the prompts of a run.

    If an answer is a refusal, cut off, empty, incomplete or contains a placeholder, the model is asked again,
    at most twice in a run. Every answer, good or bad, is cached, so that the same call costs nothing the
    next time and needs no server.

    Args:
        plan: the signature's input.
        model: access to the language model.
        cache_folder: created with mode 0700 if absent; answers are stored in it by DSPy's version.
        program_state: a `.json` file saved by `CodePromptProgram.save`, or None for the built-in text.
        on_progress: called with one line for each step.

    Raises:
        PromptError: the model could not be called, or returned no usable answer, or `program_state`
            cannot be loaded. One question takes at most `model.deadline` seconds.
        KeyboardInterrupt: at once, even while waiting.
    """
    dspy.disable_logging()  # what matters is raised or logged here
    program = load_program(program_state)
    cache = open_cache(cache_folder)
    lm = language_model(model)
    question = _Question(program, lm, AnswerAdapter(), plan, model, {}, on_progress)
    outputs, attempts = _usable_outputs(question, cache)
    return GeneratedPrompts(
        **outputs,
        model=model.model,
        usage=_usage(lm),
        cache_hit=not cache.misses,
        attempts=attempts,
        program_state=to_jsonable_python(program.dump_state()),
        dspy_version=dspy.__version__,
        inputs=to_jsonable_python({"plan": asdict(plan)}),
    )


def load_program(state: Path | None) -> CodePromptProgram:
    """Create the program, with a saved state if there is one.

    Raises:
        PromptError: the file is missing or is not a saved state of this program; it names the path.
    """
    program = CodePromptProgram()
    if state is None:
        return program
    try:
        program.load(state)
        program.dump_state()  # demos are read only here, and damaged ones fail
    except _BROKEN_STATE as error:
        reason = getattr(error, "strerror", None) or "it is not a saved state of this program"
        problem = PromptError(
            f"{state}: cannot be loaded as the prompt program: {reason}",
            "use a .json file that CodePromptProgram.save wrote, or remove the setting",
        )
    else:
        program.generate.lm = None  # a model named in a file would be called with the person's key
        return program
    raise problem


def language_model(access: ModelAccess) -> dspy.LM:
    """Make the model as it is called for the prompts of a run; the key is in no request's cache key."""
    # engine and api_base together avoid LiteLLM and send the key only to the configured address.
    # DSPy's own retries obey any Retry-After, even an hour: these are limited.
    return dspy.LM(
        f"openrouter/{access.model}",
        engine="lm15",
        api_key=access.api_key,
        api_base=access.base_url,
        temperature=0.0,
        max_tokens=access.max_tokens,
        timeout=access.timeout,
        num_retries=0,
    )


def _usable_outputs(question: _Question, cache: AnswerCache) -> tuple[dict[str, Any], int]:
    """Ask until an answer is usable; also return how many were checked.

    Unusable answers of earlier runs come from the cache and are skipped: only new ones count.
    """
    new = 0
    for attempt in itertools.count():
        misses = cache.misses
        cache.on_miss = _announcement(question, attempt)
        answer = _ask_patiently(_asked_again(question, attempt))
        if answer.fault is None:
            return answer.outputs, attempt + 1
        if cache.misses > misses:
            question.on_progress(f"the answer {answer.fault}")
            new += 1
        if new == ATTEMPTS:
            break
    raise model_errors.unusable(answer.fault or "", ATTEMPTS, question.access)


def _asked_again(question: _Question, attempt: int) -> _Question:
    """Give each repeated request a rollout id: a bad answer is cached too, and would be returned for ever."""
    config: dict[str, object] = (
        {"rollout_id": attempt, "temperature": RETRY_TEMPERATURE} if attempt else question.config
    )
    return replace(question, config=config)


def _announcement(question: _Question, attempt: int) -> Callable[[], None]:
    """Return a function that says once that the model is asked; a request can be sent more than once."""
    lines = [f"asking {question.access.model} for the prompts" + (" again" if attempt else "")]

    def announce() -> None:
        while lines:
            question.on_progress(lines.pop())

    return announce


def _ask_patiently(question: _Question) -> _Answer:
    """Ask, and retry after a transient failure, as long as a retry can end before the deadline."""
    access = question.access
    ends = time.monotonic() + access.deadline
    for retry in range(RETRIES + 1):
        asked = time.monotonic()
        result = _within(ends - asked, question)
        if isinstance(result, _Answer):
            return result
        if result is None:
            raise model_errors.silence(access)
        problem, failed = result, time.monotonic()
        took, pause = failed - asked, _pause(problem, retry, access)
        if pause is None or not _can_end(took, ends - failed - pause, access):
            break
        question.on_progress(f"the server is not ready; asking again in {pause:g} s")
        time.sleep(pause)
    # A request that is aborted after `timeout` looks like one whose connection was dropped.
    is_timeout = isinstance(problem, LMTransportError) and took >= access.timeout
    raise model_errors.silence(access) if is_timeout else model_errors.explain(problem, access)


def _pause(error: Exception, retry: int, access: ModelAccess) -> float | None:
    """Seconds to wait before the next retry, or None if there should be none."""
    if retry == RETRIES or not is_retryable_lm_error(error):
        return None
    asked_for = getattr(error, "retry_after", None)
    pause = access.backoff * 2**retry if asked_for is None else float(asked_for)
    return pause if pause <= access.longest_pause else None


def _can_end(took: float, left: float, access: ModelAccess) -> bool:
    """Tell whether a retry is worth sending, and paying for.

    Args:
        took: seconds that the failed request took; the next one hardly takes less.
        left: seconds until the deadline.
        access: its deadline; a server that fails at once shows nothing of how long an answer takes.
    """
    return left >= max(took, access.deadline * SHORTEST_RETRY)


def _within(seconds: float, question: _Question) -> _Answer | Exception | None:
    """Ask in a separate thread, so that a response that trickles in cannot exceed the deadline.

    Returns None when time is up; the daemon thread is then abandoned.
    """
    done: queue.SimpleQueue[_Answer | BaseException] = queue.SimpleQueue()

    def work() -> None:
        try:
            done.put(_ask(question))
        except BaseException as error:  # noqa: BLE001 - passed on to the waiting thread
            done.put(error)

    threading.Thread(target=work, name="lw_coder-model", daemon=True).start()
    try:
        result = done.get(timeout=max(seconds, 0.0))
    except queue.Empty:
        return None
    if isinstance(result, _Answer | LMError):
        return result
    raise result


def _ask(question: _Question) -> _Answer:
    """Ask once. What the model wrote never becomes part of an exception."""
    asked_before = len(question.lm.history)
    try:
        with dspy.context(lm=question.lm, adapter=question.adapter):
            prediction = question.program(plan=question.plan, config=question.config)
    except AdapterParseError:
        return _Answer({}, _wire_fault(question.lm, asked_before) or "is not the JSON that was asked for")
    outputs = to_jsonable_python(prediction.toDict())
    fault = _wire_fault(question.lm, asked_before) or fault_of_outputs(outputs, own_words(question.plan))
    return _Answer(outputs, fault)


def own_words(plan: PlanMetadata) -> str:
    """Return what a plan says itself: a placeholder that stands in it is a quotation."""
    return "\n".join((plan.body, *plan.evaluation_notes))


def _wire_fault(lm: dspy.LM, asked_before: int) -> str | None:
    for call in lm.history[asked_before:]:
        text = call["outputs"][0] if call["outputs"] else ""
        text = text.get("text") if isinstance(text, dict) else text
        if fault := fault_of_wire(text or "", getattr(call["response"], "finish_reason", "stop")):
            return fault
    return None


def _usage(lm: dspy.LM) -> dict[str, int]:
    """Sum what was paid for. DSPy empties the usage of what came from the cache."""
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    paid = [call["usage"] for call in lm.history if call["usage"]]
    return {name: sum(usage.get(name) or 0 for usage in paid) for name in names} if paid else {}
