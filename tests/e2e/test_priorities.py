"""Who is served first where calls wait for room in a target's quota: shares of teams, priorities, deferred work."""

import asyncio
import re
import time
from collections import Counter

import httpx2

CONFIG = """
access:
  teams:
    payments: {weight: 3}
    search: {}
    desk: {priority: 0}
providers:
  sim: {kind: simulator, pace: 0, model_limits: {gpt-6-luna: {requests_per_minute: 120}}}
tiers: {nano: sim/gpt-6-luna}
"""
WORKLOAD = """
owner: tests
description: Sort what has come in overnight.
ladder: [nano]
urgency: deferred
latency: {total_s: 50}
"""
AT_ONCE = 120
"""What the quota lets through before anybody waits; then two a second, so that a busy machine makes calls quicker."""


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

    async def seen(client: httpx2.AsyncClient, priority: int, least: int) -> None:
        """Until so many wait in a class. `/metrics` is of now."""
        found = re.compile(rf'queue_waiting{{queue="target/sim/gpt-6-luna",priority="{priority}"}} (\d+)')
        due_s = time.monotonic() + 60
        while True:
            waiting = found.search((await client.get(f"{gateway.process.address}/metrics")).text)
            if waiting is not None and int(waiting[1]) >= least:
                return
            assert time.monotonic() < due_s, (priority, waiting)
            await asyncio.sleep(0.02)

    async def play() -> None:
        limits = httpx2.Limits(max_connections=100)
        async with (
            httpx2.AsyncClient(base_url=gateway.base_url, limits=limits, timeout=60) as client,
            asyncio.TaskGroup() as group,
        ):

            def start(count: int, who: str, model: str = "sim/gpt-6-luna") -> None:
                for _ in range(count):
                    group.create_task(ask(client, who, keys.get(who, gateway.key), model))

            start(AT_ONCE + 10, "before")  # the last of them wait, so that whoever comes has to wait, too
            while len(served) < AT_ONCE:
                await asyncio.sleep(0.01)
            for _ in range(12):
                start(1, "search")
                start(1, "payments")
            await seen(client, 1, 20)
            start(4, "deferred", "overnight")
            await seen(client, 3, 4)
            start(3, "search")
            start(1, "desk")

    asyncio.run(play())
    waited = served[AT_ONCE:]
    assert waited.index("desk") < len(waited) / 2
    assert waited[-4:] == ["deferred"] * 4  # also after those who came later
    assert Counter(waited) == {"before": 10, "search": 15, "payments": 12, "desk": 1, "deferred": 4}
    shared = Counter(waited[waited.index("payments") : len(waited) - waited[::-1].index("payments")])
    assert 2.0 <= shared["payments"] / shared["search"] <= 4.0
