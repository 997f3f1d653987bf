"""The simulated provider as an application that a server can serve, with its control endpoints."""

import asyncio
from collections.abc import Mapping

from headworks.errors import Refusal
from headworks.exchange import Reply, Request, Running
from headworks.simulator.control import PREFIX, control
from headworks.simulator.playing import Playing
from headworks.simulator.realtime_opening import Opened, PendingSession
from headworks.simulator.script import NO_HEAD, Ending, Script, header_block
from headworks.simulator.simulator import Simulator


class SimulatorApplication:
    """An `exchange.Application`: every request is answered by the simulator; those under /simulator/ control it."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def admit(self, request: Request) -> None:
        """Every head is welcome: what is wrong with it, the simulated provider says."""

    def refuse(self, refusal: Refusal, request: Request | None, reply: Reply) -> None:  # noqa: ARG002
        """Answer what the server refused."""
        headers = b"content-type: application/json\r\n" + b"".join(
            f"{name}: {value}\r\n".encode("latin-1") for name, value in refusal.headers
        )
        reply.respond(refusal.status, headers, refusal.body())

    def handle(self, request: Request, reply: Reply) -> Running | None:
        """Play the answer onto `reply`."""
        if request.upgrade is not None and request.path.endswith("/realtime"):
            found = self._simulator.open_session(request)
            if isinstance(found, Opened):
                return self._open(found, request, reply)
            script = found
            reply.respond(script.status, header_block(script.headers), b"".join(beat.data for beat in script.beats))
            return None
        is_control = request.path.startswith(PREFIX)
        script = control(self._simulator, request) if is_control else self._simulator.answer(request)
        if _is_immediate(script):
            body = b"".join(beat.data for beat in script.beats)
            reply.respond(script.status, header_block(script.headers), body)
            return None
        playing = Playing(script, _ReplyStage(reply), asyncio.get_running_loop())
        reply.set_flow(playing.pause, playing.resume)
        playing.start(at_once=True)
        return playing

    def _open(self, found: Opened, request: Request, reply: Reply) -> Running | None:
        if found.is_silent:
            reply.abort()
            return None
        return PendingSession(found, request, asyncio.get_running_loop())


def _is_immediate(script: Script) -> bool:
    """Whether it can be sent in one write: all there, at once, and well ended."""
    return (
        script.length is not None
        and not script.head_delay_s
        and script.ending is Ending.COMPLETE
        and script.status != NO_HEAD
        and not script.is_spread
    )


class _ReplyStage:
    """A stage that is a reply."""

    __slots__ = ("_reply",)

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def head(self, status: int, headers: Mapping[bytes, bytes], length: int | None) -> None:
        self._reply.begin(status, header_block(headers), length=length)

    def data(self, data: bytes) -> None:
        self._reply.write(data)

    def end(self) -> None:
        self._reply.end()

    def cut(self) -> None:
        self._reply.abort()

    def late(self, limit: str) -> None:  # noqa: ARG002
        self._reply.abort()
