import shutil
from pathlib import Path

import pytest
import yaml

from headworks.config import load_workloads
from headworks.errors import ConfigError
from headworks.importing import import_file

FILES = Path(__file__).parent / "files"


def test_routing_becomes_a_model_and_its_fallback(imported):
    made = imported("tensorzero", "tensorzero/tensorzero.toml")

    terra = made.config.models["terra"]
    assert (terra.provider, terra.model, terra.fallback) == (
        "openai",
        "gpt-6.1-terra",
        ("azure/terra", "groq/llama-4-scout"),
    )
    assert made.config.providers["openai"].timeouts.total_s == 60
    assert made.config.providers["vllm"].headers == {"x-rack": "3"}
    assert made.config.providers["vllm"].api_key is None
    assert made.config.server.port == 3000
    assert made.config.providers["azure"].base_url == "https://east.openai.azure.com"
    assert made.fate("models.terra.providers.azure.endpoint") == ("mapped", "providers.azure.base_url")


def test_the_usual_key_of_a_type_is_followed(imported):
    made = imported("tensorzero", "tensorzero/tensorzero.toml")

    assert made.config.providers[made.config.models["vectors"].provider].api_key == "env:OPENAI_OTHER"


def test_costs_that_are_differences_become_prices(imported):
    prices = imported("tensorzero", "tensorzero/tensorzero.toml").config.prices.models["openai/gpt-6.1-terra"]

    assert [float(one) for one in (prices.input, prices.output, prices.cached_input)] == [1.25, 10, 0.125]


def test_a_function_becomes_a_workload(imported):
    made = imported("tensorzero", "tensorzero/tensorzero.toml")
    folder = made.folder / "workloads" / "extract-entities"

    contract = yaml.safe_load((folder / "workload.yaml").read_text())
    assert contract["model"] == "terra"
    assert contract["fallback"] == ["anthropic::claude-haiku-5"]
    assert contract["output"] == {"max_tokens": 400, "temperature": 0}
    assert "Find the names" in (folder / "prompt.md").read_text()
    assert (folder / "schema.json").exists()


def test_the_workload_is_valid(imported):
    from headworks.config import load

    made = imported("tensorzero", "tensorzero/tensorzero.toml")

    assert [one.name for one in load_workloads(load(made.folder))] == ["extract-entities", "summary"]


def test_a_template_with_variables_is_left_to_a_person(tmp_path):
    shutil.copytree(FILES / "tensorzero", tmp_path / "tz")
    (tmp_path / "tz" / "functions" / "extract" / "system.minijinja").write_text("Find {{ what }}.")

    made = import_file("tensorzero", tmp_path / "tz" / "tensorzero.toml", environment={})

    assert not [name for name in made.files if name.endswith("prompt.md")]
    (found,) = [one for one in made.findings if one.setting.endswith("terra.system_template")]
    assert found.fate == "missing"


def test_no_file_outside_of_the_folder_is_read(tmp_path):
    (tmp_path / "secret").write_text("not a template")
    (tmp_path / "tz").mkdir()
    path = tmp_path / "tz" / "tensorzero.toml"
    path.write_text(
        '[functions.f]\ntype = "chat"\n[functions.f.variants.v]\ntype = "chat_completion"\n'
        'model = "openai::gpt-6-luna"\nsystem_template = "../secret"\n'
    )

    made = import_file("tensorzero", path, environment={})

    assert "not a template" not in "".join(made.files.values())


def test_a_file_that_is_no_toml_is_refused_without_quoting_it(tmp_path):
    path = tmp_path / "tensorzero.toml"
    path.write_text("[models]\nkey = sk-0123456789\n")

    with pytest.raises(ConfigError, match="not valid TOML") as told:
        import_file("tensorzero", path, environment={})

    assert "sk-0" not in str(told.value)
