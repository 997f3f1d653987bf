"""What makes two calls of a workload the same, and what of them may be like instead: the keys of its response cache."""

import msgspec

from headworks.admission import Admission
from headworks.calls import Endpoint
from headworks.composing import CONTENT, PromptMessage, caller_items, prompt_item
from headworks.dialects.reading import Fields, kind_of
from headworks.errors import Refusal
from headworks.response_cache import Asked, key_of, tenant_of
from headworks.settlement import OpenCall
from headworks.workload_request import Composed, steady_marker

_STATEFUL = ("previous_response_id", "conversation")
_OWN_TOOLS = ("function", "custom")
"""Tools that the caller runs; any other is run by the provider, and may act there."""

_LAST_MESSAGE = "the last message"

_decode_tools = msgspec.json.Decoder(list[Fields]).decode
_decode_fields = msgspec.json.Decoder(Fields).decode
_decode_parts = msgspec.json.Decoder(list[Fields]).decode
_encode = msgspec.json.Encoder().encode


class Compared(msgspec.Struct, frozen=True):
    """The one text of a call that may be another that is like it, and the key of everything else."""

    context: bytes
    text: str


def asked_of(call: OpenCall, asked: Composed, admission: Admission, fingerprint: str) -> Asked | None:
    """What makes the call the same as another; None where its answer depends on what is not in it, or making it has
    effects.

    Arguments:
        fingerprint: of what its answer depends on beside the request.
    """
    work, fields = asked.work, asked.fields
    cache = work.contract.cache
    assert cache is not None, "who asks has looked"
    if asked.injection is not None or work.contract.actions or call.home:
        return None
    if asked.privacy is not None and (call.is_streamed or asked.privacy.has_failed):
        return None
    if any(not _is_null(fields.get(name)) for name in _STATEFUL) or not _is_pure(fields):
        return None
    record = call.work
    assert record is not None, "it was made with the call"
    return Asked(
        work.name,
        tenant_of(cache.scope, call.caller.key_id, call.caller.team, call.user),
        admission.route.endpoint.value,
        call.is_streamed,
        tuple((target.provider.partition(":")[0], target.model) for target in work.chain),
        fingerprint,
        asked.version,
        record.schema_hash,
        _without_key(admission.forwarded),
        fields,
        asked.values,
        asked.metadata if work.rules is not None else None,
        "" if asked.privacy is None else asked.privacy.values_hash(),
    )


def compared_of(exact: Asked, asked: Composed, endpoint: Endpoint, over: str, secret: bytes) -> Compared | None:
    """The text of a call that may be another; None where there is none, or more than text could make a difference.

    Arguments:
        exact: the call as a whole.
        over: the prompt's variable whose text it is; "" for the caller's last message.
        secret: of this installation.
    """
    fields = asked.fields
    if asked.privacy is not None or not (_is_null(fields.get("tools")) and _is_null(fields.get("functions"))):
        return None
    try:
        items = _own_items(asked, endpoint, secret)
        values = dict(asked.values)
        last = items.pop() if items and not over else None
        text = values.pop(over, None) if last is None else _text_of(last)
    except (Refusal, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(text, str) or not text.strip():
        return None
    rest = {**fields, CONTENT[endpoint]: msgspec.Raw(_encode(items))}
    context = msgspec.structs.replace(exact, fields=rest, values=values, compared=over or _LAST_MESSAGE)
    key = key_of(context, secret)
    return None if key is None else Compared(key, text)


def _own_items(asked: Composed, endpoint: Endpoint, secret: bytes) -> list[msgspec.Raw]:
    """The conversation without the prompt's messages, which are the same where version and values are.

    Raises:
        Refusal: what stands there is not what the prompt gives.
    """
    items = caller_items(asked.fields, endpoint)
    prompt = asked.work.prompt
    if prompt is None:
        return items
    rendered = prompt.render(asked.values, marker=steady_marker(asked.work.name, asked.values, secret))
    ours = [prompt_item(PromptMessage(one.role, one.text), endpoint) for one in rendered.messages]
    before, behind = ours[: rendered.input_at], ours[rendered.input_at :]
    end = len(items) - len(behind)
    if items[: len(before)] != before or items[end:] != behind:
        raise Refusal(400, "prompt_differs", "The prompt's messages are not where they should be.")
    return items[len(before) : end]


def _text_of(item: msgspec.Raw) -> str | None:
    """The text of a message of the user's that is nothing but text; None for anything else."""
    message = _decode_fields(item)
    if not {"role", "content"} <= message.keys() <= {"role", "content", "type"}:
        return None
    if bytes(message["role"]) != b'"user"' or bytes(message.get("type", b'"message"')) != b'"message"':
        return None
    content = message["content"]
    if kind_of(content) != "array":
        return str(msgspec.json.decode(content)) if kind_of(content) == "string" else None
    parts = _decode_parts(content)
    if len(parts) != 1 or parts[0].keys() != {"type", "text"}:
        return None
    if bytes(parts[0]["type"]) not in (b'"input_text"', b'"text"'):
        return None
    return str(msgspec.json.decode(parts[0]["text"])) if kind_of(parts[0]["text"]) == "string" else None


def _is_null(raw: msgspec.Raw | None) -> bool:
    return raw is None or bytes(raw) == b"null"


def _is_pure(fields: Fields) -> bool:
    """Whether making the call changes nothing: nothing is to be stored for the caller to find, and no tool is one that
    the provider runs. A response is stored by default; who says that it is to be means a response of its own."""
    if bytes(fields.get("store", b"")) == b"true":
        return False
    if not _is_null(fields.get("web_search_options")):
        return False
    raw = fields.get("tools")
    if raw is None or kind_of(raw) != "array":
        return _is_null(raw)
    try:
        kinds = {str(msgspec.json.decode(tool.get("type", b"null"))) for tool in _decode_tools(raw)}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return kinds.issubset(_OWN_TOOLS)


def _without_key(forwarded: bytes) -> bytes:
    """The headers that go up, without the one that names a call."""
    lines = forwarded.split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.startswith(b"idempotency-key:"))
