"""The stations that an assembly makes of providers: each asked at its own address, and equal ones in turn."""

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
