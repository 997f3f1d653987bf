"""What keeps a project from becoming a gateway is found before anything of it is made."""

import shutil
from pathlib import Path

import pytest

from headworks.assembly import read_settings
from headworks.config import LOCK_FILE, Lock, Locked, load, lock_text
from headworks.errors import ConfigError
from headworks.library import connect
from headworks.routing import Health

DESK = Path(__file__).parents[1] / "examples" / "support-desk"


@pytest.fixture
def desk(tmp_path):
    return Path(shutil.copytree(DESK, tmp_path / "desk", ignore=shutil.ignore_patterns(".headworks")))


def test_a_workload_that_is_locked_to_a_model_that_is_gone_cannot_be_served(desk):
    (desk / LOCK_FILE).write_text(lock_text(Lock(workloads={"ticket-triage": Locked(model="gone")})))

    with pytest.raises(ConfigError, match="ticket-triage is locked to `gone`, which is bound to no model"):
        read_settings(load(desk / "headworks.yaml"), {})


def test_a_rung_whose_provider_does_not_have_the_model_cannot_be_served(desk):
    path = desk / "headworks.yaml"
    path.write_text(path.read_text().replace("nano: simulator/gpt-6-luna", "nano: simulator/gpt-6-lunar"))

    with pytest.raises(ConfigError, match="that provider has no such model; did you mean `gpt-6-luna`") as raised:
        read_settings(load(path), {})

    assert {problem.file.split("/")[-2] for problem in raised.value.problems} == {"invoice-extraction", "ticket-triage"}


EUROPE = """
providers:
  home: {kind: openai-compatible, base_url: "http://127.0.0.1:9/v1", regions: [eu]}
  away: {kind: openai-compatible, base_url: "http://127.0.0.1:9/v1", regions: [us]}
models: {good: home/a, best: away/b, both: {targets: [home/a, home/c]}}
"""


def test_a_rung_that_the_lock_has_decided_on_is_bound_by_where_the_data_may_go(tmp_path):
    folder = tmp_path / "workloads" / "triage"
    folder.mkdir(parents=True)
    (tmp_path / "headworks.yaml").write_text(EUROPE)
    (folder / "workload.yaml").write_text("owner: o\ndescription: d\nladder: [good]\ndata: {residency: [eu]}\n")
    (tmp_path / LOCK_FILE).write_text(lock_text(Lock(workloads={"triage": Locked(model="best")})))

    with pytest.raises(ConfigError, match=r"does not allow us, where `providers.away` processes data \(`best` is"):
        read_settings(load(tmp_path), {"HOME": "/"})


def test_servers_of_one_provider_are_asked_each_at_its_own_address(tmp_path):
    (tmp_path / "headworks.yaml").write_text(
        "access: {mode: open}\nproviders:\n  own:\n    kind: openai-compatible\n    models: [m]\n    pools:\n"
        "      one: {base_url: 'http://127.0.0.1:1/v1'}\n      two: {base_url: 'http://127.0.0.1:2/api'}\n"
        "      again: {base_url: 'http://127.0.0.1:1/v1'}\n"
    )
    (provider,) = read_settings(load(tmp_path), {}).providers

    assert [(pool.base_url, pool.settings.base_path) for pool in provider.pools] == [
        ("http://127.0.0.1:1/v1", "/v1"), ("http://127.0.0.1:2/api", "/api"), ("http://127.0.0.1:1/v1", "/v1"),
    ]  # fmt: skip
    with connect(tmp_path) as gateway:
        pools = gateway._assembly._table.resolve("own/m").pools
        ports = [pool.station.upstream._origin.port for pool in pools]
        assert ports == [1, 2, 1]
        assert pools[0].station.upstream is pools[2].station.upstream


def test_a_name_for_several_targets_is_served_by_all_of_them_and_so_is_a_workload(tmp_path, monkeypatch):
    monkeypatch.setattr(Health, "cost_s", lambda health, now_s: 0.0)  # how quick this machine is must not count
    folder = tmp_path / "workloads" / "triage"
    folder.mkdir(parents=True)
    (tmp_path / "headworks.yaml").write_text(
        "access: {mode: open}\nproviders:\n  a: {kind: simulator, pace: 0}\n  b: {kind: simulator, pace: 0}\n"
        "models:\n  fast: {targets: [a/gpt-6-luna, {target: b/gpt-6-luna, weight: 2}]}\n"
    )
    (folder / "workload.yaml").write_text("owner: o\ndescription: d\nladder: [fast]\n")
    with connect(tmp_path) as gateway, gateway.openai() as client:
        for name in ("fast", "triage"):
            served = {
                client.chat.completions.with_raw_response.create(
                    model=name, messages=[{"role": "user", "content": "Hello."}]
                ).headers["x-headworks-provider"]
                for _ in range(40)
            }
            assert served == {"a", "b"}


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), ("{}", "this is no JSON Web Key Set"), ('{"keys": []}', "no key in it")],
)
def test_a_file_without_keys_of_a_token_issuer_is_told_with_its_place(tmp_path, content, words):
    (tmp_path / "headworks.yaml").write_text(
        "providers: {sim: {kind: simulator}}\naccess: {tokens: [{issuer: a, audience: [b], jwks_file: keys.json}]}\n"
    )
    if content is not None:
        (tmp_path / "keys.json").write_text(content)

    with pytest.raises(ConfigError, match=words) as raised:
        read_settings(load(tmp_path), {})
    assert raised.value.problems[0].line == 2
