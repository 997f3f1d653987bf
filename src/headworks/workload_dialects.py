"""Calls of workloads through the APIs of Anthropic and Google: the same steps, in the Responses API's words.

A workload's own work (prompt, schema, tools, judging, mending) is done in OpenAI's dialects. A call that comes in
another one is translated once on the way in, and its answer once on the way out; in between it is a call of Responses.
"""

import re
from collections.abc import Callable

import msgspec

from headworks.admission import Admission
from headworks.answering import request_id_line
from headworks.calls import AttemptFailed, Endpoint
from headworks.dialects import RequestHead, read_fields, read_head, refusal_body, translated_error
from headworks.dialects.bridging import ASKED, Asked
from headworks.dialects.canonical import ModelAnswer, UpstreamError
from headworks.dialects.leaving_out import name_it
from headworks.dialects.responses_answers import decode_responses_answer
from headworks.dialects.responses_requests import encode_responses_request
from headworks.dialects.responses_streams import ResponsesDecoder
from headworks.dialects.whole import marked
from headworks.dialects.wishes import Wishes, beside
from headworks.endpoints import Route
from headworks.errors import Refusal
from headworks.exchange import Reply
from headworks.settlement import OpenCall

TRANSLATED = (Endpoint.MESSAGES, Endpoint.GENERATE_CONTENT)
"""Dialects in which workloads can be called, and which they do not speak themselves."""

_DEGRADED = re.compile(rb'"headworks\.degraded":"([a-z_]{1,64})"')
"""In an answer of our own: its text can hold no such thing, for there the quotation marks are escaped."""

_RESPONSES_PATH = "/responses"


def in_responses(
    call: OpenCall,
    head: RequestHead,
    admission: Admission,
    reply: Reply,
    name: str,
    limit: int | None,
) -> tuple[RequestHead, Admission, Reply, Wishes]:
    """The call as one of the Responses API; what answers it answers the caller in the dialect that it came in; and what
    of the head's fields is wished that this API has no place for.

    Arguments:
        name: the workload's.
        limit: the contract's bound on output tokens. Anthropic's API has every caller say one: a higher one means this.

    Raises:
        Refusal: 400, naming the field that is wrong or cannot be honoured.
    """
    route = admission.route
    fields = {field: raw for field, raw in head.fields.items() if field != "prompt"}
    asked = ASKED[route.endpoint](fields)
    try:
        request = asked.request()
        if limit is not None and request.max_output_tokens is not None and request.max_output_tokens > limit:
            request = msgspec.structs.replace(request, max_output_tokens=None)
        request, wished = beside(msgspec.structs.replace(request, model=name, store=False))
        written = {**read_fields(encode_responses_request(request)), **wished}
    except Refusal as refusal:
        name_it(refusal, fields)
        raise
    if "prompt" in head.fields:
        written["prompt"] = head.fields["prompt"]
    inner = Route("POST", route.path, route.manner, Endpoint.RESPONSES, _RESPONSES_PATH, is_model_call=True)
    return (
        read_head(msgspec.json.encode(written), Endpoint.RESPONSES),
        msgspec.structs.replace(admission, route=inner, forwarded=b""),
        TranslatedReply(reply, call, route.endpoint, asked),
        Wishes(route.endpoint, tuple(wished)),
    )


class TranslatedReply:
    """Implements `exchange.Reply`: what comes in the words of the Responses API goes on in those of another.

    Arguments:
        reply: where it goes.
        called: the caller's dialect.
        asked: what was asked in it.

    State: how far its stream has come.
    """

    def __init__(self, reply: Reply, call: OpenCall, called: Endpoint, asked: Asked) -> None:
        self._reply = reply
        self._call = call
        self._called = called
        self._asked = asked
        self._decoder = ResponsesDecoder()
        self._encoder = asked.encoder()
        self._is_broken = False

    def respond(self, status: int, headers: bytes, body: bytes) -> None:
        """See `Reply`."""
        if b"content-type: text/event-stream" in headers:
            body = self._marked(body, self._through(body))
        elif status >= 300:
            body = translated_error(body, self._called, status)
        else:
            try:
                answer = decode_responses_answer(body, skips_hosted=True)
            except AttemptFailed as error:
                answer = UpstreamError(error.failure.kind.value, "The provider's answer cannot be translated.")
            if isinstance(answer, ModelAnswer):
                body = self._marked(body, self._asked.answer(answer))
            else:
                status, body = 502, refusal_body(Refusal(502, answer.code, answer.message), self._call.endpoint)
        self._reply.respond(status, self._headers(headers), body)

    def begin(self, status: int, headers: bytes, first: bytes = b"", length: int | None = None) -> None:
        """See `Reply`; a stream has no `length`."""
        assert length is None, "a workload's stream is of events"
        self._reply.begin(status, self._headers(headers), self._through(first))

    def write(self, data: bytes) -> None:
        """See `Reply`."""
        out = self._through(data)
        if out:
            self._reply.write(out)

    def end(self, data: bytes = b"") -> None:
        """See `Reply`."""
        self._reply.end(self._marked(data, self._through(data)))

    def abort(self) -> None:
        """See `Reply`."""
        self._reply.abort()

    def set_flow(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        """See `Reply`."""
        self._reply.set_flow(pause, resume)

    def _headers(self, headers: bytes) -> bytes:
        if self._called is Endpoint.MESSAGES and b"\r\nrequest-id:" not in headers:
            headers += request_id_line(self._call).encode()
        return headers

    def _marked(self, data: bytes, out: bytes) -> bytes:
        """What goes on of an answer that no model gave, with the metadata that says so."""
        found = _DEGRADED.search(data) if b'"headworks/deterministic"' in data else None
        return out if found is None else marked(out, self._called, {"headworks.degraded": found[1].decode()})

    def _through(self, data: bytes) -> bytes:
        """A piece of the stream. What is said in comments stands at its beginning, and is of no dialect."""
        out: list[bytes] = []
        while data.startswith((b": ", b"\n")):
            at = data.index(b"\n\n") + 2 if data.startswith(b": ") else 1
            # Google's clients know no comments: see `stream_heart`.
            if self._called is not Endpoint.GENERATE_CONTENT or data.startswith(b"\n"):
                out.append(data[:at])
            data = data[at:]
        if data and not self._is_broken:
            try:
                out.extend([self._encoder.encode(event) for event in self._decoder.feed(data)])
            except AttemptFailed as error:
                self._is_broken = True
                message = "The provider's answer cannot be translated from here on."
                out.append(self._encoder.encode(UpstreamError(error.failure.kind.value, message)))
        return b"".join(out)
