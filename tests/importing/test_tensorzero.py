import json
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


MODELS = """
[models.luna]
routing = ["openai", "groq"]
[models.luna.providers.openai]
type = "openai"
model_name = "gpt-6-luna"
[models.luna.providers.groq]
type = "groq"
model_name = "scout"
"""


def variants(**said):
    """A file with a function whose variants say this."""
    lines = [MODELS, "[functions.sort]", 'type = "chat"']
    for name, text in said.items():
        lines += [f"[functions.sort.variants.{name}]", 'type = "chat_completion"', text]
    return "\n".join(lines)


LUNA = 'model = "luna"\nmax_tokens = 300\n'
HAIKU = 'model = "anthropic::claude-haiku-5"\nmax_tokens = 300\n'
SOL = 'model = "openai::gpt-6.1-sol"\nmax_tokens = 300\n'


def contract(made):
    return yaml.safe_load((made.folder / "workloads" / "sort" / "workload.yaml").read_text())


def test_variants_that_differ_in_their_model_only_become_targets_with_their_weights(imported):
    made = imported("tensorzero", variants(a=f"{LUNA}weight = 0.7", b=f"{HAIKU}weight = 0.3", c=f"{SOL}weight = 0"))

    model = made.config.models["sort-models"]
    assert [(one.target, one.weight, one.tier) for one in model.targets] == [
        ("openai/gpt-6-luna", 70, 0),
        ("anthropic/claude-haiku-5", 30, 0),
    ]
    assert model.fallback == ("groq/scout",)
    assert (contract(made)["model"], contract(made)["fallback"]) == ("sort-models", ["openai::gpt-6.1-sol"])
    assert contract(made)["output"] == {"max_tokens": 300}
    place = "functions.sort.variants"
    assert made.fate(f"{place}.a.weight") == ("mapped", "models.sort-models.targets, with its share")
    assert made.fate(f"{place}.a.model") == ("mapped", "models.sort-models.targets: openai/gpt-6-luna")
    assert made.fate(f"{place}.c.weight") == ("mapped", "it is asked when the others fail: `fallback`")


def test_an_experiment_gives_the_shares_too_and_without_any_all_are_alike(imported):
    given = '[functions.sort.experimentation]\ntype = "static"\ncandidate_variants = { a = 1, b = 3 }\n'
    made = imported("tensorzero", variants(a=LUNA, b=HAIKU) + given)
    alike = imported("tensorzero", variants(a=LUNA, b=HAIKU))

    assert {one.target: one.weight for one in made.config.models["sort-models"].targets} == {
        "anthropic/claude-haiku-5": 3, "openai/gpt-6-luna": 1
    }  # fmt: skip
    assert made.fate("functions.sort.experimentation.candidate_variants.b")[0] == "mapped"
    assert made.made.counts["missing"] == 0
    assert {one.weight for one in alike.config.models["sort-models"].targets} == {1}
    assert alike.made.counts["missing"] == 0


def test_of_variants_that_differ_in_more_that_with_the_largest_share_is_in_use(imported):
    made = imported("tensorzero", variants(a=f"{LUNA}weight = 0.1", b=f"{HAIKU}temperature = 0.2\nweight = 0.9"))

    assert "sort-models" not in made.config.models
    assert (contract(made)["model"], contract(made)["fallback"]) == ("anthropic::claude-haiku-5", ["luna"])
    fate, told = made.fate("functions.sort.variants.a.weight")
    assert fate == "missing"
    assert "canary" in told


def test_a_weighted_workload_is_valid(imported):
    from headworks.config import load

    made = imported("tensorzero", variants(a=f"{LUNA}weight = 0.7", b=f"{HAIKU}weight = 0.3"))

    assert [one.name for one in load_workloads(load(made.folder))] == ["sort"]


def test_a_schema_of_an_older_draft_is_written_in_ours(tmp_path):
    shutil.copytree(FILES / "tensorzero", tmp_path / "tz")
    path = next((tmp_path / "tz").rglob("*schema*.json"))
    schema = json.loads(path.read_text())
    path.write_text(json.dumps({"$schema": "http://json-schema.org/draft-07/schema#"} | schema))

    made = import_file("tensorzero", tmp_path / "tz" / "tensorzero.toml", environment={})
    (found,) = [one for one in made.findings if one.setting.endswith("output_schema")]

    assert json.loads(made.files["workloads/extract-entities/schema.json"]) == schema
    assert found.fate == "mapped"
    assert "draft 2020-12" in found.text
