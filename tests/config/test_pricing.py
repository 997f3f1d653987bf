"""`prices` of headworks.yaml: what it says, what is wrong with it, and what calls cost by it."""

import pytest

from headworks.calls import Extras, Usage
from headworks.catalogue import shipped
from headworks.catalogue.money import usd_text
from headworks.config import examine, price_book
from headworks.errors import ConfigError

NOON_US = 1_795_608_000_000_000
PROVIDERS = """
providers:
  sim: {kind: simulator}
  openai: {kind: openai, api_key: env:KEY}
  groq: {kind: openai-compatible, base_url: https://api.groq.com/openai/v1}
  local: {kind: openai-compatible, base_url: http://127.0.0.1:8000/v1}
"""


def usd(project, provider, model, usage, **more):
    cost = price_book(project, shipped()).for_target(provider, model).cost(usage, at_us=NOON_US, **more)
    return cost and usd_text(cost.total)


USAGE = Usage(100_000, 50_000, 0, 10_000, source="provider")


def test_providers_have_the_list_prices_of_those_that_they_are(project):
    read = project(PROVIDERS)

    assert usd(read, "openai", "gpt-6.1-sol", USAGE) == "0.205"
    assert usd(read, "sim", "gpt-6.1-sol", USAGE) == "0.205"
    assert price_book(read, shipped()).terms["groq"].catalogue == "groq"
    assert usd(read, "local", "gpt-6.1-sol", USAGE) is None


def test_a_discount_and_another_list(project):
    read = project(
        PROVIDERS + "prices: {providers: {openai: {discount_percent: 12.5}, local: {catalogue: together}}}\n"
    )

    assert usd(read, "openai", "gpt-6.1-sol", USAGE) == "0.179375"
    assert price_book(read, shipped()).terms["local"].catalogue == "together"


def test_what_code_in_a_container_is_reckoned_at_is_charged_with_list_prices_and_own_ones(project):
    reckoned = "{openai: {container_run: 0.03, discount_percent: 50}}"
    own = "{openai/mine: {input: 1, output: 1}}"
    read = project(PROVIDERS + f"prices: {{providers: {reckoned}, models: {own}}}\n")
    used = Usage(1_000_000, source="provider", extras=Extras(container_runs=2))

    assert usd(read, "openai", "gpt-6.1-sol", used) == "2.06"  # long context at half, and no discount on the runs
    assert usd(read, "openai", "mine", used) == "1.06"
    unstated = price_book(project(PROVIDERS), shipped()).for_target("openai", "gpt-6.1-sol")
    assert not unstated.cost(used, at_us=NOON_US).is_complete


AZURE = """
providers:
  azure:
    kind: azure
    base_url: https://my-resource.openai.azure.com
    api_key: env:KEY
    deployments: {ours: MODEL}
  aws:
    kind: bedrock
    region: eu-central-1
    deployments: {arn-of-a-profile: anthropic.claude-haiku-4-5-20251001-v1:0}
"""


def test_a_deployment_costs_what_its_model_does(project):
    read = project(AZURE.replace("MODEL", "gpt-6-luna"))

    assert usd(read, "azure", "ours", USAGE) == usd(read, "azure", "gpt-6-luna", USAGE) is not None
    assert usd(read, "azure", "others", USAGE) is None
    assert price_book(read, shipped()).for_target("azure:one", "ours").model.name == "gpt-6-luna"
    assert usd(read, "aws", "arn-of-a-profile", USAGE) is not None


def test_a_deployment_of_a_model_that_the_catalogue_does_not_have_is_named_with_its_line(project):
    with pytest.raises(
        ConfigError, match=r"headworks\.yaml:7:.*no `gpt-6-lunar` of azure.*did you mean `gpt-6-luna`\?"
    ):
        price_book(project(AZURE.replace("MODEL", "gpt-6-lunar")), shipped())


@pytest.mark.parametrize("model", ["cohere.embed-v4:0", "eu.cohere.embed-english-v3"])
def test_a_deployment_may_stand_for_a_model_that_embeds_and_has_no_price_here(project, model):
    read = project(
        AZURE.replace("MODEL", "gpt-6-luna").replace("anthropic.claude-haiku-4-5-20251001-v1:0", f"'{model}'")
    )
    assert usd(read, "aws", "arn-of-a-profile", USAGE) is None


def test_a_check_names_a_deployment_of_a_model_that_does_not_exist(project):
    read = project(AZURE.replace("MODEL", "gpt-6-lunar"))
    found = examine(read, environment={"KEY": "not-a-key"}, plan_models=lambda path: ())

    assert [str(one) for one in found.problems if "gpt-6-lunar" in str(one)] != []


