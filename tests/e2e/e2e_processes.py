"""A gateway as a user runs it: a process, a port, a key."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from headworks.access import KEYS_FILE, KeyStore, server_secret
from headworks.config import load, store_url
from headworks.records import Record, open_store


class Process:
    """A command of ours, running, with what it says on standard error."""

    def __init__(self, *arguments: str, ready: str, cwd: Path) -> None:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "headworks", *arguments],
            cwd=cwd,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.said: list[str] = []
        self.address = ""
        self._is_ready = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(ready,), daemon=True)
        self._reader.start()
        assert self._is_ready.wait(20), f"not ready: {self.said}"
        assert self.address, f"it ended: {self.said}"

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(20)
        self._reader.join(5)
        return code

    def _read(self, ready: str) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                self.said.append(line)
                if line.startswith(ready):
                    self.address = line.removeprefix(ready).strip()
                    self._is_ready.set()
        self._is_ready.set()


class Gateway:
    """A running gateway, its key, its records."""

    def __init__(self, folder: Path, config: str, *flags: str) -> None:
        self.folder = folder
        (folder / "headworks.yaml").write_text(config)
        self._project = load(folder)
        self._project.storage.mkdir(exist_ok=True)
        self.key = self.new_key("test")
        self.process = Process("serve", "--port", "0", *flags, ready="headworks ready on ", cwd=folder)
        self.base_url = f"{self.process.address}/v1"

    def new_key(self, name: str, **grant: object) -> str:
        secret = server_secret(self._project.config.access.secret, self.folder, os.environ)
        store = KeyStore(self._project.storage / KEYS_FILE)
        try:
            return store.create(name=name, secret=secret, now=time.time(), **grant)[1]  # type: ignore[arg-type]
        finally:
            store.close()

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of ours beside the running gateway, in its folder."""
        return subprocess.run(
            [sys.executable, "-m", "headworks", *words], cwd=self.folder, capture_output=True, text=True, timeout=60
        )

    def record(self, call_id: str) -> Record:
        """The record of a call, which is drained into the store a moment after its answer."""
        due_s = time.monotonic() + 60
        store = open_store(self._project.storage, store_url(self._project))
        try:
            while True:
                record = store.get(call_id)
                if record is not None:
                    return record
                assert time.monotonic() < due_s, "the record does not come"
                time.sleep(0.05)
        finally:
            store.close()


class JavaScript:
    """The scripts in `js/` with the official SDK from npm installed beside them, outside of the source tree."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        shutil.copytree(Path(__file__).parent / "js", folder, dirs_exist_ok=True)
        assert shutil.which("npm"), "this test needs Node.js with npm"
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=folder, check=True, timeout=120)

    def run(self, script: str, gateway: Gateway, model: str, **environment: str) -> dict[str, Any]:
        """What a script prints, as JSON, when it has called this model; `environment` is what else it is told."""
        done = subprocess.run(
            ["node", script],
            cwd=self._folder,
            env={
                **os.environ,
                **environment,
                "BASE_URL": gateway.base_url,
                "API_KEY": gateway.key,
                "MODEL": model,
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told
