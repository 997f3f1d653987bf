"""What a server needs to know, in seconds and bytes; configuration fills it in."""

import msgspec


class ServerLimits(msgspec.Struct, frozen=True):
    """Bounds on what a client may send and how long it may take.

    Attributes:
        header_bytes: the request line and all headers together.
        header_count: how many headers.
        target_bytes: the request target.
        body_bytes: one request body.
        upload_bytes: one request body that goes through piece by piece.
        buffered_bytes: all request bodies of this process that are held at one time.
        connections: client connections of this process.
        header_timeout_s: from the first byte of a request to its last header.
        body_timeout_s: without any byte of the body.
        idle_timeout_s: between two requests of a connection.
        write_timeout_s: without the client taking any byte of an answer.
    """

    header_bytes: int = 32 * 1024
    header_count: int = 100
    target_bytes: int = 8 * 1024
    body_bytes: int = 32 * 1024 * 1024
    upload_bytes: int = 520 * 1024 * 1024
    buffered_bytes: int = 256 * 1024 * 1024
    connections: int = 10_000
    header_timeout_s: float = 10.0
    body_timeout_s: float = 60.0
    idle_timeout_s: float = 75.0
    write_timeout_s: float = 60.0
