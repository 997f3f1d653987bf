"""Who is served first where calls wait for room in a target's quota: shares of teams, priorities, deferred work."""

import asyncio
from collections import Counter

import httpx2

CONFIG = """
access:
  teams:
    payments: {weight: 3}
    search: {}
    desk: {priority: 0}
providers:
  sim: {kind: simulator, pace: 0, model_limits: {gpt-6-luna: {requests_per_minute: 600}}}
tiers: {nano: sim/gpt-6-luna}
"""
WORKLOAD = """
owner: tests
description: Sort what has come in overnight.
ladder: [nano]
urgency: deferred
latency: {total_s: 50}
"""
AT_ONCE = 600
"""What the quota lets through before anybody waits; then ten a second."""


def test_teams_are_served_by_weight_the_highest_class_first_and_deferred_work_last(tmp_path, make_gateway):
    folder = tmp_path / "workloads" / "overnight"
    folder.mkdir(parents=True)
    (folder / "workload.yaml").write_text(WORKLOAD)
    gateway = make_gateway(CONFIG)
    keys = {team: gateway.new_key(team, team=team) for team in ("payments", "search", "desk")}
    served: list[str] = []

    async def ask(client: httpx2.AsyncClient, who: str, key: str, model: str) -> None:
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
        answer = await client.post("/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == 200, answer.text
        served.append(who)

    async def play() -> str:
        limits = httpx2.Limits(max_connections=200)
        async with (
            httpx2.AsyncClient(base_url=gateway.base_url, limits=limits, timeout=60) as client,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(AT_ONCE + 20):  # the last of them wait already, so that whoever comes has to wait, too
                group.create_task(ask(client, "before", gateway.key, "sim/gpt-6-luna"))
            while len(served) < AT_ONCE:
                await asyncio.sleep(0.01)
            for _ in range(4):
                group.create_task(ask(client, "deferred", gateway.key, "overnight"))
            for _ in range(24):
                group.create_task(ask(client, "search", keys["search"], "sim/gpt-6-luna"))
                group.create_task(ask(client, "payments", keys["payments"], "sim/gpt-6-luna"))
            await asyncio.sleep(0.5)
            group.create_task(ask(client, "desk", keys["desk"], "sim/gpt-6-luna"))
            await asyncio.sleep(0.3)
            return (await client.get(f"{gateway.process.address}/metrics")).text

    metrics = asyncio.run(play())
    waited = served[AT_ONCE:]
    assert 'headworks_queue_waiting{queue="target/sim/gpt-6-luna",priority="3"} 4' in metrics
    assert waited.index("desk") < len(waited) / 2
    last = max(place for place, who in enumerate(waited) if who in ("payments", "search", "before"))
    assert waited[last + 1 :] == ["deferred"] * 4
    shared = Counter(waited[waited.index("payments") : len(waited) - waited[::-1].index("payments")])
    assert shared["payments"] == 24
    assert 2.0 <= shared["payments"] / shared["search"] <= 4.0