def test_a_deployment_has_a_contracts_own_price_before_its_models(project):
    own = "prices: {models: {azure/ours: {input: 1, output: 0}}}\n"
    read = project(AZURE.replace("MODEL", "gpt-6-luna") + own)

    assert usd(read, "azure", "ours", USAGE) == "0.1"


def test_a_contract_has_its_own_prices(project):
    read = project(
        PROVIDERS
        + """
prices:
  models:
    openai/gpt-6.1-sol:
      input: 1.5
      cached_input: 0.075
      output: 8
      batch_factor: 0.5
      request: 0.0001
      long_context: {above: 99_999, input_factor: 2, output_factor: 1.5}
""".replace("99_999", "99999")
    )

    short = Usage(90_000, 50_000, 0, 10_000, source="provider")
    assert usd(read, "openai", "gpt-6.1-sol", short) == "0.14385"
    assert usd(read, "openai", "gpt-6.1-sol", short, tier="batch") == "0.071925"
    assert usd(read, "openai", "gpt-6.1-sol", USAGE) == "0.2776"


def test_a_contract_may_have_prices_of_searches_and_hours(project):
    read = project(
        PROVIDERS
        + "prices: {models: {openai/gpt-6.1-sol: {input: 1, output: 8, web_search: 0.008, audio_hour: 0.36}}}\n"
    )

    def searched(**counts):
        return Usage(1_000_000, source="provider", extras=Extras(**counts))

    assert usd(read, "openai", "gpt-6.1-sol", searched(web_searches=2, audio_s=10)) == "1.017"
    price = price_book(read, shipped()).for_target("openai", "gpt-6.1-sol")
    assert not price.cost(searched(file_searches=1), at_us=NOON_US).is_complete


def test_machines_have_hours(project):
    read = project(
        PROVIDERS
        + "prices: {providers: {local: {self_hosted: "
        + "{gpu_hour: 3.6, gpus: 2, input_tokens_per_s: 8000, output_tokens_per_s: 1000}}}}\n"
    )

    assert usd(read, "local", "anything", Usage(8_000, output_tokens=1_000, source="provider")) == "0.004"


def test_amounts_are_read_as_they_are_written(project):
    read = project(PROVIDERS + "prices: {models: {local/m: {input: 0.1, output: 0.000003}}}\n")

    rates = price_book(read, shipped()).terms["local"].models["m"].periods[0].rates
    assert (rates.input, rates.output) == (100_000, 3)


@pytest.mark.parametrize(
    ("prices", "problem"),
    [
        ("models: {local/m: {input: 1}}", "output: is missing"),
        ("models: {local/m: {input: -1, output: 1}}", "from 0 on"),
        ("models: {local/m: {input: 1e3, output: 1}}", "plain digits"),
        ('models: {local/m: {input: "1", output: 1}}', "remove the quotes"),
        ("models: {m: {input: 1, output: 1}}", "expected `provider/model`"),
        ("models: {lokal/m: {input: 1, output: 1}}", "did you mean `local`?"),
        ("providers: {opanai: {}}", "did you mean `openai`?"),
        ("providers: {openai: {discount_percent: 101}}", "from -1000 to 100"),
        ("providers: {local: {self_hosted: {gpu_hour: 1, output_tokens_per_s: 0}}}", "above 0"),
        ("providers: {local: {self_hosted: {gpu_hour: 1, output_tokens_per_s: 1, busy_percent: 101}}}", "at most 100"),
        (
            "providers: {local: {discount_percent: 1, self_hosted: {gpu_hour: 1, output_tokens_per_s: 1}}}",
            "no list price holds",
        ),
        ("update_keys: [abc]", "Ed25519 public key"),
        ("update_url: http://prices.example.com/c.json", "https://"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(problems, prices, problem):
    (found,) = problems(PROVIDERS + f"prices: {{{prices}}}\n")

    assert problem in found
    assert found.startswith("7:")


def test_a_list_that_the_catalogue_does_not_have_is_named_with_its_line(project):
    read = project(PROVIDERS + "prices: {providers: {local: {catalogue: togethr}}}\n")

    with pytest.raises(ConfigError, match=r"headworks\.yaml:7:.*did you mean `together`\?"):
        price_book(read, shipped())


def test_a_check_names_a_list_that_does_not_exist_and_a_price_table_that_is_not_good(project, tmp_path):
    read = project(PROVIDERS + "prices: {providers: {local: {catalogue: togethr}}}\n")
    (tmp_path / ".headworks" / "prices").mkdir(parents=True)
    environment = {"KEY": "sk-not-a-key"}

    def problems():
        found = examine(read, environment=environment, plan_models=lambda path: ())
        return [str(problem) for problem in found.problems if "prices" in str(problem)]

    (found,) = problems()
    assert "did you mean `together`?" in found

    (tmp_path / ".headworks" / "prices" / "current").write_text("2020-01-01-000000000000\n")
    (found,) = problems()
    assert "no price table of version" in found
