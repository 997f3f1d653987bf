"""A gateway that starts from what `headworks import` wrote, with the simulator in the place of every provider."""

from collections.abc import Callable
from pathlib import Path

import openai
import pytest
from e2e_processes import Gateway, Process

from headworks.importing import import_file

FILES = Path(__file__).parents[1] / "importing" / "files"


@pytest.fixture
def started(
    simulator: Process, make_gateway: Callable[..., Gateway], tmp_path: Path
) -> Callable[[str, str], openai.OpenAI]:
    """Imports a file and starts the gateway; returns a client."""

    def start(gateway: str, name: str) -> openai.OpenAI:
        made = import_file(gateway, FILES / name, environment={}, simulator=simulator.address)
        assert made.variables == (), "a trial needs none"
        for path, text in made.files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        running = make_gateway(made.files["headworks.yaml"])
        return openai.OpenAI(base_url=running.base_url, api_key=running.key, max_retries=0)

    return start


@pytest.mark.parametrize("model", ["chat", "gpt-4", "claude", "gemini", "chat-azure", "local"])
def test_callers_of_litellm_keep_their_models(started: Callable[[str, str], openai.OpenAI], model: str) -> None:
    client = started("litellm", "litellm.yaml")

    # Not every one of these has a seed: the file says `drop_params`.
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello"}], seed=1)

    assert answer.choices[0].message.content


def test_callers_of_portkey_name_the_config(started: Callable[[str, str], openai.OpenAI]) -> None:
    client = started("portkey", "portkey.json")

    assert client.responses.create(model="portkey", input="Hello").output_text


def test_callers_of_tensorzero_name_models_and_functions(started: Callable[[str, str], openai.OpenAI]) -> None:
    client = started("tensorzero", "tensorzero/tensorzero.toml")

    assert client.responses.create(model="terra", input="Hello").output_text
    assert client.embeddings.create(model="vectors", input="Hello").data
    answer = client.responses.create(model="extract-entities", input="Ada went to Oslo.").output_text
    assert '"people"' in answer
