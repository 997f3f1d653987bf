"""The official OpenAI clients, with the gateway for a network: `httpx2` transports that answer from memory."""

import asyncio
import queue
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from headworks.errors import HeadworksError
from headworks.exchange import Request
from headworks.library.mailbox import Mailbox

try:
    import httpx2
    import openai
except ImportError as error:
    raise HeadworksError("this needs the official SDK: pip install 'headworks[openai]'") from error

if TYPE_CHECKING:
    from headworks.library.gateway import InProcessGateway

_Piece = bytes | BaseException | None


def sync_client(gateway: "InProcessGateway", *, base_url: str, api_key: str, options: dict[str, Any]) -> openai.OpenAI:
    """An `openai.OpenAI` that calls `gateway`."""
    client = httpx2.Client(transport=_Transport(gateway))
    return openai.OpenAI(base_url=base_url, api_key=api_key, http_client=client, **options)


def async_client(
    gateway: "InProcessGateway", *, base_url: str, api_key: str, options: dict[str, Any]
) -> openai.AsyncOpenAI:
    """An `openai.AsyncOpenAI` that calls `gateway`."""
    client = httpx2.AsyncClient(transport=_AsyncTransport(gateway))
    return openai.AsyncOpenAI(base_url=base_url, api_key=api_key, http_client=client, **options)


class _Transport(httpx2.BaseTransport):
    def __init__(self, gateway: "InProcessGateway") -> None:
        self._gateway = gateway

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        pieces: queue.SimpleQueue[_Piece] = queue.SimpleQueue()
        mailbox = Mailbox(pieces.put)
        self._gateway.start(_request(request, request.read()), mailbox)
        timeout_s = request.extensions.get("timeout", {}).get("read")
        try:
            status, headers = mailbox.head.result(timeout_s)
        except TimeoutError as error:
            self._gateway.cancel(mailbox)
            raise httpx2.ReadTimeout("no answer in time", request=request) from error
        except ConnectionError as error:
            raise httpx2.RemoteProtocolError(str(error), request=request) from error
        return httpx2.Response(
            status, headers=_headers(headers), stream=_Stream(self._gateway, mailbox, pieces, timeout_s)
        )


class _Stream(httpx2.SyncByteStream):
    def __init__(
        self,
        gateway: "InProcessGateway",
        mailbox: Mailbox,
        pieces: "queue.SimpleQueue[_Piece]",
        timeout_s: float | None,
    ) -> None:
        self._gateway = gateway
        self._mailbox = mailbox
        self._pieces = pieces
        self._timeout_s = timeout_s
        self._is_read = False

    def __iter__(self) -> Iterator[bytes]:
        while True:
            try:
                piece = self._pieces.get(timeout=self._timeout_s)
            except queue.Empty as error:
                raise httpx2.ReadTimeout("nothing more in time") from error
            if piece is None:
                self._is_read = True
                return
            if isinstance(piece, BaseException):
                self._is_read = True
                raise httpx2.RemoteProtocolError(str(piece)) from piece
            if self._pieces.empty():
                self._gateway.resume(self._mailbox)
            yield piece

    def close(self) -> None:
        if not self._is_read:
            self._gateway.cancel(self._mailbox)


class _AsyncTransport(httpx2.AsyncBaseTransport):
    def __init__(self, gateway: "InProcessGateway") -> None:
        self._gateway = gateway

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[_Piece] = asyncio.Queue()
        mailbox = Mailbox(lambda piece: _post(loop, pieces, piece))
        self._gateway.start(_request(request, await request.aread()), mailbox)
        timeout_s = request.extensions.get("timeout", {}).get("read")
        try:
            status, headers = await asyncio.wait_for(asyncio.wrap_future(mailbox.head), timeout_s)
        except TimeoutError as error:
            self._gateway.cancel(mailbox)
            raise httpx2.ReadTimeout("no answer in time", request=request) from error
        except ConnectionError as error:
            raise httpx2.RemoteProtocolError(str(error), request=request) from error
        except asyncio.CancelledError:
            self._gateway.cancel(mailbox)
            raise
        stream = _AsyncStream(self._gateway, mailbox, pieces, timeout_s)
        return httpx2.Response(status, headers=_headers(headers), stream=stream)


class _AsyncStream(httpx2.AsyncByteStream):
    def __init__(
        self, gateway: "InProcessGateway", mailbox: Mailbox, pieces: "asyncio.Queue[_Piece]", timeout_s: float | None
    ) -> None:
        self._gateway = gateway
        self._mailbox = mailbox
        self._pieces = pieces
        self._timeout_s = timeout_s
        self._is_read = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            try:
                piece = await asyncio.wait_for(self._pieces.get(), self._timeout_s)
            except TimeoutError as error:
                raise httpx2.ReadTimeout("nothing more in time") from error
            if piece is None:
                self._is_read = True
                return
            if isinstance(piece, BaseException):
                self._is_read = True
                raise httpx2.RemoteProtocolError(str(piece)) from piece
            if self._pieces.empty():
                self._gateway.resume(self._mailbox)
            yield piece

    async def aclose(self) -> None:
        if not self._is_read:
            self._gateway.cancel(self._mailbox)


def _post(loop: asyncio.AbstractEventLoop, pieces: "asyncio.Queue[_Piece]", piece: _Piece) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(pieces.put_nowait, piece)


def _request(request: httpx2.Request, body: bytes) -> Request:
    url = request.url
    headers = {name.lower(): value for name, value in request.headers.raw}
    return Request(request.method, url.path, url.query.decode("ascii"), headers, body)


def _headers(block: bytes) -> list[tuple[bytes, bytes]]:
    pairs = (line.split(b": ", 1) for line in block.split(b"\r\n") if line)
    return [(name, value) for name, value in pairs]
