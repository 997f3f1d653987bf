"""A gateway of one process, in which every connection, look-up, new process and opened file is written down.

    python tests/hardening/watched_gateway.py PROJECT EVENTS

The parts are those of a worker. Only the event loop is Python's own in the place of uvloop: what it asks of the system
passes Python's audit hooks (https://docs.python.org/3/library/audit_events.html), so that nothing in the process, not
even a library's thread, opens a socket or a file unseen. It says `ready PORT` and ends when its standard input does.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

WATCHED = (
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "subprocess.Popen", "os.system",
    "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.remove", "os.rename", "open", "pickle.find_class",
    "exec", "import",
)  # fmt: skip
"""`exec` is what code objects run by, imports among them; `import` tells which of them are."""


def watch(events: Path) -> None:
    """Write down from now on what is asked of the system."""
    file = os.open(events, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in WATCHED:
            shown = [arguments[1] if event == "socket.connect" else arguments[0] if arguments else None]
            os.write(file, json.dumps([event, *shown], default=repr).encode() + b"\n")

    sys.addaudithook(hook)


async def serve(folder: Path, events: Path) -> None:
    """Serve the project until standard input ends."""
    from headworks.assembly import Assembly
    from headworks.config import load
    from headworks.endpoints import KNOWN_PATHS, PATHS_BEFORE_A_NAME
    from headworks.hull import Hull
    from headworks.server import HttpServer, bind
    from headworks.server.worker import server_limits
    from headworks.settings import read_settings
    from headworks.telemetry import Metrics
    from headworks.wheel import TimerWheel

    loop = asyncio.get_running_loop()
    project = load(folder)
    settings = read_settings(project)
    wheel = TimerWheel(loop)
    hull = Hull(settings, worker="w1", loop=loop, wheel=wheel, metrics=Metrics(), is_alone=True)
    assembly = Assembly(settings, hull)
    server = HttpServer(
        assembly.gateway,
        limits=server_limits(project.config.server),
        wheel=wheel,
        loop=loop,
        known_paths=KNOWN_PATHS,
        slashes_below=PATHS_BEFORE_A_NAME,
    )
    listener = bind("127.0.0.1", 0, shared=False)
    await server.listen(listener)
    over = asyncio.Event()
    loop.add_reader(0, lambda: os.read(0, 4096) or over.set())
    watch(events)
    print(f"ready {listener.getsockname()[1]}", flush=True)
    await over.wait()
    await server.stop(1.0)
    await assembly.retire()
    await hull.stop_limiting()
    hull.close()
    wheel.close()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2])))
