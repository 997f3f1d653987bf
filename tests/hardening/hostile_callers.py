"""A script: hostile callers of a gateway, until its standard input ends. Arguments: port, key, and for one kind of them
only, the model that they ask for and the kind.

Heads that trickle over two hundred connections, and in turn a deep body, a packed one, one in many tiny chunks, and
a head of very many headers; twenty such requests a second, for they are to be hostile by what they are and not by how
many they are. A process of its own, so that who measures does not wait for it.
"""

import contextlib
import gzip
import select
import socket
import sys

SLOW = 200
PAUSE_S = 0.05
DEEP = 100_000
KINDS = ("deep JSON", "packed", "tiny chunks", "many headers")
TRICKLING = "slow heads"


def requests(key: str, model: str = "open/m") -> list[bytes]:
    """One of each of `KINDS`, as bytes."""

    def head(*lines: str) -> bytes:
        first = ("POST /v1/chat/completions HTTP/1.1", "host: a", f"authorization: Bearer {key}", "connection: close")
        return "\r\n".join([*first, "content-type: application/json", *lines, "", ""]).encode()

    asked = b'{"model":"%s","messages":[{"role":"user","content":"%s"}]'
    deep = asked % (model.encode(), b"x") + b',"metadata":'
    deep += b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}"
    bomb = gzip.compress(b'{"model":"') + gzip.compress(bytes(1 << 20), 9) * 256
    body = asked % (model.encode(), b"y" * 100_000) + b"}"
    return [
        head(f"content-length: {len(deep)}") + deep,
        head(f"content-length: {len(bomb)}", "content-encoding: gzip") + bomb,
        head("transfer-encoding: chunked") + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n",
        head(*(f"x-{number}: y" for number in range(10_000))),
    ]


def say(port: int, data: bytes) -> None:
    """One connection: all of it, and the answer."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(data)
        while connection.recv(65_536):
            pass


def main(port: int, key: str, model: str = "open/m", kind: str = "") -> None:
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(SLOW if kind in ("", TRICKLING) else 0)]
    hostile = [data for name, data in zip(KINDS, requests(key, model), strict=True) if kind in ("", name)]
    print("at it", flush=True)
    place = 0
    while not select.select([sys.stdin], [], [], PAUSE_S)[0]:
        if hostile:
            say(port, hostile[place % len(hostile)])
        for one in slow:
            with contextlib.suppress(OSError):
                one.send(b"GET /v1/models HTTP/1.1\r\nhost: a\r\n"[place % 33 : place % 33 + 1])
        place += 1


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
