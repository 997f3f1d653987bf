"""The processes of a supervisor: what it knows of each, and how it says something to one."""

import socket

from headworks.server.messages import FrameReader, Word, frame


class Child:
    """One process of ours. State: its pid (0 when it has died), when it started, how often it died young."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pid = 0
        self.started_s = 0.0
        self.deaths = 0
        self.start_at_s = 0.0
        self.is_ready = False
        self.control: socket.socket | None = None
        self.frames = FrameReader()


def tell(child: Child, word: Word, content: bytes) -> None:
    """Say something to a child, if it is there to be told."""
    if child.control is not None:
        child.control.setblocking(True)
        try:
            child.control.sendall(frame(word, content))
        except OSError:
            return  # it is dying: whoever replaces it begins with what is known now
        finally:
            child.control.setblocking(False)
