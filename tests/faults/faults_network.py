"""Scenarios in which what lies between us and a provider, or between a client and us, fails."""

import socket
import ssl
from pathlib import Path

import trustme
from faults_load import Wish, drive
from faults_providers import SECOND, Bar
from faults_result import Result, Size, settle
from faults_stage import Stage, gauges
from faults_upstreams import Act, Upstream, half_way, silent, well

QUICK = "timeouts: {connect_s: 0.5, first_byte_s: 0.5, between_bytes_s: 0.5}"


def _behind(stage: Stage, size: Size, name: str, address: str, more: str, upstream: Upstream | None = None) -> Result:
    """The primary is at this address; a model of another provider is the fallback. Calls have 3 s."""
    second = stage.provider("second")
    first = f"first: {{kind: openai-compatible, base_url: '{address}/v1', {QUICK}, {more}}}"
    gateway = stage.gateway(
        [first, second.configured()],
        [
            "fast: {provider: first, model: m, fallback: [second/gpt-6.1-terra]}",
            "healthy: second/gpt-6.1-terra",
        ],
    )
    wish = Wish(calls=size.calls, a_second=size.a_second, deadline_ms=size.deadline_ms(3))
    healthy = drive([gateway], Wish(model="healthy", calls=size.calls, a_second=size.a_second))
    before = len(second.requests())
    load = drive([gateway], wish)
    attempts = len(second.requests()) - before + (len(upstream.asked) if upstream is not None else 0)
    return settle(stage, name, load, healthy=healthy, attempts=attempts)


def no_such_name(stage: Stage, size: Size) -> Result:
    """The provider's name is not in the DNS."""
    return _behind(stage, size, "DNS failure", "http://no-such-provider.invalid", "insecure: true")


def refused(stage: Stage, size: Size) -> Result:
    """Nobody listens at the provider's port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return _behind(stage, size, "connection refused", f"http://127.0.0.1:{port}", "")


def unanswered(stage: Stage, size: Size) -> Result:
    """Connections stand in the backlog of a socket that nobody accepts from."""
    server = stage.keep(_Closing(socket.create_server(("127.0.0.1", 0), backlog=0)))
    return _behind(stage, size, "half-open: nobody accepts", f"http://127.0.0.1:{server.port}", "")


def _raw(stage: Stage, size: Size, name: str, act: Act) -> Result:
    upstream = stage.keep(Upstream(act))
    return _behind(stage, size, name, upstream.address, "", upstream)


def mute(stage: Stage, size: Size) -> Result:
    """The upstream accepts, reads and never answers."""
    return _raw(stage, size, "half-open: accepted, never answered", silent)


def stuck(stage: Stage, size: Size) -> Result:
    """The upstream stops in the middle of every answer and keeps the connection open."""
    return _raw(stage, size, "half-open: stops mid-way", half_way)


def strange_certificate(stage: Stage, size: Size) -> Result:
    """The upstream's certificate is of an authority that nobody trusts."""
    return _encrypted(stage, size, "TLS: unknown authority", "localhost", is_trusted=False)


def wrong_certificate(stage: Stage, size: Size) -> Result:
    """The upstream's certificate is somebody else's."""
    return _encrypted(stage, size, "TLS: another host's certificate", "elsewhere.test", is_trusted=True)


def _encrypted(stage: Stage, size: Size, name: str, host: str, *, is_trusted: bool) -> Result:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    file = Path(stage.folder) / "authority.pem"
    (authority if is_trusted else trustme.CA()).cert_pem.write_to_path(str(file))
    upstream = stage.keep(Upstream(well, context))
    result = _behind(stage, size, name, upstream.address, f"ca_file: '{file}'", upstream)
    assert not upstream.asked, "a request went to whoever had that certificate"
    return result


def slow_readers(stage: Stage, size: Size) -> Result:
    """Fifty clients ask for long streams and read nothing; others go on as if they were not there."""
    first = stage.provider("first", answer_tokens=20_000)
    second = stage.provider("second")
    gateway = stage.gateway(
        [first.configured(), second.configured()],
        ["long: first/gpt-6-luna", "fast: second/gpt-6.1-terra"],
        "server: {write_timeout_s: 1}",
    )
    wish = Wish(calls=size.calls, a_second=size.a_second)
    healthy = drive([gateway], wish)
    before = sum(len(provider.requests()) for provider in (first, second))
    readers = [stage.keep(_Reader(gateway.process.address, gateway.key)) for _ in range(50)]
    load = drive([gateway], wish)
    gauges(gateway, within_s=60)  # until nobody is served any more: who reads before that is slow, and not silent
    is_dropped = all(reader.is_dropped() for reader in readers)
    attempts = sum(len(provider.requests()) for provider in (first, second)) - before - len(readers)
    remark = "50 clients that read nothing are dropped" if is_dropped else "not as it should be: some are kept"
    return settle(stage, "slow readers", load, healthy=healthy, attempts=attempts, remark=remark)


class _Closing:
    """A socket that listens and never accepts, its backlog full."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self.port = server.getsockname()[1]
        self._fill = [socket.socket() for _ in range(4)]
        for one in self._fill:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", self.port))

    def kill(self) -> None:
        for one in (*self._fill, self._server):
            one.close()


class _Reader:
    """A client that asks for a stream and does not read it."""

    def __init__(self, address: str, key: str) -> None:
        host, port = address.removeprefix("http://").split(":")
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.connect((host, int(port)))
        body = b'{"model":"long","stream":true,"messages":[{"role":"user","content":"x"}]}'
        self._socket.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (key.encode(), len(body), body)
        )

    def is_dropped(self) -> bool:
        """Whether the other side has given this client up; what lies in the buffers is read only now."""
        self._socket.settimeout(5)
        read = b""
        try:
            while piece := self._socket.recv(1 << 16):
                read = (read + piece)[-100:]
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return not read.endswith(b"0\r\n\r\n")

    def kill(self) -> None:
        self._socket.close()


BARS = (
    Bar(no_such_name, within_s=3.0, targets=SECOND),
    Bar(refused, within_s=3.0, targets=SECOND, is_quick=False),
    Bar(unanswered, within_s=3.0, targets=SECOND),
    Bar(mute, within_s=3.0, targets=SECOND, unseen_s=1.0, is_quick=False),
    Bar(stuck, answered=0.0, unseen_s=1.0),
    Bar(strange_certificate, within_s=3.0, targets=SECOND),
    Bar(wrong_certificate, within_s=3.0, targets=SECOND, is_quick=False),
    Bar(slow_readers),
)
