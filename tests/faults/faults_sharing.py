"""Scenarios in which what workers and machines share fails: Valkey, a worker, the control plane.

The provider has a limit of its own, kept by its own buckets; each call that it refuses by them is one too many.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from e2e_processes import Gateway
from faults_load import Load, Wish, drive
from faults_providers import Bar
from faults_result import Result, Size, settle
from faults_stage import Provider, Stage, environment

from valkey_process import ValkeyProcess

LOCAL_RPM = 300
"""Requests a minute where one machine's control plane keeps the books: they begin full, as the provider's do."""

SHARED_RPM = 1200
"""The same where Valkey does: new books begin empty, so the provider's are emptied first, and a call that comes sooner
than the limit gives it room is one that the provider refuses."""


SETTLING_S = 6.0
"""New books grant nothing for a lease's time (5 s): somebody may still hold what others granted."""


class Scene(msgspec.Struct, frozen=True):
    """One provider with a limit, and gateways that know of it.

    Attributes:
        full: what the books begin with.
        settling_s: how long load goes on before anything happens.
    """

    provider: Provider
    gateways: list[Gateway]
    rpm: int
    full: int
    settling_s: float

    def room(self, seconds: float) -> float:
        """Calls that the limit has room for in so many seconds."""
        return self.full + self.rpm / 60 * seconds

    def drive(self, size: Size, *acts: tuple[float, Callable[[], object]]) -> Load:
        """Twice as many calls as the limit has room for; each waits for a second at most. Moments are shares of what
        follows when all has settled."""
        seconds = self.seconds(size)
        calls = int(2 * self.room(seconds))
        wish = Wish(calls=calls, a_second=calls / seconds, deadline_ms=1000)
        after_s = seconds - self.settling_s
        return drive(self.gateways, wish, [(self.settling_s + share * after_s, act) for share, act in acts])

    def seconds(self, size: Size) -> float:
        return self.settling_s + size.calls / size.a_second

    def result(self, stage: Stage, name: str, load: Load, size: Size, remark: str = "") -> Result:
        """What it comes to. What the suite asked the provider itself does not count."""
        asked = [one for one in self.provider.requests() if "x-drain" not in one["headers"]]
        excess = sum(one["status"] == 429 for one in asked)
        share = f"{100 * load.answered / self.room(self.seconds(size)):.0f} % of the limit used"
        remark = f"{share}; {remark}" if remark else share
        return settle(stage, name, load, excess=excess, attempts=len(asked), remark=remark)


def scene_of(stage: Stage, *more: str, gateways: int = 1, rpm: int = LOCAL_RPM, is_full: bool = True) -> Scene:
    provider = stage.provider("first", models={"gpt-6-luna": {"tier": "nano", "limits": {"rpm": rpm}}})
    configured = provider.configured(more=f"api_key: 'file:key', limits: {{requests_per_minute: {rpm}}}")
    if not is_full:
        provider.drain("gpt-6-luna")
    made = [stage.gateway([configured], ["fast: first/gpt-6-luna"], *more) for _ in range(gateways)]
    return Scene(provider, made, rpm, rpm if is_full else 0, 0.0 if is_full else SETTLING_S)


def shared(
    stage: Stage, size: Size, name: str, *acts: tuple[float, str | Callable[[], object]], away: str = "share"
) -> Result:
    """Two gateways with four workers share the limit through Valkey, to which this happens under load."""
    folder = stage.folder / "valkey"
    folder.mkdir()
    with environment(stage.variables):
        valkey = stage.keep(ValkeyProcess(folder))
    (stage.folder / "valkey-url").write_text(valkey.url + "\n")
    (stage.folder / "valkey-url").chmod(0o600)
    quotas = f"quotas: {{valkey: 'file:{stage.folder / 'valkey-url'}', machines: 2, away: {away}}}"
    scene = scene_of(stage, quotas, gateways=2, rpm=SHARED_RPM, is_full=False)
    try:
        load = scene.drive(
            size, *((share, getattr(valkey, act) if isinstance(act, str) else act) for share, act in acts)
        )
    finally:
        valkey.resume()
    return scene.result(stage, name, load, size)


def valkey_well(stage: Stage, size: Size) -> Result:
    """Nothing happens: what the limit has room for is used."""
    return shared(stage, size, "Valkey well")


def valkey_stopped(stage: Stage, size: Size) -> Result:
    return shared(stage, size, "Valkey stopped", (0.3, "stop"), (0.9, "start"))


def valkey_paused(stage: Stage, size: Size) -> Result:
    return shared(stage, size, "Valkey paused", (0.3, "pause"), (0.7, "resume"))


