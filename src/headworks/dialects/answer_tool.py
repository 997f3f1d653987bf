"""Structured output where a model at a foreign API cannot be held to a schema: it has to call a tool whose parameters
the schema is, and the call's arguments become the answer's text.

    bridge = AnswerToolBridge(Endpoint.CHAT, Endpoint.CONVERSE, body)     # used as every bridge is, see `bridging`

What it promises is less than strict structured output: that is what the validation here is for. For upstreams that
speak Chat there are more ways (`structured`).
"""

from collections.abc import Sequence

import msgspec

from headworks.dialects.bridging import DialectBridge, TranslatedStream, succeeded, summary_of_answer
from headworks.dialects.canonical import (
    AnswerCall,
    AnswerItem,
    AnswerMessage,
    AnswerText,
    FunctionTool,
    JsonSchemaFormat,
    ModelAnswer,
    ModelRequest,
    ToolName,
)
from headworks.dialects.events import Called, StreamDecoder, StreamEvent, Text
from headworks.dialects.summary import AnswerSummary
from headworks.errors import Refusal

ANSWER_TOOL = "give_answer"
"""The tool by which a model answers."""

ANSWER_TOOL_SAYS = "Give the whole answer. This is the only way to answer."


class AnswerToolBridge(DialectBridge):
    """A `bridging.Bridge` for a request that wants a schema."""

    __slots__ = ()

    def request(
        self,
        body: bytes,  # noqa: ARG002 - read before
        model: str,
        *,
        limit_name: str = "max_tokens",
        stands_for: str = "",
    ) -> bytes:
        """The request with the tool in the schema's place; see `Bridge`.

        Raises:
            Refusal: 400, also for a tool that has the name of ours.
        """
        self._model = model
        asked = by_the_tool(self._wanted())
        return self._spoken.write(msgspec.structs.replace(asked, model=model, stands_for=stands_for), limit_name)

    def answer(self, body: bytes) -> tuple[bytes, AnswerSummary]:
        """The answer, said and not called; see `Bridge`."""
        answer = succeeded(self._spoken.read(body), self._new_id, self._now)
        answer = msgspec.structs.replace(answer, model=answer.model or self._model, output=tuple(said(answer)))
        return self._asked.answer(answer), summary_of_answer(self._called, answer)

    def stream(self) -> TranslatedStream:
        """Fresh steps for a stream, in which the answer is said and not called; see `Bridge`."""
        steps = super().stream()
        steps.read_from(AnswerDecoder(self._spoken.decoder()))
        return steps


def by_the_tool(request: ModelRequest) -> ModelRequest:
    """The request with the tool in the schema's place. Where the model has others, it has to call one of them, ours
    included.

    Raises:
        Refusal: 400, for a tool that has the name of ours.
    """
    wanted = request.text_format
    if not isinstance(wanted, JsonSchemaFormat):
        return request
    if any(getattr(tool, "name", "") == ANSWER_TOOL for tool in request.tools):
        raise name_taken()
    tool = FunctionTool(ANSWER_TOOL, wanted.schema, description=ANSWER_TOOL_SAYS)
    return msgspec.structs.replace(
        request,
        text_format=None,
        tools=(*request.tools, tool),
        tool_choice="required" if request.tools else ToolName("function", ANSWER_TOOL),
    )


class AnswerDecoder:
    """A stream in which the answer's tool call is the answer's text. Implements `events.StreamDecoder`."""

    __slots__ = ("_decoder", "_index")

    def __init__(self, decoder: StreamDecoder) -> None:
        self._decoder = decoder
        self._index = -1

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """As `events.StreamDecoder`."""
        return [self._seen(event) for event in self._decoder.feed(chunk)]

    def _seen(self, event: StreamEvent) -> StreamEvent:
        if not isinstance(event, Called):
            return event
        if event.name == ANSWER_TOOL:
            self._index = event.index
        return Text(event.text) if event.index == self._index else event


def said(answer: ModelAnswer) -> Sequence[AnswerItem]:
    """The output of an answer, with the call that is the answer as text."""
    return [
        AnswerMessage((AnswerText(item.text),)) if isinstance(item, AnswerCall) and item.name == ANSWER_TOOL else item
        for item in answer.output
    ]


def name_taken() -> Refusal:
    """The refusal of a tool that has the name of ours."""
    message = f"A tool is named `{ANSWER_TOOL}`, which is how this model's provider is asked for structured output."
    return Refusal(400, "invalid_value", message, param="tools")
