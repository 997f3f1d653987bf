"""Serving one application in one process, for tools such as the simulator; the gateway has a supervisor."""

import asyncio
import contextlib
import errno
import signal
from collections.abc import Callable

import uvloop

from headworks.errors import StorageError
from headworks.exchange import Application
from headworks.server.listening import HttpServer, bind
from headworks.server.settings import ServerLimits
from headworks.wheel import TimerWheel


def serve_application(
    build: Callable[[], Application],
    host: str,
    port: int,
    *,
    ready: Callable[[str], None],
    limits: ServerLimits | None = None,
    grace_s: float = 5.0,
) -> int:
    """Serve what `build` makes (called inside the running loop) until SIGTERM or SIGINT; returns the exit code.

    `ready` is called once with the address, such as `http://127.0.0.1:4010`; port 0 picks a free one.
    """

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        wheel = TimerWheel(loop)
        server = HttpServer(build(), limits=limits or ServerLimits(), wheel=wheel, loop=loop)
        listener = bind(host, port, shared=False)
        await server.listen(listener)
        shown = f"[{host}]" if ":" in host else host
        ready(f"http://{shown}:{listener.getsockname()[1]}")
        await stop.wait()
        await server.stop(grace_s)
        wheel.close()

    try:
        with contextlib.suppress(KeyboardInterrupt):
            uvloop.run(serve())
    except OSError as error:
        why = "it is in use" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        raise StorageError(f"cannot listen on {host}:{port}: {why}; choose another with --port or --host") from error
    return 0
