"""The agents of `examples/agents`, unchanged frameworks over every kind of upstream."""

import asyncio
import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e_processes import Gateway, Process

EXAMPLES = Path(__file__).parents[2] / "examples" / "agents"
CONFIG = """
version: 1
providers:
  sim: {{kind: simulator, pace: 0}}
  cellar: {{kind: openai-compatible, base_url: "{simulator}/v1", api_key: env:AGENTS_KEY}}
  claude: {{kind: anthropic, base_url: "{simulator}/v1", api_key: env:AGENTS_KEY}}
  google: {{kind: gemini, base_url: "{simulator}/v1beta", api_key: env:AGENTS_KEY}}
  openai: {{kind: openai, base_url: "{simulator}/v1", api_key: env:AGENTS_KEY}}
  azure: {{kind: azure, base_url: "{simulator}", api_key: env:AGENTS_KEY}}
  bedrock: {{kind: bedrock, region: eu-west-1, base_url: "{simulator}", api_key: env:AGENTS_KEY}}
  vertex: {{kind: vertex, base_url: "{simulator}/v1/projects/p/locations/eu", api_key: env:AGENTS_KEY}}
models:
  nano: sim/gpt-6-luna
  cellar: cellar/gpt-6-luna
  claude: claude/claude-sonnet-5
  gemini: google/gemini-3.5-flash
  openai: openai/gpt-6-luna
  azure: azure/gpt-6-luna
  bedrock: bedrock/claude-sonnet-5
  vertex: vertex/gemini-3.5-flash
"""
MODELS = ["nano", "cellar", "claude", "gemini", "openai", "azure", "bedrock", "vertex"]


@pytest.fixture(scope="module")
def gateway(simulator: Process, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGENTS_KEY", "sk-simulated")
        running = Gateway(tmp_path_factory.mktemp("agents"), CONFIG.format(simulator=simulator.address))
    yield running
    assert running.process.stop() == 0, running.process.said


def example(name: str, *needs: str) -> Any:
    """An example as a module; the test is skipped where what it needs is not installed."""
    for package in needs:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: see requirements/dev.in")
    specification = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize("model", MODELS)
def test_the_openai_agents_sdk_runs(gateway: Gateway, model: str) -> None:
    module = example("openai_agents", "agents")
    import agents

    agents.set_tracing_disabled(disabled=True)
    came = asyncio.run(module.run(gateway.base_url, gateway.key, model))

    assert came["answer"]
    assert came["tools"] == 1
    assert came["questions_in_session"] == 2
    assert came["is_stopped"]
    assert came["is_streamed"]
    assert set(came["report"]) == {"city", "summary"}
    assert came["handed_to"] == "Reporter"


@pytest.mark.parametrize("model", MODELS)
def test_pydantic_ai_runs(gateway: Gateway, model: str) -> None:
    module = example("pydantic_agent", "pydantic_ai")
    came = asyncio.run(module.run(gateway.base_url, gateway.key, model))

    assert set(came["report"]) == {"city", "summary"}
    assert came["answer"]
    assert came["tools"] == 1
    assert came["streamed"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_langchain_s_openai_client_runs(gateway: Gateway, model: str, api: str) -> None:
    module = example("langchain_agent", "langchain_openai")
    came = module.run(gateway.base_url, gateway.key, model, use_responses_api=api == "responses")

    assert came["answer"]
    assert came["tools"] == 1
    assert set(came["report"]) == {"city", "summary"}
    assert "hello" in came["streamed"].lower()


@pytest.mark.parametrize("model", MODELS)
def test_anthropic_s_tool_runner_runs(gateway: Gateway, model: str) -> None:
    module = example("anthropic_loop", "anthropic")
    came = module.run(gateway.process.address, gateway.key, model)

    assert came["answer"]
    assert came["tools"] == 1
    assert came["stop_reason"] == "end_turn"
    assert "hello" in came["streamed"].lower()


def test_the_openai_agents_sdk_for_javascript_runs(gateway: Gateway, tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: it comes with Node.js")
    for name in ("package.json", "openai_agents.mjs"):
        shutil.copy(EXAMPLES / name, tmp_path)
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund"]
    subprocess.run(install, cwd=tmp_path, check=True, timeout=150)
    environment = {**os.environ, "OPENAI_BASE_URL": gateway.base_url, "OPENAI_API_KEY": gateway.key}
    done = subprocess.run(
        ["node", "openai_agents.mjs"],
        cwd=tmp_path,
        env=environment | {"MODEL": ",".join(MODELS)},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    came = json.loads(done.stdout)
    assert list(came) == MODELS
    for one in came.values():
        assert one["answer"]
        assert one["tools"] == 1
        assert one["streamed"]
        assert one["isStopped"]
        assert one["questionsInSession"] == 2
        assert set(one["report"]) == {"city", "summary"}
        assert one["handedTo"] == "Reporter"
