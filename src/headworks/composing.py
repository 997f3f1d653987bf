"""Step 3 for a workload: the request that goes up, in the caller's dialect. It is made of what the contract fixes, the
prompt's messages and what the caller sends. Pure.

The caller's own messages stand where the prompt says. What the contract fixes, a caller may repeat but not change,
unless the contract says so. In a workload with a prompt the instructions are the prompt's: a caller sends neither
`instructions`, nor messages in a role above the user's, nor what is stored elsewhere and could hold either.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import msgspec

from headworks.calls import Endpoint
from headworks.config.contract import OutputLimits
from headworks.dialects.reading import Fields, invalid_type, kind_of
from headworks.dialects.unsupported import shown_name
from headworks.errors import Refusal

_encode = msgspec.json.Encoder().encode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_number = msgspec.json.Decoder(int).decode
_decode_fields = msgspec.json.Decoder(Fields).decode

LIMIT_NAMES = {
    Endpoint.RESPONSES: ("max_output_tokens",),
    Endpoint.CHAT: ("max_completion_tokens", "max_tokens"),
}
"""Fields that bound the output."""

_ALL_LIMITS = LIMIT_NAMES[Endpoint.RESPONSES] + LIMIT_NAMES[Endpoint.CHAT]

_FREED = {
    "max_tokens": _ALL_LIMITS,
    "reasoning_effort": ("reasoning_effort", "reasoning.effort"),
    "verbosity": ("verbosity", "text.verbosity"),
}
"""Under `output` a contract calls by one name what requests call by several."""

_NESTED = ("text", "reasoning")
"""Fields of the Responses API whose own fields are fixed one by one: the caller has the rest."""

_FORERUNNERS = {"functions": "tools"}
"""Older names under which an upstream takes the same (OpenAI API reference, "Create chat completion", 2026-10)."""

CONTENT = {Endpoint.RESPONSES: "input", Endpoint.CHAT: "messages"}
"""Where the conversation stands."""

_CALLERS_ROLES = {
    Endpoint.RESPONSES: frozenset({"user", "assistant"}),
    Endpoint.CHAT: frozenset({"user", "assistant", "tool", "function"}),
}
"""Roles that a caller may speak in. A list of those allowed: servers differ in what else they take for instructions."""

_INSTRUCTIONS = ("instructions", "previous_response_id", "conversation")
"""Fields of the Responses API that bring instructions along, or a conversation that may hold some."""

_NULL = msgspec.Raw(b"null")

PromptRole = Literal["developer", "system", "user", "assistant"]


class PromptMessage(msgspec.Struct, frozen=True):
    """One message of a rendered prompt."""

    role: PromptRole
    text: str


class PromptReference(msgspec.Struct, frozen=True):
    """The Responses API's `prompt`, which calls of a workload may have in Chat, too."""

    id: str = ""
    version: str | None = None
    variables: dict[str, msgspec.Raw] | None = None


_decode_reference = msgspec.json.Decoder(PromptReference).decode


