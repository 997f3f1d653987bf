"""What hooks are told, and what is made of what they answer: pure functions of a call and its changes.

A hook's changes are put into the request as if its caller had sent them. What is more than a caller may say is none.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from secrets import token_hex
from time import time_ns
from typing import TYPE_CHECKING, Any

import msgspec

from headworks.access import Grant
from headworks.admission import Admission, metadata_of
from headworks.calls import Endpoint, OutcomeReport, Settled
from headworks.composing import freed_fields
from headworks.dialects import RequestHead
from headworks.errors import Refusal
from headworks.exchange import Request
from headworks.extending import PARAMETERS, CallEnd, CallFacts, Changes, JsonValue
from headworks.records.outcomes import read_value
from headworks.settlement import OpenCall, Work

if TYPE_CHECKING:
    from headworks.compiled import CompiledWorkload

_NOTE = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_MOST_NOTES = 32
_HAS_METADATA = (Endpoint.RESPONSES, Endpoint.CHAT)
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")

_encode = msgspec.json.Encoder().encode


class Hooked(msgspec.Struct, frozen=True):
    """A call as its hooks want it. `work` is its workload, None where it has none; `note` what they did, for its
    record."""

    request: Request
    head: RequestHead | None
    work: Any
    note: str


class HookFailed(Exception):
    """A hook answered what it may not, or took too long. The text says what, and quotes nothing."""


def facts_of(
    call: OpenCall, name: str, found: Hooked, admission: Admission, grant: Grant, choices: Sequence[str]
) -> CallFacts:
    """What a hook is told of a call.

    Arguments:
        name: what the caller asks for.
        choices: of the hook, where the call belongs to no workload.
    """
    head, work = found.head, found.work
    if work is not None:
        targets = tuple(f"{target.provider}/{target.model}" for target in work.chain)
    else:
        usual = head.model if head is not None else name
        others = () if head is None else choices
        targets = (usual, *(other for other in others if other != usual and grant.may_use(other)))
    return CallFacts(
        call_id=call.call_id,
        endpoint=call.endpoint,
        model=name,
        workload="" if work is None else name,
        key_id=call.caller.key_id,
        owner=call.caller.owner,
        team=call.caller.team,
        is_streamed=False if head is None else head.is_streamed,
        request_bytes=call.request_bytes,
        metadata={} if head is None or admission.route.endpoint not in _HAS_METADATA else metadata_of(head),
        parameters={} if head is None else parameters_in(head.fields),
        targets=targets,
    )


def changed_by(
    changes: object,
    found: Hooked,
    facts: CallFacts,
    admission: Admission,
    hook: str,
    reread: Callable[[Request, Admission], RequestHead | None],
) -> Hooked:
    """The call with these changes. Raises HookFailed: they are none that a hook may make."""
    if not isinstance(changes, Changes):
        raise HookFailed("it answered something else than Changes")
    if not changes.metadata and not changes.parameters and changes.target in ("", facts.targets[0]):
        return found
    head, work = found.head, found.work
    endpoint = admission.route.endpoint
    if changes.target and changes.target not in facts.targets:
        raise HookFailed("it chose a target that is not among those it may choose")
    is_body_changed = bool(changes.metadata or changes.parameters) or (work is None and bool(changes.target))
    if is_body_changed and (head is None or endpoint is Endpoint.GENERATE_CONTENT):
        raise HookFailed("it changed a call whose body has no place for that: it can only refuse it")
    said = [*(["metadata"] if changes.metadata else []), *sorted(changes.parameters)]
    if changes.target:
        said.append(f"target {changes.target}")
    note = f"{found.note}hook {hook}: {', '.join(said)}; "
    if work is not None and changes.target:
        chosen = facts.targets.index(changes.target)
        chain = (work.chain[chosen], *(one for index, one in enumerate(work.chain) if index != chosen))
        work = msgspec.structs.replace(work, chain=chain)
    if not is_body_changed:
        return Hooked(found.request, head, work, note)
    assert head is not None, "it was looked for"
    fields = {**head.fields, **_parameters(changes.parameters, work, endpoint)}
    if changes.metadata:
        fields["metadata"] = _metadata(changes.metadata, head, endpoint)
    if work is None and changes.target:
        fields["model"] = msgspec.Raw(_encode(changes.target))
    request = found.request.again(_encode(fields))
    request.admission = admission
    try:
        head = reread(request, admission)
    except Refusal as refusal:
        raise HookFailed(f"it changed the call to one that cannot be made ({refusal.code})") from None
    return Hooked(request, head, work, note)


def what_differs(changes: object, facts: CallFacts) -> str:
    """What a hook wants otherwise of something that goes as it is: names of fields, or "" for nothing.

    Raises:
        HookFailed: these are no changes that a hook may make.
    """
    if not isinstance(changes, Changes):
        raise HookFailed("it answered something else than Changes")
    if changes.target not in ("", facts.targets[0]):
        raise HookFailed("it chose a target that is not among those it may choose")
    if not changes.parameters.keys() <= PARAMETERS:
        raise HookFailed("it set a field that hooks may not set")
    others = [name for name, value in changes.parameters.items() if not _is_said(facts.parameters, name, value)]
    others += ["metadata"] * any(not _is_said(facts.metadata, name, value) for name, value in changes.metadata.items())
    return ", ".join(f"`{name}`" for name in sorted(others))


def _is_said(had: Mapping[str, object], name: str, wanted: object) -> bool:
    # Not 1 for True, which are equal and not the same.
    return name in had and had[name] == wanted and isinstance(had[name], bool) == isinstance(wanted, bool)


def parameters_in(fields: Mapping[str, msgspec.Raw]) -> dict[str, JsonValue]:
    """Those of `PARAMETERS` that are set."""
    found: dict[str, JsonValue] = {}
    for name, raw in fields.items():
        if name in PARAMETERS:
            try:
                found[name] = msgspec.json.decode(raw)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                continue  # its provider judges it
    return found


def _parameters(
    wanted: Mapping[str, JsonValue], work: "CompiledWorkload | None", endpoint: Endpoint
) -> dict[str, msgspec.Raw]:
    """Raises HookFailed: there is one among them that a hook may not set, or that the contract fixes."""
    if not wanted.keys() <= PARAMETERS:
        raise HookFailed("it set a field that hooks may not set")
    if work is not None:
        freed = freed_fields(work.contract.caller_may_set)
        fixed = work.fixed[Endpoint.CHAT if endpoint is Endpoint.CHAT else Endpoint.RESPONSES].keys()
        taken = [name for name in wanted if name in fixed and name not in freed]
        most = work.limit
        if most is not None:
            taken += [
                name for name in _LIMITS if name in wanted and name not in freed and not _is_within(wanted[name], most)
            ]
        if taken:
            raise HookFailed(f"it set `{taken[0]}`, which the contract of `{work.name}` fixes")
    try:
        # Not with msgspec, which writes null for what JSON has no number for.
        return {name: msgspec.Raw(json.dumps(value, allow_nan=False).encode()) for name, value in wanted.items()}
    except (TypeError, ValueError, RecursionError):
        raise HookFailed("it set a field to something that is no JSON") from None


def _is_within(value: JsonValue, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value <= most


def _metadata(wanted: Mapping[Any, Any], head: RequestHead, endpoint: Endpoint) -> msgspec.Raw:
    if endpoint not in _HAS_METADATA:
        raise HookFailed("it set metadata, and this API has none")
    if not all(isinstance(name, str) and isinstance(value, str) for name, value in wanted.items()):
        raise HookFailed("it set metadata that is no text")
    return msgspec.Raw(_encode({**metadata_of(head), **wanted}))


def end_of(settled: Settled) -> CallEnd:
    """What a hook is told of a call that has ended."""
    opened = settled.opened
    return CallEnd(
        call_id=opened.call_id,
        endpoint=opened.endpoint,
        requested_model=opened.requested_model,
        workload=opened.workload,
        key_id=opened.key_id,
        owner=opened.owner,
        team=opened.team,
        provider=opened.provider,
        model=opened.model,
        served_model=settled.served_model,
        outcome=settled.outcome,
        status=settled.status,
        error_code=settled.error_code,
        finish_reason=settled.finish_reason,
        verdict=settled.verdict,
        attempts=settled.attempts,
        total_us=settled.total_us,
        first_token_us=settled.first_token_us,
        input_tokens=settled.input_tokens,
        cached_tokens=settled.cached_tokens,
        output_tokens=settled.output_tokens,
        reasoning_tokens=settled.reasoning_tokens,
        cost_pico=settled.cost_pico,
    )


def reports_of(notes: Any, hook: str, end: CallEnd) -> list[OutcomeReport]:
    """What a hook has found out, as outcomes of the call. Raises HookFailed: it is none."""
    if not isinstance(notes, Mapping) or len(notes) > _MOST_NOTES:
        raise HookFailed(f"it answered something else than a mapping of at most {_MOST_NOTES} names")
    reports = []
    for name, value in notes.items():
        if not isinstance(name, str) or _NOTE.fullmatch(name) is None:
            raise HookFailed("it gave a note a name that is none")
        try:
            kind, written = read_value(value)
        except Refusal as refusal:
            raise HookFailed(f"its note `{name}` cannot be kept: {refusal.message}") from None
        reports.append(
            OutcomeReport(
                f"outcome_{token_hex(12)}",
                time_ns() // 1000,
                name,
                kind,
                written,
                call_id=end.call_id,
                key_id=end.key_id,
                source=f"hook:{hook}",
                team=end.team,
            )
        )
    return reports


def note(call: OpenCall, text: str) -> None:
    """Put into a call's record what hooks have done."""
    if text:
        call.work = call.work or Work()
        call.work.course = text.removesuffix("; ")
