"""What the tests of Google's dialect share: short ways to say requests and streams."""

import json
from collections.abc import Iterable
from typing import Any

from anthropic_samples import WHOLE

from headworks.calls import Endpoint
from headworks.dialects import BRIDGES

RESPONSES, CHAT, MESSAGES, GEMINI = (
    Endpoint.RESPONSES,
    Endpoint.CHAT,
    Endpoint.MESSAGES,
    Endpoint.GENERATE_CONTENT,
)

NEW, OLD = "gemini-3.5-flash", "gemini-2.5-flash"

USAGE = {
    "promptTokenCount": 30,
    "cachedContentTokenCount": 20,
    "candidatesTokenCount": 4,
    "thoughtsTokenCount": 6,
    "totalTokenCount": 40,
}


def to_gemini(called: Endpoint = RESPONSES, model: str = NEW, **fields: Any) -> dict[str, Any]:
    """What Google gets for a request with these fields."""
    body = json.dumps(WHOLE[called] | fields).encode()
    sent: dict[str, Any] = json.loads(BRIDGES[called, GEMINI](body).request(body, model))
    return sent


def content(*parts: dict[str, Any], finish: str | None = "STOP", **more: Any) -> dict[str, Any]:
    """An answer as Google gives it, or a chunk of one."""
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0} | more
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "usageMetadata": USAGE, "modelVersion": NEW, "responseId": "r-1"}


def sse(chunks: Iterable[dict[str, Any]]) -> bytes:
    """The chunks as bytes, as Google writes them."""
    return b"".join(b"data: %b\r\n\r\n" % json.dumps(chunk).encode() for chunk in chunks)
