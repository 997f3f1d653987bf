"""`headworks conformance` over a network, on a server that speaks as each maker's does."""

import json
from pathlib import Path

import pytest
from e2e_processes import Process

from headworks.cli import main
from headworks.extending import PROVIDERS
from offering import forget, offer

CONFIG = """
version: 1
providers:
  cellar: {{kind: openai-compatible, base_url: "{simulator}/v1", api_key: env:SUITE_KEY, structured_output: tool}}
  claude: {{kind: anthropic, base_url: "{simulator}/v1", api_key: env:SUITE_KEY}}
  bedrock: {{kind: bedrock, region: eu-west-1, base_url: "{simulator}", api_key: env:SUITE_KEY}}
  azure: {{kind: azure, base_url: "{simulator}", api_key: env:SUITE_KEY}}
  vertex: {{kind: vertex, base_url: "{simulator}/v1/projects/p/locations/eu", api_key: env:SUITE_KEY}}
  acme: {{kind: openai-compatible, base_url: "{simulator}/v1", extension: acme, speaks: [responses, chat]}}
  google: {{kind: gemini, base_url: "{simulator}/v1beta", api_key: env:SUITE_KEY}}
models:
  nano: cellar/gpt-6-luna
  claude: claude/claude-sonnet-5
  gemini: google/gemini-3.5-flash
  azure: azure/gpt-6-luna
  bedrock: bedrock/claude-sonnet-5
  vertex: vertex/gemini-3.5-flash
  acme: acme/gpt-6-luna
"""

ACME = """
from headworks.providers import OpenAIProvider


class AcmeProvider(OpenAIProvider):
    def json_request(self, path, body, forwarded):
        return super().json_request(path, body, b"authorization: Bearer of-acme\\r\\n" + forwarded)
"""


@pytest.mark.parametrize(
    ("provider", "untranslated"),
    [
        ("cellar", set()),
        ("claude", {"JSON without a schema", "seed", "log probabilities"}),
        ("google", {"one function at a time"}),
        ("vertex", {"one function at a time"}),
        ("azure", {"stop sequences", "seed"}),
        ("bedrock", {"JSON without a schema", "seed", "log probabilities"}),
        ("acme", {"stop sequences", "seed"}),
    ],
)
def test_a_server_is_measured(
    simulator: Process,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    provider: str,
    untranslated: set[str],
) -> None:
    (tmp_path / "headworks.yaml").write_text(CONFIG.format(simulator=simulator.address))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUITE_KEY", "sk-simulated")
    offer(tmp_path, {PROVIDERS: {"acme": "AcmeProvider"}}, ACME)
    monkeypatch.syspath_prepend(tmp_path)
    forget()

    code = main(["conformance", provider, "--json"])
    told = json.loads(capsys.readouterr().out)
    by_outcome: dict[str, set[str]] = {}
    for one in told["cases"]:
        by_outcome.setdefault(one["outcome"], set()).add(one["case"])

    assert code == 0, told
    assert by_outcome.get("untranslated", set()) == untranslated
    assert by_outcome.get("failed", set()) == set()
    assert by_outcome.get("wrong", set()) == set()
