"""A prompt's unchanging part, cached by a provider that caches what is marked: seen in what calls use and cost."""

from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from e2e_processes import Gateway, Process

CONFIG = """
version: 1
providers:
  claude: {{kind: anthropic, base_url: "{simulator}/v1", api_key: env:CLAUDE_KEY}}
models:
  claude: claude/claude-sonnet-5
prices: {{providers: {{claude: {{catalogue: anthropic}}}}}}
"""
PROMPT = """---
version: 1.0.0
variables: {{ticket: string}}
cache: {{breakpoint: {setting}}}
---
{{% developer %}}
{rules}
{{% user %}}
Ticket: {{{{ ticket }}}}
"""


@pytest.mark.parametrize("setting", ["auto", "off"])
def test_the_second_call_reads_the_prefix_from_the_cache_and_costs_less(
    tmp_path: Path,
    make_gateway: Callable[..., Gateway],
    simulator: Process,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
) -> None:
    monkeypatch.setenv("CLAUDE_KEY", "sk-ant-simulated")
    folder = tmp_path / "workloads" / "triage"
    folder.mkdir(parents=True)
    (folder / "workload.yaml").write_text("owner: o\ndescription: d\nladder: [claude]\n")
    rules = f"Sort tickets ({setting}). " + "Be kind to whoever writes, and answer in one word. " * 200
    (folder / "prompt.md").write_text(PROMPT.format(setting=setting, rules=rules))
    gateway = make_gateway(CONFIG.format(simulator=simulator.address))

    def record(ticket: str):
        answer = httpx2.post(
            f"{gateway.base_url}/chat/completions",
            json={"model": "triage", "messages": [], "prompt": {"variables": {"ticket": ticket}}},
            headers={"authorization": f"Bearer {gateway.key}"},
            timeout=20,
        )
        assert answer.status_code == 200, answer.text
        return gateway.record(answer.headers["x-headworks-call-id"])

    first, second = record("The printer is on fire."), record("I forgot my password.")
    if setting == "off":
        assert (first.cache_write_tokens, second.cached_tokens) == (0, 0)
        return
    assert first.cache_write_tokens > 1500
    assert second.cached_tokens == first.cache_write_tokens
    assert 0 < (second.cost_pico or 0) < (first.cost_pico or 0)
