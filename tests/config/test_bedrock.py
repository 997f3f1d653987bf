"""What `headworks.yaml` may say of AWS Bedrock."""

import pytest

from headworks.config import Provider
from headworks.config.references import is_reference, is_token


def test_a_region_is_enough():
    provider = Provider(kind="bedrock", region="eu-central-1")
    assert provider.base_url == "https://bedrock-runtime.eu-central-1.amazonaws.com"
    assert provider.speaks == ("converse", "invoke_model")
    assert provider.api_key == "aws-credentials:default"


def test_china_has_a_domain_of_its_own():
    assert Provider(kind="bedrock", region="cn-north-1").base_url.endswith(".cn-north-1.amazonaws.com.cn")


def test_an_access_key_or_keys_of_all_pools_take_the_place_of_who_the_machine_is(project):
    config = project(
        "providers:\n"
        "  own: {kind: bedrock, region: us-east-1, access_key_id: env:A, secret_access_key: env:B}\n"
        "  pooled: {kind: bedrock, region: us-east-1,\n"
        "           pools: {a: {api_key: env:A}, b: {api_key: 'aws-credentials:b'}}}\n"
        "  address: {kind: bedrock, base_url: 'https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com'}\n"
    ).config
    assert config.providers["own"].api_key is None
    assert config.providers["pooled"].api_key is None
    assert config.providers["address"].api_key == "aws-credentials:default"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ("kind: bedrock", "region: is missing: `kind: bedrock` needs it"),
        ("kind: bedrock, base_url: 'https://vpce-1.example.com'", "region: is missing"),
        ("kind: bedrock, region: us-east-1, access_key_id: env:A", "secret_access_key: is missing"),
        ("kind: bedrock, region: us-east-1, secret_access_key: env:A", "has a meaning only beside `access_key_id`"),
        ("kind: bedrock, region: us-east-1, session_token: env:A", "has a meaning only beside `access_key_id`"),
        (
            "kind: bedrock, region: us-east-1, access_key_id: env:A, secret_access_key: env:B, api_key: env:C",
            "api_key: has no meaning beside `access_key_id`",
        ),
        (
            "kind: bedrock, region: us-east-1, speaks: [chat]",
            "`kind: bedrock` serves `converse` and `invoke_model` and nothing else",
        ),
        ("kind: bedrock, region: us-east-1, organization: o", "has a meaning for OpenAI's API only"),
        ("kind: bedrock, region: us-east-1, probe: {}", "probe: has no meaning for `kind: bedrock`"),
        ("kind: openai, api_key: env:X, region: us-east-1", "region: has a meaning for `kind: bedrock` only"),
        ("kind: openai, api_key: env:X, guardrail: 'a1:1'", "guardrail: has a meaning for `kind: bedrock` only"),
        ("kind: bedrock, region: us-east-1, structured_output: grammar", "knows `json_schema` and `tool`"),
        ("kind: openai, api_key: 'aws-credentials:default'", "api_key: is to sign requests with, never to be sent"),
        ("kind: openai, api_key: env:X, older_api_keys: ['aws-credentials:a']", "never to be sent"),
        ("kind: openai, pools: {a: {api_key: 'aws-credentials:a'}}", "never to be sent"),
        ("kind: bedrock, region: us-east-1, headers: {x-key: 'aws-credentials:a'}", "never to be sent"),
        ("kind: bedrock, region: Frankfurt", "region"),
        ("kind: bedrock, region: us-east-1, guardrail: abc", "guardrail"),
    ],
)
def test_what_it_needs_and_what_it_does_not_have(problems, fields, problem):
    (found,) = problems(f"providers: {{a: {{{fields}}}}}")
    assert problem in found


@pytest.mark.parametrize("text", ["aws-credentials:default", "aws-credentials:team@prod_1.x"])
def test_who_we_are_at_aws_is_a_reference_to_what_lasts_for_hours(text):
    assert is_reference(text)
    assert is_token(text)


@pytest.mark.parametrize(
    "text", ["aws-credentials:", "aws-credentials:a/b", "aws-credentials:a#b", "aws-credentials:a?version=1"]
)
def test_credentials_have_no_parts_and_no_versions(text):
    assert not is_reference(text)
