"""The stations that an assembly makes of providers: each asked at its own address, and equal ones in turn."""

import asyncio
from time import perf_counter

import pytest

from headworks.assembly import Assembly
from headworks.calls import FailureKind
from headworks.config import load
from headworks.library import connect
from headworks.routing import Health
from headworks.settings import read_settings


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


@pytest.mark.parametrize("change", ["a name", "the key"])
def test_a_reload_keeps_open_what_is_down_and_asks_anew_what_has_another_key(tmp_path, change):
    def configure(key, name):
        (tmp_path / "key").write_text(key)
        (tmp_path / "key").chmod(0o600)
        (tmp_path / "headworks.yaml").write_text(
            "access: {mode: open}\nproviders:\n  own: {kind: openai-compatible, base_url: 'http://127.0.0.1:1/v1', "
            f"api_key: 'file:key', models: [m]}}\nmodels: {{{name}: own/m}}\n"
        )

    configure("sk-first", "first")
    with connect(tmp_path) as gateway:

        async def reloaded():
            health = gateway._assembly._table.resolve("first").station.health
            for _ in range(5):
                health.begin(perf_counter())
                health.failed(perf_counter(), FailureKind.UNREACHABLE)
            configure(*(("sk-first", "second") if change == "a name" else ("sk-second", "second")))
            fresh = Assembly(read_settings(load(tmp_path), {}), gateway._hull)
            may_pass = fresh._table.resolve("second").station.health.may_pass(perf_counter())
            await fresh.retire()
            return may_pass

        may_pass = asyncio.run_coroutine_threadsafe(reloaded(), gateway._loop).result()

    assert may_pass is (change == "the key")


def test_what_a_deployment_stands_for_says_what_it_can_be_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("KEY", "k")
    (tmp_path / "headworks.yaml").write_text(
        "access: {mode: open}\nproviders:\n  aws:\n    kind: bedrock\n    region: eu-west-1\n    api_key: env:KEY\n"
        "    deployments: {'arn:a': anthropic.claude-haiku-4-5-20251001-v1:0}\n"
    )
    with connect(tmp_path) as gateway:
        resolve = gateway._assembly._table.resolve
        assert resolve("aws/arn:a").station.stands_for == "anthropic.claude-haiku-4-5-20251001-v1:0"
        assert resolve("aws/arn:b").station.stands_for == ""
