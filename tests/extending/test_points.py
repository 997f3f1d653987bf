"""Extensions by entry points: found by name when configuration is read, with plain words where they cannot be had."""

import sys

import pytest

from headworks.cli import main
from headworks.config import parse
from headworks.errors import ConfigError
from headworks.extending import PROVIDERS, ExtensionError, installed, load_extension
from headworks.provider_plans import read_provider
from headworks.providers import Provider, ProviderSettings

ACME = """
from headworks.providers import OpenAIProvider

class AcmeProvider(OpenAIProvider):
    def json_request(self, path, body, forwarded):
        return super().json_request(f"/acme{path}", body, forwarded)

class Nothing:
    def __init__(self, settings):
        pass

def fails(settings):
    raise RuntimeError(settings.api_key)
"""

CONFIG = """
version: 1
providers:
  acme: {{kind: {kind}, {where}extension: {extension}}}
"""


@pytest.fixture
def acme(tmp_path, monkeypatch):
    """A package that offers providers, installed beside others."""
    (tmp_path / "acme_provider.py").write_text(ACME)
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    offered = {
        "acme": "acme_provider:AcmeProvider",
        "nothing": "acme_provider:Nothing",
        "fails": "acme_provider:fails",
        "gone": "acme_provider_of_old:AcmeProvider",
    }
    lines = "".join(f"{name} = {value}\n" for name, value in offered.items())
    (info / "entry_points.txt").write_text(f"[{PROVIDERS}]\n{lines}")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("acme_provider", None)


def plan_of(tmp_path, extension, kind="openai-compatible", where="base_url: 'http://127.0.0.1:9/v1', "):
    text = CONFIG.format(kind=kind, where=where, extension=extension)
    return read_provider(parse(text, file="headworks.yaml", base=tmp_path), "acme", {})


def test_a_provider_of_another_package_asks_in_its_own_way(acme, tmp_path):
    plan = plan_of(tmp_path, "acme")
    request = plan.make(plan.settings).json_request("/chat/completions", b"{}", b"")

    assert request.line == b"POST /v1/acme/chat/completions HTTP/1.1\r\n"


def test_what_is_installed_is_listed_without_being_loaded(acme):
    assert {"acme", "nothing", "fails", "gone"} <= set(installed(PROVIDERS))
    assert "acme_provider" not in sys.modules


def test_nothing_is_looked_for_where_configuration_names_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("headworks.extending.load_extension", None)
    text = "version: 1\nproviders: {own: {kind: openai-compatible, base_url: 'http://127.0.0.1:9/v1'}}\n"
    plan = read_provider(parse(text, file="headworks.yaml", base=tmp_path), "own", {})

    assert plan.make(plan.settings).json_request("/x", b"", b"").line.startswith(b"POST /v1/x ")


@pytest.mark.parametrize(
    ("extension", "says"),
    [
        ("other", "no installed package offers `other`"),
        ("gone", "`gone` of acme cannot be loaded: ModuleNotFoundError"),
        ("nothing", "it has no caches_by_key, call_path, classify, fixed_headers, json_request"),
        ("fails", "`fails` fails with RuntimeError"),
    ],
)
def test_an_extension_that_cannot_be_used_is_a_problem_of_the_file(acme, tmp_path, extension, says):
    with pytest.raises(ConfigError, match=r"headworks\.yaml:4:") as failed:
        plan_of(tmp_path, extension)

    assert says in str(failed.value)


def test_the_key_that_an_extension_was_given_is_not_in_what_is_said_of_its_failure(acme, tmp_path):
    text = CONFIG.format(
        kind="openai-compatible", where="base_url: 'http://127.0.0.1:9/v1', api_key: env:ACME_KEY, ", extension="fails"
    )
    with pytest.raises(ConfigError) as failed:
        read_provider(parse(text, file="headworks.yaml", base=tmp_path), "acme", {"ACME_KEY": "sk-hidden"})

    assert "sk-hidden" not in str(failed.value)


def test_two_packages_of_one_name_are_told_apart_by_nobody(acme, tmp_path):
    info = tmp_path / "acme_too-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-too\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{PROVIDERS}]\nacme = acme_too:Provider\n")

    with pytest.raises(ExtensionError, match="acme, acme-too"):
        load_extension(PROVIDERS, "acme")


def test_only_servers_of_the_openai_api_take_an_extension(tmp_path):
    with pytest.raises(ConfigError, match="has a meaning for `kind: openai-compatible` only"):
        plan_of(tmp_path, "acme", kind="simulator", where="")


def test_a_provider_is_asked_for_all_that_it_promises():
    """The list is written by hand for Python 3.11; newer ones can make it."""
    from headworks.provider_plans import _WORDS_OF_A_PROVIDER

    promised = {name for name in vars(Provider) if not name.startswith("_")} | set(Provider.__annotations__)
    assert set(_WORDS_OF_A_PROVIDER) == promised
    assert ProviderSettings("a").name == "a"


def test_checking_a_file_says_what_is_not_installed_and_runs_nothing(acme, tmp_path, monkeypatch, capsys):
    where = "base_url: 'http://127.0.0.1:9/v1', "
    for extension, code in (("acme", 0), ("other", 1)):
        text = CONFIG.format(kind="openai-compatible", where=where, extension=extension)
        (tmp_path / "headworks.yaml").write_text(text)
        assert main(["check", "--config", str(tmp_path / "headworks.yaml")]) == code

    assert "no installed package offers `other`" in capsys.readouterr().err
    assert "acme_provider" not in sys.modules
