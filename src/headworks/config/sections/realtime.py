"""The section `realtime`: the bounds of sessions over a WebSocket."""

from typing import Annotated

from msgspec import Meta

from headworks.config.sections.base import Seconds, Section


class Realtime(Section, frozen=True):
    """Sessions of the Realtime API: how many, how long, and how much of one is held in memory."""

    sessions: Annotated[int, Meta(description="Most sessions of a worker at one time.", ge=0, le=100_000)] = 256
    session_s: Annotated[
        Seconds, Meta(description="Seconds that a session may last. OpenAI ends its own after an hour.")
    ] = 3600.0
    idle_s: Annotated[
        Seconds, Meta(description="Seconds without a message from either side, after which a session ends.")
    ] = 300.0
    ping_s: Annotated[
        Seconds,
        Meta(
            description="Seconds of silence after which a side is asked whether it is still there; after as many again "
            "it counts as gone. Keep it below the shortest idle time of the proxies on the way."
        ),
    ] = 20.0
    message_bytes: Annotated[
        int,
        Meta(
            description="Most bytes of a message. One is held whole while it comes in. OpenAI takes 15 MiB of sound in "
            "one.",
            ge=65_536,
            le=67_108_864,
        ),
    ] = 4_194_304
