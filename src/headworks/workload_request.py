"""Step 3 for a workload: the caller's request, the contract and the prompt become the fields that go up."""

import hashlib
import hmac
import secrets
from collections.abc import Collection, Mapping

import msgspec

from headworks.access import Grant
from headworks.admission import Admission, note_keys
from headworks.calls import Endpoint
from headworks.compiled import CompiledWorkload
from headworks.composing import (
    LIMIT_NAMES,
    PromptMessage,
    check_one_answer,
    freed_fields,
    merge_fixed,
    place_messages,
    prompt_reference,
    prompt_values,
)
from headworks.conversation_values import ConversationValues
from headworks.conversation_window import in_window
from headworks.dialects import RequestHead
from headworks.dialects.reading import Fields
from headworks.dialects.wishes import Wishes
from headworks.errors import Refusal
from headworks.injection_bridge import CallInjection
from headworks.planning import Planner
from headworks.privacy_bridge import NOTHING_AHEAD, AnswerFilter, CallPrivacy
from headworks.prompts import Rendered
from headworks.screening.privacy import PrivacyPolicy
from headworks.settlement import OpenCall, Work
from headworks.slicing import Slices


class Composed(msgspec.Struct, frozen=True):
    """What goes up, but for the model's name, and what it was made from.

    Attributes:
        work: the workload in the version that the call is of.
        fields: of the request, in the caller's dialect.
        values: of the prompt's variables.
        version: of the prompt; empty where there is none.
        metadata: the caller's.
        privacy: has screened the fields, and turns the answer's tokens back; None where nothing is screened.
        injection: has looked for instructions in data; None where nobody looks.
        filters: what looks at the answer.
        own: what the caller sent, where `fields` are a translation of that; None where they are not.
        wishes: what of the fields the caller's dialect has no place for, and a target's may.
        ahead: of `CallPrivacy.redact_ahead`, where what is kept is redacted.
        left_out: older turns of the conversation that do not go up.
    """

    work: CompiledWorkload
    fields: Fields
    values: Mapping[str, object]
    version: str
    metadata: dict[str, str]
    privacy: CallPrivacy | None = None
    injection: CallInjection | None = None
    filters: tuple[AnswerFilter, ...] = ()
    own: Fields | None = None
    wishes: Wishes | None = None
    ahead: Mapping[bytes, bytes] = NOTHING_AHEAD
    left_out: int = 0


async def compose_call(
    call: OpenCall,
    work: CompiledWorkload,
    head: RequestHead,
    admission: Admission,
    grant: Grant,
    planner: Planner,
    values: ConversationValues,
    secret: bytes,
    slices: Slices,
) -> Composed:
    """Make the fields that go up, and note in the call what it is.

    Raises:
        Refusal: whatever is wrong with what the caller sends.
    """
    composed = await _compose(call, work, head, admission, grant, planner, secret, slices)
    if work.privacy is None:
        return composed if work.keeping is None else await _with_kept(composed, work.keeping, values, call, slices)
    privacy = await CallPrivacy.of_call(work.privacy, values, call, composed.fields, admission.route.endpoint)
    await privacy.read_names(composed.fields)
    fields = await privacy.redact(composed.fields, slices)
    # Values are back before the answer is looked at any further.
    composed = msgspec.structs.replace(composed, fields=fields, privacy=privacy, filters=(privacy, *composed.filters))
    return composed if work.keeping is None else await _with_kept(composed, work.keeping, values, call, slices)


async def _with_kept(
    composed: Composed, keeping: PrivacyPolicy, values: ConversationValues, call: OpenCall, slices: Slices
) -> Composed:
    """With what is to be kept of a long request redacted already."""
    known = None if composed.privacy is None else composed.privacy.entities
    keeper = CallPrivacy(keeping, values, call, entities=known)
    ahead = await keeper.redact_ahead(msgspec.json.encode(composed.fields), slices)
    return msgspec.structs.replace(composed, ahead=ahead)