def valkey_restarted(stage: Stage, size: Size) -> Result:
    """It comes back at once, twice, and has forgotten everything."""
    return shared(
        stage, size, "Valkey killed and restarted, twice", (0.2, "kill"), (0.25, "start"), (0.5, "kill"), (0.6, "start")
    )


def valkey_refusing(stage: Stage, size: Size) -> Result:
    return shared(stage, size, "Valkey stopped, `away: refuse`", (0.3, "stop"), (0.9, "start"), away="refuse")


def valkey_troubled(stage: Stage, size: Size) -> Result:
    """All of it, one after the other."""
    acts = ((0.1, "pause"), (0.3, "resume"), (0.5, "stop"), (0.6, "start"), (0.8, "kill"), (0.9, "start"))
    return shared(stage, size, "Valkey paused, stopped, killed", *acts)


def children(gateway: Gateway, holding: str) -> list[int]:
    """The gateway's processes that have a file of such a name open."""
    pid = gateway.process.pid
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found if any(name.endswith(holding) for name in _open_files(child))]


def _open_files(pid: str) -> Iterator[str]:
    """What it closes, or its end, while we look is what it has not."""
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                yield os.readlink(link)


class Killer:
    """Kills a process of a gateway, whenever it is called. State: how many it has killed.

    Arguments:
        holding: the end of a file's name that such a process has open.
        of: how many of them there are when all is well; it waits for that.
    """

    def __init__(self, gateway: Gateway, holding: str, of: int) -> None:
        self._gateway = gateway
        self._holding = holding
        self._of = of
        self.kills = 0

    def __call__(self) -> None:
        due_s = time.monotonic() + 60
        while len(found := children(self._gateway, self._holding)) < self._of:
            assert time.monotonic() < due_s, "the process is not replaced"
            time.sleep(0.02)
        os.kill(found[self.kills % len(found)], signal.SIGKILL)
        self.kills += 1


def _killed(stage: Stage, size: Size, name: str, holding: str, of: int, every_s: float) -> Result:
    scene = scene_of(stage)
    kill = Killer(scene.gateways[0], holding, of)
    seconds = size.calls / size.a_second
    moments = [0.8 + every_s * n for n in range(int((seconds - 1) // every_s) + 1)]
    load = scene.drive(size, *((moment / seconds, kill) for moment in moments))
    return scene.result(stage, name, load, size, f"killed {kill.kills} times")


def worker_killed(stage: Stage, size: Size) -> Result:
    """Calls under way in a worker that is killed break off, and are recorded as lost. It had 2 s of life, so that the
    supervisor replaces it at once."""
    return _killed(stage, size, "worker killed", "keys.db", 2, 2.5)


def control_plane_killed(stage: Stage, size: Size) -> Result:
    """Whoever keeps the books of quotas and drains the journals is killed; books that begin anew take 5 s."""
    return _killed(stage, size, "control plane killed", "drain.lock", 1, 9.0)


def tokens(stage: Stage, size: Size) -> Result:
    """A limit of tokens, which are estimated before a call and known after it; each answer is as long as it may be: 16
    tokens, after 6 of the request."""
    tpm, tokens_a_call = 6000, 22
    provider = stage.provider("first", models={"gpt-6-luna": {"tier": "nano", "limits": {"tpm": tpm}}})
    configured = provider.configured(more=f"api_key: 'file:key', limits: {{tokens_per_minute: {tpm}}}")
    gateway = stage.gateway([configured], ["fast: first/gpt-6-luna"])
    seconds = size.calls / size.a_second
    room = (tpm + tpm / 60 * seconds) / tokens_a_call
    load = drive([gateway], Wish(calls=int(2 * room), a_second=2 * room / seconds, deadline_ms=1000, max_tokens=16))
    excess = sum(one["status"] == 429 for one in provider.requests())
    remark = f"{100 * load.answered / room:.0f} % of the limit used"
    return settle(stage, "a limit of tokens", load, excess=excess, remark=remark)


BARS = (
    Bar(tokens, answered=0.0, is_quick=False),
    Bar(valkey_well, answered=0.0, is_quick=False),
    Bar(valkey_stopped, answered=0.0, is_quick=False),
    Bar(valkey_paused, answered=0.0, is_quick=False),
    Bar(valkey_restarted, answered=0.0, is_quick=False),
    Bar(valkey_refusing, answered=0.0, is_quick=False),
    Bar(valkey_troubled, answered=0.0),
    Bar(worker_killed, answered=0.0, is_quick=False),  # `test_worker_kill` has a short form
    Bar(control_plane_killed, answered=0.0),
)
