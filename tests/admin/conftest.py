import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headworks.access import AT_THE_SHELL, Principal, Role, RoleGrant
from headworks.admin import Desk
from headworks.admin.api.operation import Levers
from headworks.admin.application import AdminApplication
from headworks.admin.authenticating import Authenticator
from headworks.admin.keys import NewKey, make_key
from headworks.admin.memory import Memory
from headworks.admin.renewing import Renewals
from headworks.admin.sessions import Seals
from headworks.config import Examination, parse
from headworks.errors import StorageError
from headworks.exchange import Request

NOW_S = 1_795_435_200.0

TEXT = """
providers: {sim: {kind: simulator}}
access:
  organisations: {acme: {teams: [search, support]}, globex: {teams: [billing]}}
  teams: {search: {limits: {requests_per_minute: 60}, budget: {per_day: 5, on_reach: tell}}, billing: {}}
models: {nano: sim/gpt-6-luna}
"""


def grants(*roles, where=None):
    return tuple(RoleGrant(Role(role), where) for role in roles)


@pytest.fixture
def project(tmp_path):
    file = tmp_path / "headworks.yaml"
    file.write_text(TEXT)
    return parse(TEXT, file=str(file), base=Path(tmp_path))


@pytest.fixture
def told():
    return []


@pytest.fixture
def desk(project, told):
    """A desk for somebody with these roles, everywhere or in one organisation."""

    def sit(*roles, where=None, who="key_ann", way="key"):
        def tell(action, target, detail, outcome):
            told.append((action, target, dict(detail), outcome))

        return Desk(project, Principal(who, "ann", way, grants(*roles, where=where)), tell, now=lambda: NOW_S)

    return sit


class Clock:
    def __init__(self, now_s):
        self.now_s = now_s

    def __call__(self):
        return self.now_s


class Heard:
    """What an application answers."""

    def __init__(self):
        self.done = asyncio.Event()
        self.status, self.headers, self.body = 0, {}, b""

    def respond(self, status, headers, body):
        self.status, self.body = status, body
        lines = headers.decode("latin-1").split("\r\n")[:-1]
        self.headers = {}
        for line in lines:
            name, _, value = line.partition(": ")
            self.headers.setdefault(name, []).append(value)
        self.done.set()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json["error"]["code"]


class Api:
    """An admin API without a socket, and a hand that makes keys for it."""

    def __init__(self, project, *, flow=None):
        self.project = project
        self.authenticator = None
        self.now = Clock(NOW_S)
        self.clock = Clock(1000.0)
        self.recorded = []
        self.log = []
        self.is_audit_full = False
        self.taken = []
        self._flow = flow
        self.runner = asyncio.Runner()
        self.executor = ThreadPoolExecutor(1)  # so that what comes later is done later
        self.memory = Memory(project.storage)
        self.renewals = Renewals(self.now)
        shell = Desk(project, AT_THE_SHELL, lambda *_: None, now=self.now)
        self.secret = shell.secret()
        self.seals = Seals(self.secret)
        self.shell = shell
        self.use(project)

    def use(self, project):
        """Go by another configuration."""
        self.project = project
        if self.authenticator is not None:
            self.authenticator.close()
        self.authenticator = Authenticator(
            project,
            self.secret,
            self.seals,
            self.memory,
            self.renewals,
            now=self.now,
            clock=self.clock,
            say=self.log.append,
        )
        flow = None if self._flow is None else self._flow(project, self.seals, self.now)
        levers = Levers(lambda _: Examination(), self._take)
        self.application = AdminApplication(
            project,
            levers,
            self.authenticator,
            flow,
            self.seals,
            self.memory,
            self.renewals,
            self._record,
            self.executor,
            self.log.append,
            now=self.now,
        )

    def forget(self):
        """Be a process that has just begun."""
        self.renewals = Renewals(self.now)
        self.use(self.project)

    def _take(self):
        self.taken.append(True)
        return "f" * 64

    def _record(self, action, actor, origin, target, detail, outcome):
        if self.is_audit_full:
            raise StorageError("the journals are full")
        self.recorded.append((action, actor, origin, target, dict(detail), outcome))

    def key(self, role="caller", team="", **fields):
        """A key's record, and itself."""
        return make_key(self.shell, NewKey(role=Role(role), team=team, **fields))

    def call(self, method, path, key="", body=None, *, peer="10.0.0.1", headers=()):
        """What is answered."""
        sent = dict(headers)
        if key:
            sent.setdefault(b"authorization", f"Bearer {key}".encode())
        if body is not None:
            sent.setdefault(b"content-type", b"application/json")
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        path, _, query = path.partition("?")
        path = path if path.startswith(("/login", "/callback", "/logout", "/admin")) else f"/admin/v1{path}"
        request = Request(method, path, query, sent, body or b"", peer=peer)

        return self._answers(lambda: request, 1)[0]

    def call_many(self, method, path, count, *, headers):
        """What is answered to so many requests that come at one time."""
        return self._answers(
            lambda: Request(method, f"/admin/v1{path}", "", dict(headers), b"", peer="10.0.0.1"), count
        )

    def _answers(self, make, count):
        async def ask():
            heard = [Heard() for _ in range(count)]
            for one in heard:
                request = make()
                self.application.admit(request)
                self.application.handle(request, one)
            for one in heard:
                await one.done.wait()
            return heard

        return self.runner.run(ask())

    def close(self):
        self.authenticator.close()
        self.executor.shutdown()
        self.runner.close()


@pytest.fixture
def api(project):
    api = Api(project)
    yield api
    api.close()