async def _compose(
    call: OpenCall,
    work: CompiledWorkload,
    head: RequestHead,
    admission: Admission,
    grant: Grant,
    planner: Planner,
    secret: bytes,
    slices: Slices,
) -> Composed:
    endpoint = admission.route.endpoint
    call.requested_model = work.name
    call.is_streamed = head.is_streamed
    call.user = head.user or ""
    call.provider, call.model = work.chain[0].provider, work.chain[0].model
    record = call.work = Work(workload=work.name, course="" if call.work is None else call.work.course)
    metadata = note_keys(call, head, admission)
    if not grant.may_use(work.name):
        raise planner.unknown(work.name, grant)
    check_one_answer(head.fields)
    reference = prompt_reference(head.fields)
    work = work.for_call(reference, is_canary=work.tries_canary(call.call_id, call.user, call.caller.key_id))
    record.schema_hash = "" if work.schema is None else work.schema.hash
    may_set = freed_fields(work.contract.caller_may_set)
    _check_tools(work, head.fields, may_set)
    fixed = work.fixed[endpoint]
    if work.stop and endpoint is Endpoint.RESPONSES and "stop" in head.fields:  # wished for in another dialect
        fixed = {**fixed, "stop": msgspec.Raw(msgspec.json.encode(work.stop))}
    fields = merge_fixed(head.fields, fixed, limit=work.limit, limit_name=LIMIT_NAMES[endpoint][0], may_set=may_set)
    window, left_out = work.contract.window, 0
    if window is not None:
        fields, left_out = in_window(fields, endpoint, window.turns, window.step or max(1, window.turns // 2))
    prompt = work.prompt
    values = {} if prompt is None else prompt_values(reference)
    injection = None if work.injection is None else CallInjection(work.injection, record, secrets.token_bytes(32))
    if injection is not None:
        trusted = {} if prompt is None else {name: one.trusted for name, one in prompt.variables.items()}
        values, fields = await injection.screen(values, trusted, fields, endpoint, slices)
        work = msgspec.structs.replace(work, policy=work.policy.under(injection.taint))
    version = ""
    if prompt is not None:
        version = record.prompt_version = prompt.version
        record.prompt_hash = prompt.hash
        marker = secrets.token_hex(8) if work.contract.cache is None else steady_marker(work.name, values, secret)
        rendered = prompt.render(values, marker=marker)
        if work.contract.state == "provider":
            may_set = (*may_set, "previous_response_id", "conversation")
        fields = _placed(fields, endpoint, rendered, may_set)
    if injection is None:
        return Composed(work, fields, values, version, metadata, left_out=left_out)
    fields = injection.instruct(fields, endpoint)
    filters = (injection.filter(work.policy),) if injection.screens_output else ()
    return Composed(work, fields, values, version, metadata, injection=injection, filters=filters, left_out=left_out)


def steady_marker(name: str, values: Mapping[str, object], secret: bytes) -> str:
    """A marker that is the same for the same values, so that calls can be the same, and that nobody can foresee who
    does not know the secret: a value that holds it is another value, which has another marker."""
    written = msgspec.json.encode(values, order="sorted")
    return hmac.digest(secret, b"marker\0%b\0%b" % (name.encode(), written), hashlib.sha256)[:8].hex()


def _check_tools(work: CompiledWorkload, fields: Fields, may_set: Collection[str]) -> None:
    """Refuse tools that the contract does not know where answers are judged: their calls would not be.

    Raises:
        Refusal: 400 `parameter_fixed`.
    """
    if work.tools is not None or not work.judges_output or "tools" in may_set:
        return
    for name in ("tools", "functions"):
        raw = fields.get(name)
        if raw is not None and bytes(raw) not in (b"null", b"[]"):
            raise Refusal(
                400,
                "parameter_fixed",
                f"The answers of `{work.name}` are judged, and its contract has no tools, whose calls nothing would "
                f"judge: leave `{name}` out, or have the workload's owner write a tools.json.",
                param=name,
            )


def _placed(fields: Fields, endpoint: Endpoint, rendered: Rendered, may_set: tuple[str, ...]) -> Fields:
    messages = [PromptMessage(message.role, message.text) for message in rendered.messages]
    return place_messages(fields, endpoint, messages, rendered.input_at, may_set)
