"""What the lines of a batch's output have used, read while the file comes: for providers whose batches do not say it,
and for models whose price depends on how long a call was. Pure, but for the sink that a file comes into."""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from headworks.batch_settling import OutputUse
from headworks.calls import Failure, Usage, both_extras
from headworks.catalogue import TargetPrice
from headworks.dialects import read_images_answer
from headworks.dialects.usage import NO_TOOLS, ChatUsage, HostedUse, ResponsesUsage, with_tools
from headworks.flow import Signal

_MOST_LINE_BYTES = 64 * 1024 * 1024
_NOTHING = Usage(source="provider")


class _Item(msgspec.Struct):
    type: str = ""


class _Body(msgspec.Struct):
    model: str | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")
    tool_usage: msgspec.Raw = NO_TOOLS
    output: msgspec.Raw = msgspec.Raw(b"[]")


class _Response(msgspec.Struct):
    status_code: int = 200
    body: _Body | None = None


class _Line(msgspec.Struct):
    response: _Response | None = None


_decode = msgspec.json.Decoder(_Line).decode
_decode_responses = msgspec.json.Decoder(ResponsesUsage).decode
_decode_items = msgspec.json.Decoder(tuple[_Item, ...] | None).decode
_decode_chat = msgspec.json.Decoder(ChatUsage).decode


class OutputLines:
    """Reads the lines in pieces of any size. State: the line that is under way, and the sums.

    Arguments:
        price_of: the prices of a model.
        at_us: when the batch was made, in microseconds since the Unix epoch.
        tier: whose prices hold.
        drawn_by: the model of a batch of images, which they do not say; None for other batches.
    """

    def __init__(
        self, price_of: Callable[[str], TargetPrice], *, at_us: int, tier: str, drawn_by: str | None = None
    ) -> None:
        self._price_of = price_of
        self._drawn_by = drawn_by
        self._at_us = at_us
        self._tier = tier
        self._prices: dict[str, TargetPrice] = {}
        self._rest = b""
        self._usage = _NOTHING
        self._cost_pico = 0
        self._is_unknown = False

    def feed(self, data: bytes) -> None:
        """The next piece."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line)
        if len(self._rest) > _MOST_LINE_BYTES:
            self._is_unknown, self._rest = True, b""

    def use(self) -> OutputUse:
        """What they came to, once all of it has come."""
        self._take(self._rest)
        self._rest = b""
        return OutputUse(self._usage, -1 if self._is_unknown else self._cost_pico)

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            response = _decode(line).response
            if response is None or response.status_code >= 300:
                return  # it came to nothing, and costs nothing
            body = response.body
            usage = None if body is None else self._usage_in(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._is_unknown = True
            return
        if body is None or usage is None:
            self._is_unknown = True
            return
        model = body.model or self._drawn_by or ""
        price = self._prices.get(model)
        if price is None:
            price = self._prices[model] = self._price_of(model)
        cost = price.cost(usage, at_us=self._at_us, tier=self._tier)
        if cost is None or not cost.is_complete or cost.tier != self._tier:
            self._is_unknown = True
        else:
            self._cost_pico += cost.total
        self._usage = _sum(self._usage, usage)

    def _usage_in(self, body: _Body) -> Usage | None:
        raw = body.usage
        if bytes(raw) == b"null":
            return None
        if self._drawn_by is not None:
            return read_images_answer(b'{"usage":%b}' % bytes(raw)).usage
        usage = _decode_responses(raw).stated() or _decode_chat(raw).stated()
        return with_tools(usage, body.tool_usage, HostedUse.of(item.type for item in _decode_items(body.output) or ()))


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        one.input_tokens + other.input_tokens,
        one.cached_tokens + other.cached_tokens,
        one.cache_write_tokens + other.cache_write_tokens,
        one.output_tokens + other.output_tokens,
        one.reasoning_tokens + other.reasoning_tokens,
        "provider",
        extras=both_extras(one.extras, other.extras),
    )


class Fed(Protocol):
    """What reads a file piece by piece."""

    def feed(self, data: bytes) -> None:
        """The next piece."""
        ...


class OutputSink:
    """Where the file comes into. `ended` ends with None when all of it has come, or with a `Failure`."""

    def __init__(self, lines: "Fed") -> None:
        self._lines = lines
        self.status = 0
        self.ended: Signal[Failure | None] = Signal()

    def on_head(self, status: int, headers: Mapping[bytes, bytes]) -> None:  # noqa: ARG002 - a sink is told
        """See `exchange.Sink`."""
        self.status = status

    def on_body(self, data: bytes) -> None:
        """See `exchange.Sink`."""
        if self.status < 300:
            self._lines.feed(data)

    def on_end(self) -> None:
        """See `exchange.Sink`."""
        if not self.ended.is_set:
            self.ended.set(None)

    def on_failure(self, failure: Failure) -> None:
        """See `exchange.Sink`."""
        if not self.ended.is_set:
            self.ended.set(failure)
