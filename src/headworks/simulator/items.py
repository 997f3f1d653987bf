"""The items of the Responses API: what a conversation is made of, as it came in and as it is shown again."""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Raw

from headworks.simulator.asking import Segment
from headworks.simulator.decoding import ABSENT, decoded, given
from headworks.simulator.rejection import Rejection


class _Part(msgspec.Struct):
    """A piece of content, of a message or of a tool's output; what is not text is carried, not read."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    prompt_cache_breakpoint: Raw = ABSENT


class _ItemBody(msgspec.Struct):
    """The fields of an item that the simulator reads."""

    type: str | None = None
    id: str | None = None
    role: str | None = None
    content: str | list[_Part] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | list[_Part] | None = None


class Item(msgspec.Struct, frozen=True):
    """One item: its JSON as it came, and what was read from it."""

    json: bytes
    body: _ItemBody

    @property
    def kind(self) -> str:
        return self.body.type or "message"

    @property
    def is_user_text(self) -> bool:
        return self.kind == "message" and self.body.role == "user"

    @property
    def is_output(self) -> bool:
        """Whether it is the output of a tool."""
        return self.kind.endswith("_call_output")

    @property
    def call_id(self) -> str:
        return self.body.call_id or ""

    @property
    def text(self) -> str:
        """The text of a message, or of a tool's output."""
        content = self.body.output if self.is_output else self.body.content
        if isinstance(content, str):
            return content
        return "\n".join(part.text for part in content or () if part.text)

    def segments(self) -> list[Segment]:
        """The item as a stretch of the prompt."""
        if self.kind != "message":
            return [Segment(self.json.decode())]
        heading = Segment(f"{self.body.role}\n")
        if isinstance(self.body.content, str):
            return [heading, Segment(self.body.content)]
        return [heading, *map(_part_segment, self.body.content or ())]


def read_item(json: bytes, place: str) -> Item:
    """One item of the input. Raises Rejection where its fields are of wrong types."""
    item = Item(json, decoded(json, _ItemBody, place))
    if item.kind == "message":
        if item.body.role is None:
            raise Rejection(
                400, f"Missing required parameter: '{place}.role'.", code="missing_required_parameter", param=place
            )
        if item.body.role not in {"user", "assistant", "system", "developer"}:
            raise Rejection(
                400,
                f"Invalid value: '{item.body.role}'. Supported values are: 'assistant', 'system', 'developer', and "
                "'user'.",
                code="invalid_value",
                param=f"{place}.role",
            )
        if item.body.content is None:
            raise Rejection(
                400,
                f"Missing required parameter: '{place}.content'.",
                code="missing_required_parameter",
                param=f"{place}.content",
            )
    return item


def text_item(text: str) -> Item:
    """The user message that a plain string stands for."""
    json = msgspec.json.encode({"type": "message", "role": "user", "content": text})
    return Item(json, _ItemBody(type="message", role="user", content=text))


def made_items(values: Iterable[object]) -> tuple[Item, ...]:
    """Items of the simulator's own output, as a later request sees them."""
    return tuple(Item(json, decoded(json, _ItemBody)) for json in map(msgspec.json.encode, values))


def shown(item: Item, identifier: str) -> dict[str, object]:
    """The item as GET …/input_items lists it: with an id and a status, and content in parts."""
    value: dict[str, object] = msgspec.json.decode(item.json, type=dict)
    value["type"] = item.kind
    value["id"] = item.body.id or identifier
    if item.kind == "message":
        kind = "output_text" if item.body.role == "assistant" else "input_text"
        if isinstance(item.body.content, str):
            value["content"] = [{"type": kind, "text": item.body.content}]
        if kind == "output_text":
            value["content"] = [{"annotations": [], "logprobs": [], **part} for part in _dicts(value["content"])]
    value.setdefault("status", "completed")
    return value


def check_calls(items: Sequence[Item]) -> None:
    """Every tool output has its call before it, and every call its output. Raises Rejection."""
    called: set[str] = set()
    open_calls: dict[str, None] = {}
    for item in items:
        if item.kind == "function_call":
            called.add(item.call_id)
            open_calls[item.call_id] = None
        elif item.kind == "function_call_output":
            if item.call_id not in called:
                raise Rejection(
                    400, f"No tool call found for function call output with call_id {item.call_id}.", param="input"
                )
            open_calls.pop(item.call_id, None)
    if open_calls:
        raise Rejection(400, f"No tool output found for function call {next(iter(open_calls))}.", param="input")


def _dicts(value: object) -> list[dict[str, object]]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _part_segment(part: _Part) -> Segment:
    is_marked = bool(given(part.prompt_cache_breakpoint))
    if part.type == "input_image":
        return Segment(part.image_url or part.file_id or "", is_marked, is_image=True)
    text = part.text or part.refusal or part.file_data or part.file_url or part.file_id or ""
    return Segment(text, is_marked)