def prompt_reference(fields: Fields) -> PromptReference:
    """What the caller says of the prompt.

    Raises:
        Refusal: 400 `invalid_type`.
    """
    raw = fields.get("prompt")
    if raw is None or bytes(raw) == b"null":
        return PromptReference()
    try:
        return _decode_reference(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Refusal(
            400,
            "invalid_type",
            "Invalid 'prompt': expected an object with `id`, `version` (a string) and `variables` (an object).",
            param="prompt",
        ) from None


def prompt_values(reference: PromptReference) -> dict[str, object]:
    """The values of the prompt's variables. A text may also come as the Responses API's `input_text`.

    Raises:
        Refusal: 400 `invalid_prompt_variable`: a value cannot be read, or is an image or a file.
    """
    values: dict[str, object] = {}
    for name, raw in (reference.variables or {}).items():
        try:
            values[name] = _value_of(name, msgspec.json.decode(raw))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise Refusal(
                400,
                "invalid_prompt_variable",
                f"A value under `prompt.variables` cannot be read ({kind_of(raw)}): a number is out of range, it is "
                "nested too deeply, or a string in it holds half of a surrogate pair.",
                param="prompt.variables",
            ) from None
    return values


def _value_of(name: str, value: object) -> object:
    """A value, taken out of the input item that it may come in (OpenAI API reference, `ResponsePrompt`, 2026-11)."""
    if not isinstance(value, dict) or value.get("type") not in ("input_text", "input_image", "input_file"):
        return value
    if value["type"] == "input_text" and isinstance(value.get("text"), str):
        return value["text"]
    shown = shown_name(name)
    raise Refusal(
        400,
        "invalid_prompt_variable",
        f"The variable `{shown}` is an {value['type']}: here a variable is a value or an `input_text` with "
        "its `text`; send images and files in `input`.",
        param=f"prompt.variables.{shown}",
    )


FIXABLE = frozenset(
    {
        *("temperature", "stop", "verbosity", "reasoning_effort", "max_tokens", *_ALL_LIMITS),
        *("text", "reasoning", "response_format", "tools", "functions", *_INSTRUCTIONS),
        *("fallback", "retries"),
    }
)
"""What `caller_may_set` can mean: whatever else a caller sends is the caller's anyway. The last two are headers,
`x-headworks-fallback` and `x-headworks-retries`."""


def freed_fields(caller_may_set: Sequence[str]) -> tuple[str, ...]:
    """The fields of a request that a contract's `caller_may_set` means: their own names, and those of `output`."""
    return tuple(field for name in caller_may_set for field in _FREED.get(name, (name,)))


def check_one_answer(fields: Fields) -> None:
    """Refuse what would have answers come by another way than this call's, or several of them: none would be judged.

    Raises:
        Refusal: 400 `parameter_fixed`.
    """
    for name, allowed in (("background", b"false"), ("n", b"1")):
        raw = fields.get(name)
        if raw is not None and bytes(raw) not in (allowed, b"null"):
            raise Refusal(
                400,
                "parameter_fixed",
                f"A workload answers a call once, and at once, so that its answer can be judged: leave `{name}` out.",
                param=name,
            )


def fixed_fields(
    output: OutputLimits, endpoint: Endpoint, *, schema_format: Mapping[str, object] | None, tools: bytes | None
) -> dict[str, msgspec.Raw]:
    """The fields that a contract gives each of its calls in this dialect; the output limit is not among them.

    Arguments:
        output: what the contract says of the output.
        schema_format: `name`, `schema` and `strict` of the answers' JSON Schema.
        tools: the tools as the Responses API has them.
    """
    made: dict[str, object] = {"temperature": output.temperature}
    if endpoint is Endpoint.RESPONSES:
        text = {
            "format": None if schema_format is None else {"type": "json_schema", **schema_format},
            "verbosity": output.verbosity,
        }
        made["text"] = {name: value for name, value in text.items() if value is not None} or None
        made["reasoning"] = None if output.reasoning_effort is None else {"effort": output.reasoning_effort}
        made["tools"] = None if tools is None else msgspec.Raw(msgspec.json.format(tools, indent=-1))
    else:
        made["reasoning_effort"] = output.reasoning_effort
        made["verbosity"] = output.verbosity
        made["stop"] = output.stop or None
        if schema_format is not None:
            made["response_format"] = {"type": "json_schema", "json_schema": dict(schema_format)}
        made["tools"] = None if tools is None else [_chat_tool(tool) for tool in msgspec.json.decode(tools)]
    return {name: msgspec.Raw(_encode(value)) for name, value in made.items() if value is not None}


def _chat_tool(tool: dict[str, object]) -> dict[str, object]:
    kind = str(tool["type"])
    return {"type": kind, kind: {name: value for name, value in tool.items() if name != "type"}}


def response_tool(tool: Mapping[str, object]) -> dict[str, object]:
    """A tool as the Responses API has it, of one as Chat has it."""
    kind = str(tool["type"])
    inner = tool.get(kind)
    return {"type": kind, **inner} if isinstance(inner, dict) else dict(tool)


def merge_fixed(
    fields: Fields, fixed: Mapping[str, msgspec.Raw], *, limit: int | None, limit_name: str, may_set: Collection[str]
) -> Fields:
    """The caller's fields with the contract's among them.

    Arguments:
        limit: the contract's bound on output tokens; a caller may ask for fewer.
        limit_name: what the upstream calls it.
        may_set: names that a caller may change all the same.

    Raises:
        Refusal: 400 `parameter_fixed`, for each field that would change what the contract fixes.
    """
    merged = {name: raw for name, raw in fields.items() if name != "prompt"}
    changed = [
        name for name, later in _FORERUNNERS.items() if name in merged and later in fixed and later not in may_set
    ]
    for name, raw in fixed.items():
        theirs = merged.get(name)
        if name in _NESTED and theirs is not None and name not in may_set and kind_of(theirs) == "object":
            merged[name], inner = _merge_nested(name, theirs, raw, may_set)
            changed += inner
        elif theirs is None or bytes(theirs) == b"null" or (name not in may_set and _same(theirs, raw)):
            merged[name] = raw  # also where it is the same: theirs may say it twice, and differently the first time
        elif name not in may_set:
            changed.append(name)
    if limit is not None:
        asked = {name: _whole_number(merged.pop(name), name) for name in _ALL_LIMITS if name in merged}
        changed += [name for name, most in asked.items() if most is not None and most > limit and name not in may_set]
        limit = min((most for most in asked.values() if most is not None), default=limit)
    if changed:
        raise Refusal(
            400,
            "parameter_fixed",
            f"This workload's contract fixes {', '.join(f'`{name}`' for name in changed)}: leave it out, or have the "
            "workload's owner list it under `caller_may_set`.",
            param=changed[0],
        )
    if limit is not None:
        merged[limit_name] = msgspec.Raw(_encode(limit))
    return merged


def _merge_nested(
    name: str, theirs: msgspec.Raw, ours: msgspec.Raw, may_set: Collection[str]
) -> tuple[msgspec.Raw, list[str]]:
    """An object with what the contract fixes of it, and the names in it that would change that."""
    merged, changed = _decode_fields(theirs), []
    for key, raw in _decode_fields(ours).items():
        given = merged.get(key)
        is_free = f"{name}.{key}" in may_set
        if given is None or bytes(given) == b"null" or (not is_free and _same(given, raw, key)):
            merged[key] = raw
        elif not is_free:
            changed.append(f"{name}.{key}")
    return msgspec.Raw(_encode(merged)), changed


def _same(theirs: msgspec.Raw, ours: msgspec.Raw, field: str = "") -> bool:
    """Whether two values are the same; `field` is the one within another that they are of."""
    try:
        one, other = msgspec.json.decode(theirs), msgspec.json.decode(ours)
        if field:
            one, other = {field: one}, {field: other}
        return bool(_unlabelled(one) == _unlabelled(other))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def _unlabelled(value: object) -> object:
    """A form of answers (`text`, its `format`, `response_format`) without its schema's name: clients choose one, and it
    changes no answer; anything else as it is."""
    if not isinstance(value, dict):
        return value
    if value.get("type") != "json_schema":
        return {field: _unlabelled(inner) if field == "format" else inner for field, inner in value.items()}
    bare = {field: inner for field, inner in value.items() if field != "name"}
    below = bare.get("json_schema")  # there in Chat
    if isinstance(below, dict):
        bare["json_schema"] = {field: inner for field, inner in below.items() if field != "name"}
    return bare


def _whole_number(raw: msgspec.Raw, name: str) -> int | None:
    if bytes(raw) == b"null":
        return None
    try:
        return _decode_number(raw)
    except msgspec.MsgspecError:
        raise invalid_type(name, "a whole number", kind_of(raw)) from None


def place_messages(
    fields: Fields, endpoint: Endpoint, messages: Sequence[PromptMessage], input_at: int, may_set: Collection[str]
) -> Fields:
    """The fields with the prompt's messages around the caller's own.

    Raises:
        Refusal: 400 `role_not_allowed` or `parameter_fixed`: the caller sends instructions of its own, or what may
            hold some. 400 `invalid_type`: an item is no object.
    """
    for name in _INSTRUCTIONS if endpoint is Endpoint.RESPONSES else ():
        raw = fields.get(name)
        if raw is not None and bytes(raw) != b"null" and name not in may_set:
            raise Refusal(
                400,
                "parameter_fixed",
                f"The instructions of this workload are its prompt's, and `{name}` could bring others: send the "
                "conversation in `input`, or have the workload's owner list it under `caller_may_set`.",
                param=name,
            )
    content = CONTENT[endpoint]
    theirs = caller_items(fields, endpoint)
    if "instructions" not in may_set:
        theirs = [_lowly(item, endpoint, f"{content}[{index}]") for index, item in enumerate(theirs)]
    ours = [prompt_item(message, endpoint) for message in messages]
    placed = {name: raw for name, raw in fields.items() if name != content}
    placed[content] = msgspec.Raw(_encode([*ours[:input_at], *theirs, *ours[input_at:]]))
    return placed


def append_turns(fields: Fields, endpoint: Endpoint, turns: Sequence[PromptMessage]) -> Fields:
    """The fields with further messages at the end of the conversation."""
    content = CONTENT[endpoint]
    further = [prompt_item(turn, endpoint) for turn in turns]
    return {**fields, content: msgspec.Raw(_encode([*caller_items(fields, endpoint), *further]))}


def caller_items(fields: Fields, endpoint: Endpoint) -> list[msgspec.Raw]:
    """The conversation as a list of items; a plain text is the user's message."""
    raw = fields.get(CONTENT[endpoint])
    if raw is None or bytes(raw) == b"null":
        return []
    if kind_of(raw) == "string":
        text = _decode_text(raw)
        return [prompt_item(PromptMessage("user", text), endpoint)] if text else []
    try:
        return _decode_items(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise invalid_type(CONTENT[endpoint], "an array", kind_of(raw)) from None


def last_words(fields: Fields, endpoint: Endpoint) -> str:
    """The text of the last message that the caller sends as the user; empty where there is none."""
    for item in reversed(caller_items(fields, endpoint)):
        message = _decode_fields(item) if kind_of(item) == "object" else {}
        if _text_of(message.get("role", _NULL)) == "user":
            return _text_in(message.get("content", _NULL))
    return ""


def _text_in(content: msgspec.Raw) -> str:
    """The text of a message's content, which may be in parts."""
    text = _text_of(content)
    if text is not None:
        return text
    parts = _decode_items(content) if kind_of(content) == "array" else []
    texts = (_text_of(_decode_fields(part).get("text", _NULL)) for part in parts if kind_of(part) == "object")
    return "\n".join(text for text in texts if text is not None)


def _lowly(item: msgspec.Raw, endpoint: Endpoint, place: str) -> msgspec.Raw:
    """An item that no parser can take for instructions: its names are each there once, its values as they came.

    Raises:
        Refusal: it has a role that a caller may not speak in, or refers to a stored item, which may have one.
    """
    try:
        fields = _decode_fields(item)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise invalid_type(place, "an object", kind_of(item)) from None
    role = fields.get("role")
    if role is not None:
        spoken = _text_of(role)
        if spoken in _CALLERS_ROLES[endpoint]:
            return msgspec.Raw(_encode(fields))
        if spoken is None:
            raise invalid_type(f"{place}.role", "a string", kind_of(role))
        named = f" `{spoken}`" if spoken in ("system", "developer") else ", which is none of a caller's"
        raise Refusal(
            400,
            "role_not_allowed",
            f"'{place}' has the role{named}: the instructions of this workload are its prompt's.",
            param=f"{place}.role",
        )
    if endpoint is Endpoint.RESPONSES and _text_of(fields.get("type", _NULL)) in (None, "item_reference"):
        raise Refusal(
            400,
            "role_not_allowed",
            f"'{place}' has no role and no type but `item_reference`: what it refers to may be an instruction, and the "
            "instructions of this workload are its prompt's. Send the item itself.",
            param=place,
        )
    return msgspec.Raw(_encode(fields))


def _text_of(raw: msgspec.Raw) -> str | None:
    """A string; None for anything else."""
    try:
        return _decode_text(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def prompt_item(message: PromptMessage, endpoint: Endpoint) -> msgspec.Raw:
    """A message of a prompt as an item of the conversation."""
    return msgspec.Raw(_encode(_message(message, endpoint)))


def _message(message: PromptMessage, endpoint: Endpoint) -> dict[str, object]:
    if endpoint is Endpoint.RESPONSES:
        return {"role": message.role, "content": message.text}
    # `developer` is OpenAI's word; servers that speak only Chat know `system`, and OpenAI takes it for the same.
    return {"role": "system" if message.role == "developer" else message.role, "content": message.text}
