"""The section `server`: where the gateway listens, and its bounds."""

from typing import Annotated

from msgspec import Meta

from headworks.config.sections.base import Cidr, FilePath, Seconds, Section

MOST_WORKERS = 256
"""Most processes of one gateway; `--workers` has the same bound."""


class Tls(Section, frozen=True):
    """TLS for the listener."""

    certificate: Annotated[FilePath, Meta(description="PEM file with the certificate and its chain.")]
    key: Annotated[FilePath, Meta(description="PEM file with the unencrypted private key.")]


class Server(Section, frozen=True):
    """Where the gateway listens, and the bounds on what a client may send and how long it may take."""

    host: Annotated[str, Meta(description="Address or name to listen on.", extra={"form": "host"})] = "127.0.0.1"
    port: Annotated[int, Meta(description="TCP port to listen on; 0 takes a free one.", ge=0, le=65_535)] = 4000
    workers: Annotated[
        int, Meta(description="Processes that serve calls; one a core is enough.", ge=1, le=MOST_WORKERS)
    ] = 1
    tls: Annotated[Tls | None, Meta(description="Serve HTTPS instead of HTTP.")] = None
    trusted_proxies: Annotated[
        tuple[Cidr, ...],
        Meta(
            description="Networks of the proxies in front of the gateway. Only what comes from there is believed when "
            "it says, in `X-Forwarded-For`, whom it speaks for."
        ),
    ] = ()
    header_bytes: Annotated[
        int, Meta(description="Most bytes of a request line and its headers together.", ge=1024, le=1_048_576)
    ] = 32_768
    header_count: Annotated[int, Meta(description="Most headers of a request.", ge=8, le=10_000)] = 100
    target_bytes: Annotated[
        int, Meta(description="Most bytes of a request target (path and query).", ge=256, le=65_536)
    ] = 8_192
    body_bytes: Annotated[int, Meta(description="Most bytes of a request body.", ge=1024, le=2_147_483_648)] = (
        33_554_432
    )
    upload_bytes: Annotated[
        int,
        Meta(
            description="Most bytes of a file that is uploaded; it goes through piece by piece and is not held.",
            ge=1024,
            le=2_147_483_648,
        ),
    ] = 545_259_520
    buffered_bytes: Annotated[
        int,
        Meta(
            description="Most bytes of all request bodies that a worker holds at one time; not below `body_bytes`.",
            ge=1024,
            le=68_719_476_736,
        ),
    ] = 268_435_456
    header_timeout_s: Annotated[
        Seconds, Meta(description="Seconds from a request's first byte to its last header.")
    ] = 10.0
    body_timeout_s: Annotated[Seconds, Meta(description="Seconds without any byte of the body.")] = 60.0
    idle_timeout_s: Annotated[Seconds, Meta(description="Seconds that a connection may wait for its next request.")] = (
        75.0
    )
    write_timeout_s: Annotated[
        Seconds, Meta(description="Seconds without the client taking any byte of an answer.")
    ] = 60.0
    heartbeat_s: Annotated[
        Seconds,
        Meta(
            description="Seconds of silence after which something goes into a stream, so that no proxy takes its "
            "connection for dead: the head of the answer, where nothing has come yet, and then comments. Keep it below "
            "the shortest idle time of the proxies on the way."
        ),
    ] = 15.0
    grace_s: Annotated[
        float, Meta(description="Seconds that calls under way may take to finish after a stop.", ge=0, le=86_400)
    ] = 30.0
    connections: Annotated[int, Meta(description="Most client connections of a worker.", ge=1, le=1_000_000)] = 10_000
