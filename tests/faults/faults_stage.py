"""What a fault is played on: gateways with two workers, simulated providers, and what all of them say afterwards."""

import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx2
import msgspec
from e2e_processes import Gateway, Process
from faults_upstreams import Upstream

from headworks.config import load, store_url
from headworks.records import Record, Selection, drain_once, open_store

PLAN: dict[str, Any] = {"pace": 0, "remembered_requests": 1_000_000}
PROVIDER = "{name}: {{kind: openai-compatible, base_url: '{address}/v1', speaks: [chat], {more}}}"
KEYS = {name: f"sk-{name}\n" for name in ("key", "key-one", "key-two")}
"""Files that providers' keys stand in; the simulator tells pools apart by them."""


class Provider:
    """A simulated provider in a process of its own. Its count of requests is the one that the suite believes."""

    def __init__(self, folder: Path, name: str, **plan: Any) -> None:
        folder.mkdir(parents=True)
        (folder / "plan.json").write_text(json.dumps(PLAN | plan))
        self.name = name
        self.process = Process(
            "simulate", "--port", "0", "--plan", "plan.json", ready="headworks simulator ready on ", cwd=folder
        )
        self.address = self.process.address

    def fault(self, **details: Any) -> None:
        """Have one more fault strike from now on."""
        answer = httpx2.post(f"{self.address}/simulator/faults", json=details)
        assert answer.is_success, answer.text

    def mend(self) -> None:
        """No faults any more."""
        answer = httpx2.patch(f"{self.address}/simulator/plan", json={"faults": []})
        assert answer.is_success, answer.text

    def requests(self) -> list[dict[str, Any]]:
        """All that it was asked since it started."""
        answer = httpx2.get(f"{self.address}/simulator/requests", timeout=30)
        found: list[dict[str, Any]] = answer.json()["requests"]
        return [one for one in found if one["path"].startswith("/v1/")]

    def asked(self) -> list[str]:
        """Which call each request was of, in order; without what the load did not ask."""
        names = [name_of_call(one["body"]) for one in self.requests()]
        return [name for name in names if name]

    def drain(self, model: str) -> None:
        """Use up what this model's limit has room for."""
        body = {"model": model, "messages": [{"role": "user", "content": "x"}], "max_tokens": 1}
        headers = {"authorization": "Bearer sk-key", "x-drain": "yes"}
        with httpx2.Client(headers=headers) as client:
            while client.post(f"{self.address}/v1/chat/completions", json=body).status_code == 200:
                pass

    def configured(self, name: str = "", more: str = "") -> str:
        """Its line of the configuration."""
        return PROVIDER.format(name=name or self.name, address=self.address, more=more or "api_key: 'file:key'")


def name_of_call(body: object) -> str:
    """Which call of the load a request upstream is of: `Wish` has its name in each."""
    found = re.search(r"call \d+-\d+", json.dumps(body))
    return "" if found is None else found[0]


class Ledger(msgspec.Struct, frozen=True):
    """What the store holds of the calls of one run, against the answers that clients saw."""

    records: int
    lost: int
    twice: int
    missing: int

    @property
    def is_whole(self) -> bool:
        return not self.twice and not self.missing


@contextmanager
def environment(more: Mapping[str, str]) -> Iterator[None]:
    """Processes that are started inside have these variables, too."""
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        for name in more:
            if name in before:
                os.environ[name] = before[name]
            else:
                del os.environ[name]


class Stage:
    """The processes of one scenario; leaving it stops them.

    Attributes:
        variables: of the environment of gateways that are started from now on.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.variables: dict[str, str] = {}
        self.providers: list[Provider] = []
        self.gateways: list[Gateway] = []
        self._others: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        codes = [gateway.process.stop() for gateway in self.gateways]
        for provider in self.providers:
            provider.process.stop()
        for other in self._others:
            other.kill()
        if kind is None:
            assert not any(codes), [gateway.process.said for gateway in self.gateways]

    def keep(self, other: Any) -> Any:
        """Something with a `kill`, which is called at the end."""
        self._others.append(other)
        return other

    @property
    def upstreams(self) -> list[Upstream]:
        """What plays a provider without being one."""
        return [one for one in self._others if isinstance(one, Upstream)]

    def provider(self, name: str, **plan: Any) -> Provider:
        made = Provider(self.folder / f"provider-{name}", name, **plan)
        self.providers.append(made)
        return made

    def gateway(self, providers: list[str], models: list[str], *more: str, **files: str) -> Gateway:
        """A gateway with two workers; arguments are lines of its configuration, and files beside it."""
        folder = self.folder / f"gateway-{len(self.gateways)}"
        folder.mkdir()
        for name, text in (KEYS | files).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
            (folder / name).chmod(0o600)
        lines = ["version: 1", "providers:", *(f"  {line}" for line in providers)]
        lines += ["models:", *(f"  {line}" for line in models), *more]
        with environment(self.variables):
            made = Gateway(folder, "\n".join(lines) + "\n", "--workers", "2")
        self.gateways.append(made)
        return made


def gauges(gateway: Gateway, *, within_s: float = 30.0) -> dict[str, float]:
    """The unlabelled figures of `/metrics`, all workers together, when calls are no longer under way; or then."""
    due_s = time.monotonic() + within_s
    while True:
        text = httpx2.get(f"{gateway.process.address}/metrics", timeout=30).text
        lines = [line.split() for line in text.splitlines() if line and not line.startswith("#") and "{" not in line]
        found = {name: float(value) for name, value in lines}
        if not (found["headworks_calls_in_flight"] or found["headworks_calls_waiting"]) or time.monotonic() > due_s:
            return found
        time.sleep(0.1)


def records(gateway: Gateway) -> list[Record]:
    """Everything in the store of a gateway that has stopped."""
    storage, url = gateway.folder / ".headworks", store_url(load(gateway.folder))
    drain_once(storage, url, report=print)  # whoever drained may have been killed
    store = open_store(storage, url)
    try:
        found = store.select(Selection(limit=1_000_000))
        counted = sum(total.calls for total in store.totals([], None, None))
    finally:
        store.close()
    assert counted == len(found), f"{counted} counted by the hour, {len(found)} recorded"
    return found


def ledger(gateways: list[Gateway], seen: dict[str, bool]) -> Ledger:
    """Arguments: seen: the calls that clients know of, each with whether it was answered whole."""
    of_each = [records(gateway) for gateway in gateways]
    # Where they share a database, each finds what all of them recorded, if it is asked last.
    shares = bool(store_url(load(gateways[0].folder)))
    found = of_each[-1] if shares else [record for some in of_each for record in some]
    times = Counter(record.call_id for record in found)
    outcomes = {record.call_id: record.outcome for record in found}
    missing = [
        call_id
        for call_id, is_answered in seen.items()
        if call_id not in times or (is_answered and outcomes[call_id] != "answered")
    ]
    twice = sum(count - 1 for count in times.values())
    return Ledger(len(found), sum(outcome == "lost" for outcome in outcomes.values()), twice, len(missing))
