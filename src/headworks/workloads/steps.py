"""The steps that a call of a workload goes through, each with its reason and about what it costs. Pure.

A step that a contract does not need is not there. The costs are the gateway's own time in Python on one core, without
sockets and without what the upstream takes.
"""

import msgspec

from headworks.config import DETERMINISTIC, Workload
from headworks.workloads.facts import Facts

_BYTES_PER_TOKEN = 4

_AUTHENTICATE_US = 0.5
_DECODE_US = 3.5
_RESOLVE_US = 0.5
_OPEN_US = 4.0
_ATTEMPT_US = 11.0
_SETTLE_US = 5.5
"""A plain call: 25 µs together by `benchmarks.micro_call`, split by its profile (CPython 3.11, 2026-11)."""

_RENDER_US = 2.0
_ENCODE_US_PER_KB = 0.2
"""Joining a template's pieces and escaping them as JSON: 0.9 µs for 4.5 KB, 6 µs for 36 KB (msgspec 0.22, 2026-11)."""

_FIX_US = 2.0
_SPLICE_US = 0.5
"""Fields that are bytes already are put into the body."""

_VALIDATE_US = 2.0
_VALIDATE_US_PER_TOKEN = 0.01
"""Decoding and validating: 1 µs for a schema of 30 values (jsonschema-rs 0.60, 2026-11), and the call around it."""

_SCREEN_US_PER_KB = 8.0
_RESTORE_US = 30.0
"""With RE2, of text in which nothing is found; the answer is read and written once more (CPython 3.11, 2026-11)."""

_RULES_US = 40.0
"""There and back to another process with an answer of 0.5 KB, by a pipe (Linux, 2026-11). The rules' own time adds."""

_REWRITE_US = 5.0
"""A chunk of a stream that others may go on with: read, and written anew (4.7 µs a chunk of Chat, CPython 3.11,
2026-11)."""

_ACTION_US = 5.0
"""The arguments are validated against the tool's schema, and the policy is looked up."""


class Step(msgspec.Struct, frozen=True):
    """One step: what is done, why this workload needs it, and about how many µs of the gateway it takes.

    An occasional step is taken only where there is cause for it.
    """

    name: str
    reason: str
    cost_us: float
    is_occasional: bool = False


def steps_of(workload: Workload, facts: Facts) -> tuple[Step, ...]:
    """The steps in the order of a call."""
    return (*_before(workload, facts), *_after(workload, facts))


def _before(workload: Workload, facts: Facts) -> list[Step]:
    contract = workload.contract
    steps = [
        Step("authenticate", "every call: the virtual key says who calls and what it may use", _AUTHENTICATE_US),
        Step("decode", "every call: the fields that decide where it goes", _DECODE_US),
        Step("resolve", f"the name `{workload.name}` means this contract{_canary(workload)}", _RESOLVE_US),
    ]
    if facts.has_prompt:
        cost = _RENDER_US + _ENCODE_US_PER_KB * facts.prompt_tokens * _BYTES_PER_TOKEN / 1000
        reason = f"{_name(workload, 'prompt')}: about {facts.prompt_tokens:,} tokens of its own, static part first"
        steps.append(Step("render prompt", reason, round(cost, 1)))
    fixed = _fixed(workload)
    if fixed:
        free = [name for name in contract.caller_may_set if name in fixed]
        reason = f"`output` sets {', '.join(fixed)}" + (f"; the caller may change {', '.join(free)}" if free else "")
        steps.append(Step("fix parameters", reason, _FIX_US))
    if facts.has_schema:
        reason = f"{_name(workload, 'schema')} goes upstream, so that the model is held to it where the provider can"
        steps.append(Step("schema upstream", reason, _SPLICE_US))
    if facts.tools:
        reason = f"{_name(workload, 'tools')} goes upstream: {', '.join(facts.tools)}"
        steps.append(Step("tools upstream", reason, _SPLICE_US))
    if contract.screening.privacy is not None:
        kilobytes = (facts.prompt_tokens + contract.volume.input_tokens) * _BYTES_PER_TOKEN / 1000
        reason = "`screening.privacy`: personal data and secrets go up as tokens; all strings of the body are read"
        steps.append(Step("screen", reason, round(_SCREEN_US_PER_KB * kilobytes, 1)))
    if contract.first == DETERMINISTIC:
        steps.append(Step("code", "`first.py` is asked before any model, and what it answers ends here", _RULES_US))
    steps.append(Step("open", "every call: an entry in the journal before anything is sent", _OPEN_US))
    chain = " -> ".join((_model(workload, facts), *contract.fallback))
    declined = (
        "; what a model or a policy declines is asked of the next, too" if contract.refusals == "fallback" else ""
    )
    steps.append(Step("attempt", f"{chain}, within {contract.latency.total_s:g} s{declined}", _ATTEMPT_US))
    if contract.latency.hedge:
        reason = "only for a stream whose first token is later than 95 of 100: the next target, or the same, gets a try"
        steps.append(Step("hedge", reason, _ATTEMPT_US, is_occasional=True))
    return steps


