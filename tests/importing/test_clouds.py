"""Azure OpenAI, Vertex AI and Bedrock, as each gateway names them; and servers that are asked in their own way."""

import json

import pytest


def litellm(imported, model, environment=None, simulator=None, **params):
    entry = {"model_name": "chat", "litellm_params": {"model": model, **params}}
    return imported("litellm", {"model_list": [entry]}, environment=environment, simulator=simulator)


def the_provider(made):
    ((name, provider),) = made.config.providers.items()
    return name, provider


def test_azure_of_litellm_becomes_a_provider_of_its_kind(imported):
    made = litellm(
        imported,
        "azure/terra-east",
        api_base="https://east.openai.azure.com/openai/deployments/x",
        api_version="2024-10-21",
        api_key="os.environ/AZURE_EAST",
    )
    name, azure = the_provider(made)

    assert (name, azure.kind, azure.base_url) == ("azure", "azure", "https://east.openai.azure.com")
    assert (azure.api_version, azure.api_key) == ("2024-10-21", "env:AZURE_EAST")
    assert made.config.models["chat"].model == "terra-east"
    assert made.made.counts["missing"] == 0


@pytest.mark.parametrize("version", ["v1", "latest", None])
def test_azures_v1_api_has_no_version(imported, version):
    params = {} if version is None else {"api_version": version}
    made = litellm(imported, "azure/terra", api_base="os.environ/AZURE_BASE", environment=AZURE_BASE, **params)

    assert the_provider(made)[1].api_version is None
    assert the_provider(made)[1].api_key == "env:AZURE_API_KEY"
    assert made.made.counts["missing"] == 0


AZURE_BASE = {"AZURE_BASE": "https://east.openai.azure.com"}


def test_vertex_of_litellm_becomes_a_provider_of_its_kind(imported):
    made = litellm(
        imported,
        "vertex_ai/gemini-3.5-flash",
        vertex_project="os.environ/PROJECT",
        vertex_location="europe-west4",
        vertex_credentials="os.environ/FILE",
        environment={"PROJECT": "acme-1"},
    )
    vertex = the_provider(made)[1]

    assert (vertex.kind, vertex.project, vertex.location) == ("vertex", "acme-1", "europe-west4")
    assert made.fate("model_list[0].litellm_params.vertex_credentials")[0] == "missing"


def test_bedrock_of_litellm_becomes_a_provider_of_its_kind(imported):
    made = litellm(
        imported,
        "bedrock/anthropic.claude-sonnet-5",
        aws_region_name="eu-central-1",
        aws_access_key_id="os.environ/KEY",
        aws_secret_access_key="in-clear-in-the-file-0123456789",
    )
    bedrock = the_provider(made)[1]

    assert (bedrock.kind, bedrock.region, bedrock.access_key_id) == ("bedrock", "eu-central-1", "env:KEY")
    assert bedrock.secret_access_key == "env:AWS_SECRET_ACCESS_KEY"
    assert "in-clear" not in made.text


@pytest.mark.parametrize(
    ("model", "params", "says"),
    [
        ("azure/terra", {}, "https://NAME.openai.azure.com"),
        ("azure/terra", {"api_base": "os.environ/UNSET"}, "`api_base` is no plain URL"),
        ("vertex_ai/gemini-3.5-flash", {"vertex_location": "eu"}, "add `vertex_project` or `vertex_ai_project`"),
        ("vertex_ai/gemini-3.5-flash", {"vertex_project": "P Q", "vertex_location": "eu"}, "is no project"),
        ("vertex_ai/claude-opus", {"vertex_project": "p", "vertex_location": "eu"}, "take this one from its maker"),
    ],
)
def test_what_is_missing_of_a_cloud_is_told_with_what_to_do(imported, model, params, says):
    fate, text = litellm(imported, model, **params).fate("model_list[0]")

    assert fate == "missing"
    assert says.lower() in text.lower()


