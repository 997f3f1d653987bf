"""What an answer is before it is sent: a script of what goes out when. Values only; nothing here waits.

    Script(200, headers, beats=iter([Beat(b"data: …\\n\\n", delay_s=0.4), Beat(b"data: [DONE]\\n\\n")]))

A *beat* is one event of a stream, or the whole body of a plain answer. Whoever plays a script (`playing`) waits
for the delays; a test reads them.
"""

import enum
from collections.abc import Iterator, Mapping

import msgspec

JSON = b"application/json"
EVENT_STREAM = b"text/event-stream; charset=utf-8"

NO_HEAD = 0
"""The status of a script that breaks or stalls before it says anything."""


class Ending(enum.Enum):
    """How a script ends once its beats are out."""

    COMPLETE = "complete"
    CUT = "cut"  # the connection breaks
    STALL = "stall"  # nothing more comes, and the connection stays open


class Beat(msgspec.Struct, frozen=True, gc=False):
    """`data` goes out `delay_s` seconds after what came before it. `is_content` marks what a user would see:
    text, a refusal, arguments of a tool call."""

    data: bytes
    delay_s: float = 0.0
    is_content: bool = False


class Script(msgspec.Struct, frozen=True):
    """One answer. `beats` can be walked once. The head goes out `head_delay_s` after the request; `length` is the
    declared length of the body, None for a stream. With `status` NO_HEAD only the ending is played. `is_spread`
    says that the beats of a plain body have delays between them."""

    status: int
    headers: Mapping[bytes, bytes]
    beats: Iterator[Beat]
    head_delay_s: float = 0.0
    ending: Ending = Ending.COMPLETE
    length: int | None = None
    is_spread: bool = False


def plain(
    status: int,
    body: bytes,
    *,
    content_type: bytes = JSON,
    delay_s: float = 0.0,
    headers: Mapping[bytes, bytes] | None = None,
) -> Script:
    """A complete answer in one piece."""
    merged = {b"content-type": content_type, **(headers or {})}
    return Script(status, merged, iter((Beat(body, is_content=True),)), head_delay_s=delay_s, length=len(body))


def stream(beats: Iterator[Beat], *, delay_s: float = 0.0, content_type: bytes = EVENT_STREAM) -> Script:
    """An answer whose pieces come one by one."""
    return Script(200, {b"content-type": content_type}, beats, head_delay_s=delay_s)


def empty() -> Iterator[Beat]:
    """No beats."""
    return iter(())


def header_block(headers: Mapping[bytes, bytes]) -> bytes:
    """The headers as `exchange.Reply` takes them."""
    return b"".join([b"%b: %b\r\n" % pair for pair in headers.items()])
