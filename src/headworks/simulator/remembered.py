"""What the provider was asked, so that a test can look at it afterwards."""

from collections import deque

import msgspec

from headworks.exchange import Request

_MOST_BYTES = 32 * 1024 * 1024
_MOST_BODY_BYTES = 1024 * 1024
_SHOWN_OF_KEY = 4


class RememberedRequest(msgspec.Struct, frozen=True):
    """One request and the status it got (0: no answer). `body` is kept up to one MiB of `body_bytes`; of the key
    only the last characters."""

    at: float
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    body_bytes: int
    status: int


class _Kept(msgspec.Struct, frozen=True):
    request: Request  # without its body if that is too long
    body: bytes
    body_bytes: int
    at: float
    status: int


class RequestMemory:
    """The latest requests: at most `capacity`, and at most 32 MiB of bodies; the oldest go first."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._bytes = 0
        self._kept: deque[_Kept] = deque()

    def add(self, request: Request, at: float, status: int) -> None:
        """Remember a request. Headers are read only when someone asks."""
        if not self._capacity:
            return
        body, body_bytes = request.body[:_MOST_BODY_BYTES], len(request.body)
        if len(body) < body_bytes:
            request = Request(request.method, request.path, request.query, request.headers)
        self._kept.append(_Kept(request, body, body_bytes, at, status))
        self._bytes += len(body)
        while len(self._kept) > self._capacity or self._bytes > _MOST_BYTES:
            self._bytes -= len(self._kept.popleft().body)

    def all(self) -> tuple[RememberedRequest, ...]:
        """The oldest first."""
        return tuple(map(_shown, self._kept))

    def clear(self) -> None:
        self._kept.clear()
        self._bytes = 0


def _shown(kept: _Kept) -> RememberedRequest:
    request = kept.request
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers.items()}
    if "authorization" in headers:
        headers["authorization"] = f"Bearer ***{headers['authorization'][-_SHOWN_OF_KEY:]}"
    for name in ("x-api-key", "x-goog-api-key", "x-amz-security-token"):
        if name in headers:
            headers[name] = f"***{headers[name][-_SHOWN_OF_KEY:]}"
    return RememberedRequest(
        at=kept.at,
        method=request.method,
        path=request.path,
        query=request.query,
        headers=headers,
        body=kept.body,
        body_bytes=kept.body_bytes,
        status=kept.status,
    )
