import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.config import Reference, is_local_reference, is_reference, parse, parse_reference, read_secret
from headworks.errors import SecretError


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("env:KEY", ("env", "KEY", "", "")),
        ("file:/run/a?b#c", ("file", "/run/a?b#c", "", "")),
        ("vault:secret/team/openai#api_key", ("vault", "secret/team/openai", "", "api_key")),
        ("vault:secret/openai?version=3#key", ("vault", "secret/openai", "3", "key")),
        ("aws-sm:prod/openai", ("aws-sm", "prod/openai", "", "")),
        ("aws-sm:prod/openai?version=AWSPREVIOUS#key", ("aws-sm", "prod/openai", "AWSPREVIOUS", "key")),
        ("aws-sm:arn:aws:secretsmanager:eu-west-1:1:secret:a-b", None),
        ("aws-ssm:/prod/openai", ("aws-ssm", "/prod/openai", "", "")),
        ("gcp-sm:my-project/openai?version=2", ("gcp-sm", "my-project/openai", "2", "")),
        ("azure-kv:my-vault/openai", ("azure-kv", "my-vault/openai", "", "")),
        ("keyring:headworks/openai", ("keyring", "headworks/openai", "", "")),
    ],
)
def test_a_reference_says_where_a_secret_is_and_which_version_and_field(text, parts):
    found = parse_reference(text)

    assert is_reference(text)
    assert found is not None
    if parts is not None:
        assert (found.scheme, found.place, found.version, found.field) == parts


@pytest.mark.parametrize(
    "text",
    [
        "sk-proj-0123456789", "", "env:", "env:A B", "file:", "vault:secret#key", "vault:secret/openai", "vault:/a#b",
        "vault:secret/../sys/x#key", "vault:secret/a?v=1#key", "vault:secret/a?version=#key", "vault:secret/a#",
        "vault:secret/a\r\nx#key", "aws-sm:", "aws-sm:a b", "gcp-sm:openai", "azure-kv:v/a_b", "keyring:a",
        "keyring:a/b#c", "https://example.org/key", "vaults:secret/a#b",
    ],
)  # fmt: skip
def test_what_is_no_reference_is_none(text):
    assert not is_reference(text)


def test_only_those_that_need_no_network_are_local(tmp_path):
    assert is_local_reference("env:KEY")
    assert is_local_reference("file:key")
    assert not is_local_reference("vault:secret/a#b")
    with pytest.raises(SecretError, match="none is asked here"):
        read_secret("vault:secret/a#b", base=tmp_path, environment={})


@given(st.text(max_size=60), st.sampled_from(["vault:", "aws-sm:", "aws-ssm:", "gcp-sm:", "azure-kv:", "keyring:"]))
def test_no_text_becomes_a_reference_with_a_way_out_of_its_place(rest, scheme):
    found = parse_reference(scheme + rest)

    if isinstance(found, Reference):
        assert ".." not in found.place.split("/")
        assert not any(character in found.place for character in "?#\r\n\0")


@pytest.mark.parametrize(
    "place",
    [
        "access: {secret: 'vault:secret/a#b'}",
        "quotas: {valkey: 'aws-sm:a'}",
        "records: {store: 'postgresql://a@b/c', store_password: 'gcp-sm:a/b'}",
        "audit: {key: 'azure-kv:vault/a', previous_keys: ['keyring:a/b']}",
    ],
)
def test_what_a_start_needs_may_be_in_a_manager(place, tmp_path):
    parse(f"{place}\nproviders: {{a: {{kind: simulator}}}}", file="headworks.yaml", base=tmp_path)


def test_what_opens_a_manager_is_in_none(problems):
    (found,) = problems("secrets: {vault: {token: 'vault:secret/a#b'}}\nproviders: {a: {kind: simulator}}")

    assert "this one is read before a secret manager can be asked" in found
