"""Step 8 for a workload: what a model answered is judged before anything acts on it: schema, tool calls, rules."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from headworks.calls import Verdict
from headworks.compiled import CompiledWorkload
from headworks.dialects.canonical import AnswerCall, AnswerMessage, AnswerRefusal, ModelAnswer
from headworks.dialects.whole import answer_text
from headworks.screening import OutputFault, RulesOutcome, repair_message

Finding = Literal["good", "marked", "invalid", "blocked", "denied", "held"]


class Judgement(msgspec.Struct, frozen=True):
    """What is to be done with an answer.

    Attributes:
        finding: *invalid* breaks the schema (never passed on); *blocked* by a rule; *denied* or *held* by the action
            policy; *marked* goes on and says so.
        may_repair: the model may be told and mend it.
        reason: for the caller and the record: place and rule, no value.
        repair: for the model.
        held: the calls that wait for a person.
    """

    finding: Finding
    may_repair: bool = False
    reason: str = ""
    repair: str = ""
    held: tuple[AnswerCall, ...] = ()


GOOD = Judgement("good")


class RulesContext(msgspec.Struct, frozen=True):
    """What rules get to know of the call."""

    call_id: str
    workload: str
    model: str
    prompt_version: str
    variables: Mapping[str, object]
    metadata: Mapping[str, object]


async def judge(work: CompiledWorkload, answer: ModelAnswer, context: RulesContext) -> Judgement:
    """Judge a whole answer."""
    fault = _tool_fault(work, answer)
    if fault is not None:
        return fault
    calls = [item for item in answer.output if isinstance(item, AnswerCall)]
    if calls or refuses(answer):
        return GOOD  # a turn that asks for tools, or declines in words, is not the output that the schema is about
    text = answer_text(answer)
    if work.schema is not None:
        found = work.schema.check(text)
        if found is not None:
            return of_fault(found, is_cut=answer.end_reason == "max_output_tokens")
    return await judge_rules(work, text, context)


async def judge_rules(work: CompiledWorkload, text: str, context: RulesContext) -> Judgement:
    """Judge the meaning of an answer whose form is good."""
    if work.rules is None:
        return GOOD
    value = text if work.schema is None else msgspec.json.decode(text)
    # In a task: the runner has a time limit of asyncio's, which a flow does not know.
    running = asyncio.get_running_loop().create_task(work.rules.run(value, msgspec.to_builtins(context)))
    return _of_rules(await running)


def judge_calls(work: CompiledWorkload, calls: Sequence[AnswerCall]) -> Judgement:
    """Judge tool calls: known, their arguments as the tool says, and allowed to act."""
    held = []
    for call in calls:
        if work.tools is not None:
            found = work.tools.check_call(call.name, call.text)
            if found is not None:
                return of_fault(found)
        match work.policy.decide_call(call.name, call.text):
            case "deny":
                return _denied(work, call.name)
            case "hold":
                held.append(call)
            case "allow":
                continue
    if held:
        names = ", ".join(dict.fromkeys(call.name for call in held))
        return Judgement("held", reason=f"a call of {names} waits for approval", held=tuple(held))
    return GOOD


def judge_names(work: CompiledWorkload, names: Iterable[str]) -> Judgement:
    """What can be said of tool calls by the tools' names alone, before their arguments have come."""
    held = False
    for name in names:
        decided = work.policy.decide(name)
        if decided == "deny":
            return _denied(work, name)
        held = held or decided == "hold"
    return Judgement("held") if held else GOOD


def verdict_of(judged: Judgement) -> Verdict:
    """How the record calls it."""
    match judged.finding:
        case "good":
            return "valid"
        case "denied":
            return "blocked"
        case finding:
            return finding


def _denied(work: CompiledWorkload, name: str) -> Judgement:
    why = "" if work.contract.actions[name].policy == "deny" else " that untrusted text may have brought about"
    return Judgement("denied", reason=f"the contract denies calls of the tool {name}{why}")


def of_fault(fault: OutputFault, *, is_cut: bool = False) -> Judgement:
    """Breaking the schema, or a tool's, as a judgement; of an answer that is cut the reason says so, as it is what can
    be mended."""
    place = fault.pointer or "the answer"
    cut = "; it was cut at its maximum of output tokens" if is_cut else ""
    return Judgement("invalid", may_repair=True, reason=f"{place}: {fault.message}{cut}", repair=repair_message(fault))


def _tool_fault(work: CompiledWorkload, answer: ModelAnswer) -> Judgement | None:
    judged = judge_calls(work, [item for item in answer.output if isinstance(item, AnswerCall)])
    return None if judged.finding == "good" else judged


def _of_rules(outcome: RulesOutcome) -> Judgement:
    name = f"rule {outcome.rule}" if outcome.rule else "the rules"
    reason = f"{name}: {outcome.reason}" if outcome.reason else name
    match outcome.verdict:
        case "ok":
            return GOOD
        case "mark":
            return Judgement("marked", reason=reason)
        case "repair":
            return Judgement("blocked", may_repair=True, reason=reason, repair=repair_message(outcome))
        case "block":
            return Judgement("blocked", reason=reason)


def refuses(answer: ModelAnswer) -> bool:
    """Whether the model declines, in its own words."""
    return any(
        isinstance(part, AnswerRefusal)
        for item in answer.output
        if isinstance(item, AnswerMessage)
        for part in item.parts
    )
