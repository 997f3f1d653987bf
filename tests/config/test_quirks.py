"""What `quirks` gives a provider that says nothing else, and what its own words change of it."""

from pathlib import Path
from typing import get_args

import pytest

from headworks.config import parse
from headworks.config.quirks import QUIRKS, QuirksName
from headworks.importing.upstreams import UPSTREAMS
from headworks.providers import ProviderSettings
from headworks.settings import read_settings


def settings(line: str, folder: Path) -> ProviderSettings:
    text = f"version: 1\nproviders:\n  a: {{kind: openai-compatible, {line}}}\n"
    (plan,) = read_settings(parse(text, file=str(folder / "headworks.yaml"), base=folder)).providers
    return plan.settings


@pytest.mark.parametrize("name", sorted(set(QUIRKS) - {"litellm"}))
def test_a_server_is_named_and_nothing_else(name: str, tmp_path: Path) -> None:
    quirks, made = QUIRKS[name], settings(f"quirks: {name}", tmp_path)
    assert quirks.base_url.endswith(made.base_path)
    assert made.limit_name == quirks.limit_name
    assert made.structured_output == quirks.structured_output
    assert (made.renamed, made.refused, made.unsent) == (quirks.renamed, quirks.refused, quirks.unsent)


def test_what_the_file_says_itself_counts(tmp_path: Path) -> None:
    made = settings("quirks: deepseek, structured_output: tool, base_url: 'http://127.0.0.1:1/up'", tmp_path)
    assert (made.structured_output, made.base_path) == ("tool", "/up")


def test_a_server_that_is_not_named_is_asked_as_before(tmp_path: Path) -> None:
    made = settings("base_url: 'http://127.0.0.1:1/v1'", tmp_path)
    assert (made.limit_name, made.structured_output) == ("max_tokens", "json_schema")
    assert (made.renamed, made.refused, made.unsent) == ((), (), ())


def test_each_name_has_its_quirks() -> None:
    assert set(get_args(QuirksName)) == set(QUIRKS)


@pytest.mark.parametrize("name", sorted(set(QUIRKS) & set(UPSTREAMS) - {"vllm", "lm-studio", "litellm"}))
def test_the_addresses_are_those_that_other_gateways_configurations_lead_to(name: str) -> None:
    assert QUIRKS[name].base_url == UPSTREAMS[name].base_url
