"""Servers that answer as they are told, on a free port."""

import asyncio
from contextlib import asynccontextmanager

from headworks.config import Secret
from headworks.doctoring import Situation, Target

NOW_S = 1_795_600_000.0
DATE = "Wed, 25 Nov 2026 09:46:40 GMT"  # NOW_S


def answer(status, body=b"", **headers):
    """A whole answer. Names of headers have `_` for `-`."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body


class Server:
    """Answers by request line; keeps what it was asked."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = []
        self.port = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                line = head.split(" HTTP/")[0]
                length = next((int(one[15:]) for one in head.lower().split("\r\n") if one[:15] == "content-length:"), 0)
                body = await reader.readexactly(length)
                self.asked.append((line, head, body))
                said = next((said for start, said in self.answers.items() if line.startswith(start)), answer(404))
                if said is None:
                    break
                if callable(said):
                    await said(writer)
                else:
                    writer.write(said)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the caller has gone
        finally:
            writer.close()


@asynccontextmanager
async def serving(answers):
    server = Server(answers)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()


def situation(**given):
    return Situation(**({"environment": {"KEY": "sk-1"}, "now": lambda: NOW_S} | given))


def elsewhere(server, **given):
    return situation(**({"target": Target.from_url(server.url), "is_elsewhere": True, "key": Secret("hw-1")} | given))


def by_about(findings):
    return {finding.about: finding for finding in findings}