def _after(workload: Workload, facts: Facts) -> list[Step]:
    contract = workload.contract
    validation = contract.validation
    steps: list[Step] = []
    if contract.screening.privacy is not None:
        steps.append(Step("restore", "tokens of the answer become values again, before it is judged", _RESTORE_US))
    if contract.streaming.on_break == "continue":
        reason = "only for a stream, each chunk: it is written anew, so that another target can go on with it"
        steps.append(Step("rewrite", reason, _REWRITE_US, is_occasional=True))
    if facts.has_schema:
        reason = f"{_name(workload, 'schema')}: no answer that breaks it reaches the caller"
        cost = _VALIDATE_US + _VALIDATE_US_PER_TOKEN * contract.volume.output_tokens
        steps.append(Step("validate schema", reason, round(cost, 1)))
    if facts.has_rules:
        reason = f"{_name(workload, 'rules')}, in a process of its own, within {validation.rules_timeout_s:g} s"
        steps.append(Step("rules", reason, _RULES_US))
    if validation.repairs and (facts.has_schema or facts.has_rules):
        turns = "once" if validation.repairs == 1 else f"up to {validation.repairs} times"
        reason = f"only for an answer that is wrong: the model may mend it {turns}, then: {validation.otherwise}"
        steps.append(Step("repair", reason, _FIX_US + _ATTEMPT_US, is_occasional=True))
    if facts.tools:
        reason = "only for a call of a tool: its arguments must be what the tool's own schema says"
        steps.append(Step("tool arguments", reason, _VALIDATE_US, is_occasional=True))
    if contract.actions:
        policies = ", ".join(f"{name}: {action.policy}" for name, action in contract.actions.items())
        steps.append(
            Step("actions", f"only for a call of a tool with side effects ({policies})", _ACTION_US, is_occasional=True)
        )
    kept = contract.retention
    keeps = "" if kept.content == "off" else f"; content is kept {kept.content} for {kept.days} days"
    steps.append(
        Step("settle", f"every call: tokens, times and outcome, before the last byte goes out{keeps}", _SETTLE_US)
    )
    return steps


def _canary(workload: Workload) -> str:
    canary = workload.contract.canary
    return "" if canary is None else f"; {canary.share:.0%} of calls try prompt version {canary.version}"


def _fixed(workload: Workload) -> list[str]:
    output = workload.contract.output
    return [name for name in output.__struct_fields__ if getattr(output, name) not in (None, ())]


def _name(workload: Workload, field: str) -> str:
    path = getattr(workload.files, field)
    return path.name if path is not None else field


def _model(workload: Workload, facts: Facts) -> str:
    name = workload.contract.model or facts.locked_model or workload.contract.ladder[0]
    model = facts.models.get(name)
    return name if model is None or str(model) == name else f"{name} ({model})"
