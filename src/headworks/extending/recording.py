"""The recorded shapes: requests in each provider's own API, and what it answers to them, as its documentation has it.

They lie beside this file, one JSON file for each API (`recorded/`), named as `calls.Endpoint` names it. What a record
says of an answer, and what it leaves open, `shapes` tells. Words, ids and figures are ours. The types of the official
SDKs read each of them (`tests/extending/test_recording.py`). Sources: the API references of OpenAI, Anthropic, Google
and AWS, 2026-11.
"""

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from headworks.calls import Endpoint

RECORDED = (
    Endpoint.RESPONSES,
    Endpoint.CHAT,
    Endpoint.MESSAGES,
    Endpoint.GENERATE_CONTENT,
    Endpoint.CONVERSE,
    Endpoint.COMPLETIONS,
    Endpoint.EMBEDDINGS,
    Endpoint.EMBED_CONTENT,
    Endpoint.MODERATIONS,
    Endpoint.IMAGES,
)
"""The APIs of which there are records."""

_FILES = {Endpoint.CHAT: "chat"}
"""Where a file is not named as its API."""

_FOLDER = Path(__file__).with_name("recorded")


class Recorded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One exchange with a provider.

    Attributes:
        name: of it, among those of its API.
        request: its body, without the model.
        answer: the shape of what comes back; None for a stream.
        events: the shapes of a stream's events, in JSON; each kind of them occurs.
        status: of the answer; from 400 on, an unknown model was asked for.
        path: where it goes, if not where calls of this API go.
        is_streamed: a stream is asked for by the path, and not by the body.
        servers: it is what these answer, by their quirks or their kind, in the place of the one of the same name.
    """

    name: str
    request: dict[str, Any]
    answer: dict[str, Any] | None = None
    events: list[dict[str, Any]] | None = None
    status: int = 200
    path: str = ""
    is_streamed: bool = False
    servers: tuple[str, ...] = ()


def recorded(spoken: Endpoint, server: str | None = None) -> tuple[Recorded, ...]:
    """What is recorded of an API, as this server (its quirks, or its kind) has it."""
    own = {one.name: one for one in _all(spoken) if server is not None and server in one.servers}
    return tuple(own.get(one.name, one) for one in _all(spoken) if not one.servers)


def read_recorded(text: bytes) -> dict[Endpoint, tuple[Recorded, ...]]:
    """Records of somebody else's: an object of lists, by the API (as `calls.Endpoint` names it).

    Raises:
        ValueError: it is none; says where.
    """
    found = msgspec.json.decode(text, type=dict[Endpoint, tuple[Recorded, ...]])
    for spoken, records in found.items():
        if spoken not in RECORDED:
            raise ValueError(f"`{spoken.value}` is no API of which exchanges can be recorded")
        for one in records:
            if (one.answer is None) == (one.events is None):
                raise ValueError(f"`{one.name}` must have either `answer` or `events`")
    return found


@cache
def _all(spoken: Endpoint) -> tuple[Recorded, ...]:
    name = f"{_FILES.get(spoken, spoken.value)}.json"
    text = (_FOLDER / name).read_bytes()
    return msgspec.json.decode(text, type=tuple[Recorded, ...])