def test_clouds_of_portkey_become_providers_of_their_kinds(imported):
    targets = [
        {
            "provider": "azure-openai",
            "azure_resource_name": "East",
            "azure_deployment_id": "terra",
            "api_key": "$KEY_A",
        },
        {
            "provider": "vertex-ai",
            "vertex_project_id": "acme-1",
            "vertex_region": "eu",
            "override_params": {"model": "gemini-3.5-flash"},
        },
    ]
    made = imported("portkey", json.dumps({"strategy": {"mode": "fallback"}, "targets": targets}))

    azure, vertex = made.config.providers["azure"], made.config.providers["vertex"]
    assert (azure.base_url, azure.api_key) == ("https://east.openai.azure.com", "env:KEY_A")
    assert (vertex.project, vertex.location) == ("acme-1", "eu")
    model = made.config.models["source"]
    assert (model.provider, model.model, model.fallback) == ("azure", "terra", ("vertex/gemini-3.5-flash",))
    assert made.made.counts["missing"] == 0


def test_clouds_of_tensorzero_become_providers_of_their_kinds(imported):
    source = """
    [models.chat]
    routing = ["google", "azure"]
    [models.chat.providers.google]
    type = "gcp_vertex_gemini"
    model_id = "gemini-3.5-flash"
    project_id = "acme-1"
    location = "us-central1"
    [models.chat.providers.azure]
    type = "azure"
    deployment_id = "terra"
    endpoint = "https://east.openai.azure.com"
    api_key_location = "env::AZURE_EAST"
    """
    made = imported("tensorzero", source)

    assert made.config.models["chat"].provider == "vertex"
    assert made.config.models["chat"].fallback == ("azure/terra",)
    assert made.config.providers["azure"].api_key == "env:AZURE_EAST"
    assert made.made.counts["missing"] == 0


@pytest.mark.parametrize(
    ("model", "base", "quirks"),
    [
        ("groq/llama", None, "groq"),
        ("mistral/small", None, "mistral"),
        ("ollama_chat/qwen", "http://127.0.0.1:11434", "ollama"),
        ("hosted_vllm/qwen", "http://10.0.0.8:8000/v1", "vllm"),
        ("lm_studio/qwen", "http://127.0.0.1:1234/v1", "lm-studio"),
        ("llamafile/qwen", "http://127.0.0.1:8080/v1", "llama-cpp"),
        ("litellm_proxy/any", "https://proxy.example.com", "litellm"),
        ("perplexity/sonar", None, None),
        ("openai/any", "https://llm.example.com/v1", None),
    ],
)
def test_a_server_that_is_known_is_asked_in_its_own_way(imported, model, base, quirks):
    made = litellm(imported, model, **({} if base is None else {"api_base": base}))

    assert the_provider(made)[1].quirks == quirks


def test_the_simulator_stands_in_for_clouds(imported):
    params = {"vertex_project": "p", "vertex_location": "eu"}
    made = litellm(imported, "vertex_ai/gemini-3.5-flash", simulator="http://127.0.0.1:4010", **params)

    vertex = the_provider(made)[1]
    assert (vertex.kind, vertex.base_url) == ("gemini", "http://127.0.0.1:4010/v1beta")


@pytest.mark.parametrize(
    ("model", "params", "name"),
    [
        ("azure/o_series/o4-east", {"api_base": "https://c.openai.azure.com"}, "o4-east"),
        ("bedrock/converse/anthropic.claude", {"aws_region_name": "eu-west-1"}, "anthropic.claude"),
        ("bedrock/eu-west-1/anthropic.claude", {"aws_region_name": "eu-west-1"}, "anthropic.claude"),
    ],
)
def test_how_litellm_asks_for_a_model_is_no_part_of_its_name(imported, model, params, name):
    (made,) = litellm(imported, model, **params).config.models.values()
    assert made.model == name
