"""The control plane of a running gateway: a program of its own, without providers' keys, that takes nothing with it
when it ends."""

import os
import signal
import sys
import time
from pathlib import Path

import httpx2
import pytest
from memory_of import children, held_by, who_listens

from headworks.records import Selection, open_store
from offering import offer

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.timeout(120),
]

IN_ENVIRONMENT, IN_FILE = "sk-planted-in-the-environment-0123456789", "sk-planted-in-a-file-0123456789"
OF_AUDIT, OF_SINK = "planted-key-of-the-audit-log-0123456789abcdef", "planted-token-of-the-sink-0123456789"

CONFIG = """
providers:
  sim: {kind: simulator}
  one: {kind: openai, base_url: "http://127.0.0.1:9/v1", api_key: "env:PLANTED_KEY"}
  two: {kind: openai, base_url: "http://127.0.0.1:9/v1", api_key: "file:planted-key"}
models: {nano: sim/gpt-6-luna}
audit: {key: "env:PLANTED_AUDIT_KEY"}
"""
SINKS = """
records: {sinks: {kept: {use: acme, since: start, settings: {token: "env:PLANTED_TOKEN"}}}}
"""
SOURCE = """
import os
from pathlib import Path


class Sink:
    def __init__(self, settings):
        self.file = Path(os.environ["SINK_FILE"])

    def write(self, records):
        with self.file.open("a") as lines:
            lines.writelines(f"{record.call_id} {'PLANTED_KEY' in os.environ}\\n" for record in records)
"""


def wait_until(is_so, longest_s=60):
    due_s = time.monotonic() + longest_s
    while not is_so():
        assert time.monotonic() < due_s, "it does not come about"
        time.sleep(0.01)


def control_plane_of(gateway, but=0):
    """The process once it stands there as a program of its own, and is not the one that is known."""
    found = []

    def is_there():
        lines = {one: Path(f"/proc/{one}/cmdline") for one in children(gateway.process.pid)}
        found[:] = [one for one, line in lines.items() if line.exists() and b"control_process" in line.read_bytes()]
        return bool(found) and found[0] != but

    wait_until(is_there)
    (pid,) = found
    return pid


def call(gateway):
    answer = httpx2.post(
        f"{gateway.base_url}/responses",
        json={"model": "nano", "input": "Hello."},
        headers={"authorization": f"Bearer {gateway.key}"},
        timeout=30,
    )
    assert answer.status_code == 200
    return answer.headers["x-headworks-call-id"]


def serves_leases(gateway):
    """By then it has taken all that it was given."""
    return (gateway.folder / ".headworks" / "limits.sock").exists()


@pytest.fixture
def planted(tmp_path, monkeypatch):
    monkeypatch.setenv("PLANTED_KEY", IN_ENVIRONMENT)
    monkeypatch.setenv("PLANTED_AUDIT_KEY", OF_AUDIT)
    monkeypatch.setenv("PLANTED_TOKEN", OF_SINK)
    monkeypatch.setenv("SINK_FILE", str(tmp_path / "given"))
    (tmp_path / "planted-key").write_text(f"{IN_FILE}\n")
    (tmp_path / "planted-key").chmod(0o600)
    site = tmp_path / "site"
    site.mkdir()
    offer(site, {"headworks.record_sinks": {"acme": "Sink"}}, SOURCE)
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", str(site) if before is None else f"{site}{os.pathsep}{before}")


