"""What supervisor and worker tell each other over a socket pair: a word, and bytes that belong to it.

    worker -> supervisor    ready · reloaded · kept (why the old configuration was kept)
    supervisor -> worker    reload (the new headworks.yaml, as text) · secrets (the provider keys that are known)

and the supervisor and the process that looks at provider keys:

    supervisor -> keeper    reload · secrets (what is known)
    keeper -> supervisor    secrets

and the supervisor and the process that serves the admin API:

    supervisor -> admin     given (a configuration, and the secrets that it needs of it) · kept (why that was kept)
    admin -> supervisor     ready

A frame is one byte for the word, four for the length (big-endian), then the bytes. The end of the stream means that
the other side is gone.
"""

import enum
import struct

_HEAD = struct.Struct(">BI")
_MOST_BYTES = 4 * 1024 * 1024
"""A configuration file is at most 1 MiB; anything longer is not one of our frames."""


class Word(enum.IntEnum):
    """What a frame says."""

    READY = 1
    RELOAD = 2
    RELOADED = 3
    KEPT = 4
    SECRETS = 5
    GIVEN = 6


def frame(word: Word, content: bytes = b"") -> bytes:
    """One frame."""
    return _HEAD.pack(word, len(content)) + content


class FrameReader:
    """Puts frames together from what comes in. State: the bytes of the frame that is not complete yet."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> list[tuple[Word, bytes]]:
        """The frames that `data` completes.

        Raises:
            ValueError: not a frame; the other side is not one of ours.
        """
        self._pending += data
        frames = []
        while len(self._pending) >= _HEAD.size:
            word, size = _HEAD.unpack_from(self._pending)
            if size > _MOST_BYTES:
                raise ValueError("a frame over the bound")
            end = _HEAD.size + size
            if len(self._pending) < end:
                break
            frames.append((Word(word), self._pending[_HEAD.size : end]))
            self._pending = self._pending[end:]
        return frames
