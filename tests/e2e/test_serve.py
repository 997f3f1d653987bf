"""The process itself: start, stop, reload, keys, workers."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import openai
import pytest
from e2e_processes import Gateway

from headworks.access import KEYS_FILE, KeyStore

CONFIG = """
version: 1
server: {grace_s: 10}
providers:
  sim: {kind: simulator, pace: PACE}
models:
  nano: sim/gpt-6-luna
"""


def wait_until(holds: Callable[[], bool], limit_s: float = 60.0) -> None:
    due_s = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < due_s, "it does not come to hold"
        time.sleep(0.02)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    running = Gateway(tmp_path, CONFIG.replace("PACE", "0.3"), "--workers", "2")
    yield running
    assert running.process.stop() == 0, running.process.said


def client_of(gateway: Gateway) -> openai.OpenAI:
    return openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0)


def test_a_stream_under_way_is_finished_before_the_process_ends(gateway: Gateway) -> None:
    with client_of(gateway) as client:
        stream = client.responses.create(model="nano", input="Say much and slowly, please do.", stream=True)
        kinds = [next(stream).type]
        threading.Timer(0.05, lambda: os.kill(gateway.process.pid, signal.SIGTERM)).start()
        kinds += [event.type for event in stream]
    assert kinds[-1] == "response.completed"
    assert gateway.process.process.wait(20) == 0


def test_a_stream_that_outlasts_the_grace_period_ends_with_an_error(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, CONFIG.replace("PACE", "20").replace("grace_s: 10", "grace_s: 0.2"))
    with client_of(gateway) as client:
        stream = client.responses.create(model="nano", input="Say much and slowly, please do.", stream=True)
        assert next(stream).type == "response.created"
        os.kill(gateway.process.pid, signal.SIGTERM)
        with pytest.raises(openai.APIError, match="is stopping"):
            list(stream)
    assert gateway.process.process.wait(20) == 0


def test_readiness_goes_before_the_listener_does(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, CONFIG.replace("PACE", "0"))
    with httpx2.Client(base_url=gateway.process.address) as probe:
        assert probe.get("/health/ready").status_code == 200
        os.kill(gateway.process.pid, signal.SIGTERM)
        wait_until(lambda: probe.get("/health/ready").status_code == 503, 3)
    assert gateway.process.stop() == 0


def test_a_revoked_key_is_refused_within_a_second(gateway: Gateway) -> None:
    with client_of(gateway) as client:
        client.models.list()
        store = KeyStore(gateway.folder / ".headworks" / KEYS_FILE)
        key_id = next(record.key_id for record in store.list() if record.name == "test")
        store.revoke(key_id, now=time.time())
        store.close()
        revoked_s = time.monotonic()

        def is_refused() -> bool:
            try:
                client.models.list()
            except openai.AuthenticationError:
                return True
            return False

        wait_until(is_refused)
        assert time.monotonic() - revoked_s < 20  # a second, and what a busy machine adds


def test_a_good_file_is_taken_at_sighup_and_a_bad_one_is_not(gateway: Gateway) -> None:
    file = gateway.folder / "headworks.yaml"
    good = file.read_text()
    with client_of(gateway) as client:
        file.write_text(good.replace("nano: sim/gpt-6-luna", "nano: sim/gpt-6-luna\n  small: sim/gpt-6-luna"))
        os.kill(gateway.process.pid, signal.SIGHUP)
        wait_until(lambda: "configuration reloaded" in "".join(gateway.process.said))
        wait_until(lambda: "small" in [model.id for model in client.models.list()])
        file.write_text(good.replace("kind: simulator", "kind: simulater"))
        os.kill(gateway.process.pid, signal.SIGHUP)
        wait_until(lambda: "the old configuration stays" in "".join(gateway.process.said))
        wait_until(lambda: "headworks: headworks.yaml:5:15: providers.sim.kind: " in "".join(gateway.process.said))
        assert client.responses.create(model="nano", input="Still there?").status == "completed"


def test_a_reload_names_each_field_that_needs_a_restart_and_where_it_stands(gateway: Gateway) -> None:
    file = gateway.folder / "headworks.yaml"
    file.write_text(file.read_text().replace("{grace_s: 10}", "{grace_s: 10, host: 0.0.0.0}") + "storage: {path: x}\n")
    os.kill(gateway.process.pid, signal.SIGHUP)
    said = gateway.process.said

    wait_until(lambda: "headworks: headworks.yaml:8:17: storage.path: a change of this needs a restart\n" in said)
    assert "headworks: headworks.yaml:3:29: server.host: a change of this needs a restart\n" in said


def test_a_reload_without_a_file_says_so(gateway: Gateway) -> None:
    (gateway.folder / "headworks.yaml").unlink()
    os.kill(gateway.process.pid, signal.SIGHUP)

    wait_until(lambda: "headworks: headworks.yaml: there is no such file" in "".join(gateway.process.said))
    assert "Errno" not in "".join(gateway.process.said)


def test_a_stop_says_what_it_may_wait_for(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, CONFIG.replace("PACE", "0"))

    assert gateway.process.stop() == 0
    assert "stopping; calls under way may take 10 s to finish" in gateway.process.said[-1]


def children_of(gateway: Gateway) -> list[int]:
    """Its processes, the control plane's and the workers', the youngest last."""
    return [
        int(pid) for pid in Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children").read_text().split()
    ]


def test_a_killed_worker_is_replaced(gateway: Gateway) -> None:
    for child in children_of(gateway):
        os.kill(child, signal.SIGKILL)

    def answers() -> bool:
        try:
            return httpx2.get(f"{gateway.process.address}/health/ready").status_code == 200
        except httpx2.TransportError:
            return False

    wait_until(answers)
    assert "was killed by signal 9; starting another" in "".join(gateway.process.said)


def test_metrics_add_up_over_workers(gateway: Gateway) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    def calls() -> float:
        text = httpx2.get(f"{gateway.process.address}/metrics").text
        families = {family.name: family for family in text_string_to_metric_families(text)}
        return sum(sample.value for sample in families["headworks_calls"].samples)

    for _ in range(12):  # each on a connection of its own, so that both workers have some
        answer = httpx2.get(f"{gateway.base_url}/models", headers={"authorization": f"Bearer {gateway.key}"})
        assert answer.status_code == 200
    wait_until(lambda: calls() == 12, 5)


def test_a_dead_worker_is_not_counted_among_those_that_run(gateway: Gateway) -> None:
    def workers() -> float:
        try:
            lines = httpx2.get(f"{gateway.process.address}/metrics").text.splitlines()
        except httpx2.TransportError:  # it was asked of the one that died
            return 0
        return float(next(line for line in lines if line.startswith("headworks_workers ")).split()[1])

    wait_until(lambda: workers() == 2)
    for _ in range(4):  # who dies young again and again is replaced seconds later
        if workers() == 1:
            return
        wait_until(lambda: len(children_of(gateway)) == 3)
        os.kill(children_of(gateway)[-1], signal.SIGKILL)

    wait_until(lambda: workers() == 1)


def test_a_start_that_fails_leaves_the_running_gateways_figures_alone(gateway: Gateway) -> None:
    left = gateway.folder / ".headworks" / "run" / "control-plane.metrics"
    left.write_bytes(b"what was counted")

    done = subprocess.run(
        [sys.executable, "-m", "headworks", "serve", "--port", gateway.process.address.rsplit(":", 1)[1]],
        cwd=gateway.folder,
        capture_output=True,
    )

    assert done.returncode == 1
    assert left.read_bytes() == b"what was counted"
    left.unlink()


def test_everything_in_the_state_folder_is_its_owners_only(gateway: Gateway) -> None:
    storage = gateway.folder / ".headworks"
    with client_of(gateway) as client:
        client.responses.create(model="nano", input="Hello.")
    wait_until(lambda: any((storage / "run").glob("*.metrics")))

    assert [path for path in storage.rglob("*") if path.stat().st_mode & 0o077] == []


def test_a_second_gateway_in_the_same_state_folder_is_refused(gateway: Gateway) -> None:
    """And commands work beside the first."""
    run = [sys.executable, "-m", "headworks"]
    done = subprocess.run([*run, "serve", "--port", "0"], cwd=gateway.folder, capture_output=True, text=True)

    assert done.returncode == 1
    port = gateway.process.address.rsplit(":", 1)[1]
    assert f".headworks is in use by another gateway (process {gateway.process.pid}, on port {port})" in done.stderr
    assert "`storage.path`" in done.stderr
    for command in ("status", "keys", "calls"):
        words = [*run, command, *(["list"] if command == "keys" else [])]
        assert subprocess.run(words, cwd=gateway.folder, capture_output=True).returncode == 0, command


def test_a_killed_gateways_state_folder_is_free_at_once(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, CONFIG.replace("PACE", "0"))
    os.kill(gateway.process.pid, signal.SIGKILL)
    gateway.process.process.wait(20)
    again = Gateway(tmp_path, CONFIG.replace("PACE", "0"))

    assert again.process.stop() == 0


def test_a_port_in_use_is_named(gateway: Gateway, tmp_path: Path) -> None:
    port = gateway.process.address.rsplit(":", 1)[1]
    folder = tmp_path / "another"
    folder.mkdir()
    (folder / "headworks.yaml").write_text((gateway.folder / "headworks.yaml").read_text())
    done = subprocess.run(
        [sys.executable, "-m", "headworks", "serve", "--port", port],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: it is in use" in done.stderr


def test_open_mode_says_so(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, CONFIG.replace("PACE", "0") + "access: {mode: open}\n")
    try:
        assert httpx2.get(f"{gateway.base_url}/models").status_code == 200
        rebound = httpx2.get(f"{gateway.base_url}/models", headers={"host": "evil.example"})
        assert rebound.json()["error"]["code"] == "host_not_allowed"
        assert "without a key" in "".join(gateway.process.said)
        wait_until(lambda: "Ctrl-C" in "".join(gateway.process.said))
        said = "".join(gateway.process.said)
        call = said[said.index("  curl ") : said.index("  from openai")]
        assert "Authorization" not in call
        done = subprocess.run(["bash", "-c", call], capture_output=True, text=True, timeout=30)
        assert "output_text" in done.stdout
        assert f'base_url="{gateway.base_url}", api_key="none"' in said
    finally:
        assert gateway.process.stop() == 0


def test_a_start_that_fails_leaves_the_running_gateways_trial_key_alone(tmp_path: Path) -> None:
    run = [sys.executable, "-m", "headworks"]
    subprocess.run([*run, "init", "."], cwd=tmp_path, check=True, capture_output=True)
    first = subprocess.Popen([*run, "serve", "--port", "0"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert first.stderr is not None
    try:
        said = ""
        while "Ctrl-C" not in said:
            said += first.stderr.readline()
        address = said.split("headworks ready on ")[1].split()[0]
        key = said.split("key       ")[1].split()[0]
        second = subprocess.run(
            [*run, "serve", "--port", address.rpartition(":")[2]], cwd=tmp_path, capture_output=True, text=True
        )
        assert second.returncode == 1
        assert "in use" in second.stderr
        headers = {"authorization": f"Bearer {key}"}
        for _ in range(12):  # longer than a worker takes to hear of a revocation
            assert httpx2.get(f"{address}/v1/models", headers=headers).status_code == 200
            time.sleep(0.1)
    finally:
        first.terminate()
        first.communicate()