@pytest.mark.parametrize("sinks", ["", SINKS], ids=["without sinks", "with a sink"])
def test_no_provider_key_is_in_its_memory(make_gateway, planted, tmp_path, sinks):
    gateway = make_gateway(CONFIG + sinks)
    gateway.record(call(gateway))  # it has drained
    wait_until(lambda: serves_leases(gateway))
    if sinks:
        wait_until(lambda: (tmp_path / "given").exists() and (tmp_path / "given").read_text().endswith("False\n"))
    os.kill(gateway.process.pid, signal.SIGHUP)
    wait_until(lambda: "configuration reloaded" in "".join(gateway.process.said))

    control_plane = control_plane_of(gateway)
    worker = who_listens(children(gateway.process.pid), int(gateway.process.address.rpartition(":")[2]))

    searched = (IN_ENVIRONMENT, IN_FILE, OF_AUDIT, OF_SINK)
    try:
        seen = held_by(worker, *searched)
    except PermissionError:
        pytest.skip("this system lets nobody read the memory of another process")
    assert seen >= {IN_ENVIRONMENT, IN_FILE}  # or nothing would be searched
    assert held_by(control_plane, *searched) == {OF_AUDIT, OF_SINK}  # what sinks find in the environment is theirs
    assert IN_ENVIRONMENT.encode() not in Path(f"/proc/{control_plane}/environ").read_bytes()
    assert IN_ENVIRONMENT.encode() in Path(f"/proc/{worker}/environ").read_bytes()


def test_told_to_stop_while_it_begins_it_still_ends_well(make_gateway):
    """The next one takes its place; nothing that was recorded is lost on the way."""
    gateway = make_gateway("providers: {sim: {kind: simulator}}\nmodels: {nano: sim/gpt-6-luna}\n")
    first = control_plane_of(gateway)
    os.kill(first, signal.SIGKILL)
    second = control_plane_of(gateway, but=first)
    os.kill(second, signal.SIGTERM)  # long before its modules are loaded
    made = call(gateway)

    wait_until(lambda: "control-plane ended with code 0; starting another" in "".join(gateway.process.said))
    assert "control-plane was killed by signal 9" in "".join(gateway.process.said)
    assert "signal 15" not in "".join(gateway.process.said)
    assert gateway.record(made).call_id == made


def test_a_reload_that_changes_who_is_told_begins_another(make_gateway, planted):
    gateway = make_gateway(CONFIG)
    first = control_plane_of(gateway)
    (gateway.folder / "headworks.yaml").write_text(CONFIG + SINKS)
    os.kill(gateway.process.pid, signal.SIGHUP)

    second = control_plane_of(gateway, but=first)

    made = call(gateway)
    given = gateway.folder / "given"
    wait_until(lambda: given.exists() and f"{made} False\n" in given.read_text())
    assert IN_ENVIRONMENT.encode() not in Path(f"/proc/{second}/environ").read_bytes()


def test_it_is_the_last_to_end_and_has_drained_what_the_workers_left(make_gateway):
    gateway = make_gateway("providers: {sim: {kind: simulator}}\nmodels: {nano: sim/gpt-6-luna}\n")
    control_plane = control_plane_of(gateway)
    os.kill(control_plane, signal.SIGSTOP)  # so that nothing is drained while the workers are there
    made = call(gateway)
    os.kill(gateway.process.pid, signal.SIGTERM)
    wait_until(lambda: children(gateway.process.pid) == [control_plane])
    os.kill(control_plane, signal.SIGCONT)

    assert gateway.process.process.wait(60) == 0
    store = open_store(gateway.folder / ".headworks")
    try:
        assert made in [record.call_id for record in store.select(Selection())]
    finally:
        store.close()


def test_it_ends_when_its_supervisor_is_killed(make_gateway, tmp_path):
    from e2e_processes import Gateway

    gateway = Gateway(tmp_path, "providers: {sim: {kind: simulator}}\nmodels: {nano: sim/gpt-6-luna}\n")
    control_plane = control_plane_of(gateway)
    made = call(gateway)
    os.kill(gateway.process.pid, signal.SIGKILL)
    gateway.process.process.wait(20)

    wait_until(lambda: not Path(f"/proc/{control_plane}").exists() or "\nState:\tZ" in _status(control_plane))
    assert gateway.record(made).call_id == made


def _status(pid):
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "\nState:\tZ"
