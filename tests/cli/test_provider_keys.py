"""`headworks keys provider`: what it says of keys, from what a running gateway has left."""

import json
import threading
import time

import pytest

from headworks.cli import main
from headworks.secrets import SecretsStanding, SecretStanding, asked_s, write_standing
from headworks.telemetry import Metrics, MetricsShare, Standing

CONFIG = """
version: 1
secrets: {vault: {address: "https://vault.example.org"}}
providers:
  a: {kind: openai, api_key: "vault:secret/a#key", older_api_keys: ["file:old"]}
  b: {kind: openai, api_key: "env:B_KEY"}
"""


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "headworks.yaml").write_text(CONFIG)

    def run(*words):
        code = main(["keys", "provider", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def running(tmp_path):
    metrics = Metrics()
    metrics.standing = lambda: Standing(True)
    MetricsShare(metrics, tmp_path / ".headworks/run", "worker_1").publish()
    return tmp_path / ".headworks/run"


def leave(folder, problem="", asked=0.0):
    now_s = time.time()
    secrets = (
        SecretStanding("vault:secret/a#key", "7", now_s - 90, now_s - 5, 1, problem),
        SecretStanding("file:old", "", now_s - 90, now_s - 5, 0, ""),
    )
    write_standing(folder, SecretsStanding(now_s, asked, secrets))


def test_where_no_gateway_runs_it_says_where_the_keys_are_and_that_nothing_else_is_known(run):
    code, out, err = run("status")

    assert code == 1
    assert [line.split()[:4] for line in out.splitlines()[1:]] == [
        ["a", "vault:secret/a#key", "not", "known"],
        ["a", "file:old", "not", "known"],
        ["b", "env:B_KEY", "as", "started"],
    ]
    assert "the gateway is not running" in err


def test_of_a_running_one_it_shows_versions_and_what_is_stale(run, running):
    leave(running)
    code, out, _ = run("status", "--json")
    first = json.loads(out.splitlines()[0])
    assert code == 0
    assert (first["provider"], first["state"], first["version"], first["older"]) == ("a", "good", "7", 1)

    leave(running, problem="vault:secret/a#key: nobody answers")
    code, out, err = run("status")
    assert code == 1
    assert "stale" in out
    assert "nobody answers" in err


def test_rotate_asks_the_gateway_and_shows_what_it_has_found(run, running):
    def answer():
        while not asked_s(running):
            time.sleep(0.01)
        leave(running, asked=asked_s(running))

    gateway = threading.Thread(target=answer)
    gateway.start()
    code, out, _ = run("rotate")
    gateway.join(20)

    assert code == 0
    assert "good" in out


def test_rotate_needs_a_gateway_that_runs_and_a_key_that_can_change(run, tmp_path):
    code, _, err = run("rotate")
    assert code == 1
    assert "it looks at its keys when it starts" in err

    (tmp_path / "headworks.yaml").write_text("providers: {b: {kind: openai, api_key: 'env:B_KEY'}}\n")
    code, _, err = run("rotate")
    assert code == 1
    assert "a change in the environment takes a restart" in err
