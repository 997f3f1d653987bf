import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from headworks.catalogue import shipped
from headworks.cli import main

KEY = Ed25519PrivateKey.generate()
PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
PROJECT = """
providers: {sim: {kind: simulator}, local: {kind: openai-compatible, base_url: "http://127.0.0.1:1/v1"}}
models: {small: sim/gpt-6-luna}
tiers: {flagship: sim/gpt-6.1-sol}
prices: {providers: {sim: {discount_percent: 50}}, models: {local/mine: {input: 0.25, output: 1}}}
"""


@pytest.fixture
def models(tmp_path, capsys, monkeypatch):
    """Runs `headworks models`; without a project, where `config` is None."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "headworks.yaml"

    def run(*words, project=PROJECT, code=0):
        if project is not None:
            file.write_text(project)
        elif file.exists():
            file.unlink()
        assert main(["models", *words]) == code
        printed = capsys.readouterr()
        return printed.err if code else printed.out

    return run


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def edition(day, tmp_path, *, key=KEY, name="fresh.json"):
    """A signed file: the shipped catalogue of another day, with luna at twice its price."""
    content = shipped().content.replace(shipped().published.encode(), day.encode(), 1)
    at = content.index(b'["gpt-6-luna",', content.index(b'"openai":'))
    content = content[:at] + content[at:].replace(b'"input":100000,', b'"input":200000,', 1)
    (tmp_path / name).write_bytes(content)
    (tmp_path / f"{name}.sig").write_text(base64.b64encode(key.sign(content)).decode())
    return str(tmp_path / name)


def test_a_project_lists_its_own_providers_at_its_own_prices(models):
    found = {each["name"]: each for each in lines(models("list", "--json"))}

    assert found["sim/gpt-6-luna"]["pico_usd"]["input"] == 50_000
    assert found["local/mine"]["pico_usd"] == {"input": 250_000, "output": 1_000_000}
    assert all(name.startswith(("sim/", "local/")) for name in found)


def test_without_a_project_there_are_list_prices(models):
    (found,) = [each for each in lines(models("list", "--json", project=None)) if each["name"] == "openai/gpt-6-luna"]

    assert found["pico_usd"]["input"] == 100_000


def test_filters_narrow_the_list(models):
    def names(*flags):
        return [each["name"] for each in lines(models("list", "--json", *flags))]

    assert names("--provider", "sim", "--name", "LUNA", "--max-input", "0.06") == ["sim/gpt-6-luna"]
    assert names("--name", "luna", "--context", "2000000") == []
    assert "sim/text-embedding-3-small" in names("--can", "embeddings")
    assert "sim/gpt-6-luna" not in names("--can", "embeddings")
    assert "sim/gpt-image-1" not in names()
    assert "sim/gpt-image-1" in names("--all")
    assert names("--name", "gpt-6-luna", "--max-output", "0.1") == []


def test_a_list_can_be_sorted_by_price_and_by_shutdown(models):
    prices = [sum(each["pico_usd"].get(kind, 0) for kind in ("input", "output")) for each in
              lines(models("list", "--json", "--sort", "price")) if each["is_priced"]]  # fmt: skip
    days = [each["shutdown_on"] or "9" for each in lines(models("list", "--json", "--sort", "shutdown", "--all"))]

    assert prices == sorted(prices)
    assert days == sorted(days)


def test_a_list_for_people_has_prices_context_and_shutdown(models):
    text = models("list", "--provider", "openai", "--name", "gpt-5.1")

    assert text.splitlines()[0].split() == ["MODEL", "INPUT", "CACHED", "OUTPUT", "CONTEXT", "SHUTDOWN"]
    assert "openai/gpt-5.1 " in text


def test_nothing_that_fits_is_said(models, capsys):
    assert models("list", "--name", "no such") == ""


@pytest.mark.parametrize("name", ["small", "sim/gpt-6-luna", "gpt-6-luna", "openai/gpt-6-luna-2026-08-20", "flagship"])
def test_a_model_is_shown_by_each_of_its_names(models, name):
    text = models("show", name)

    assert "1,050,000 tokens" in text
    assert "genai-prices" in text
    assert "price table 20" in text


def test_a_model_is_shown_with_what_each_usage_tier_may_use_and_how_sure_that_is(models):
    text = models("show", "anthropic/claude-opus-5-5", project=None)

    assert "build              5,000   5,000,000   1,000,000  2026-10-17  told by others" in text
    assert "pay-as-you-go" not in text  # that is Microsoft's offer of it

    text = models("show", "azure/gpt-5.4", project=None)

    assert "data-zone-6         4,000   4,000,000  2026-02-18  the provider's page" in text
    assert "IN BATCHES" not in text  # those of OpenAI's own API


def test_the_usage_tiers_of_a_project_are_those_of_the_catalogue_that_its_provider_has(models):
    assert "30,000  180,000,000  15,000,000,000  2026-10-05  a copy of its page" in models("show", "small")
    assert "USAGE TIER" not in models("show", "local/mine")


def test_a_model_is_shown_with_every_tier_and_step(models):
    text = models("show", "openai/gpt-6.1-terra")

    assert ">272,000" in text
    assert "flex, batch" in text
    assert "cache write long" in text.lower()
    assert "12 h" in text


def test_a_model_that_only_the_project_knows_is_shown(models):
    assert "the catalogue does not know this model" in models("show", "local/mine")
    assert "unknown, not zero" in models("show", "local/other")


def test_a_model_is_shown_to_programs(models):
    (found,) = lines(models("show", "sim/gpt-5", "--json"))

    assert found["successor"] == "gpt-6.1-sol"
    assert found["prices"]["periods"][-1]["rates"]["input"] * 2 == found["list_prices"]["periods"][-1]["rates"]["input"]
    assert any(each["of"] == "shutdown_on" and each["url"] for each in found["citations"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "gpt-6-lunr"), "did you mean `gpt-6-luna`"),
        (("show", "openai/gpt-6-lunr"), "did you mean `openai/gpt-6-luna`"),
        (("show", "qqqqqq"), "models list --all"),
        (("list", "--provider", "opnai"), "did you mean `openai`"),
        (("list", "--provider", "qqqq"), "models providers"),
    ],
)
def test_what_cannot_be_done_says_the_way_out(models, words, said):
    assert said in models(*words, code=1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--input", "10", "--cached", "8", "--cache-write", "3"), "parts of --input"),
        (("--output", "1", "--reasoning", "2"), "part of --output"),
    ],
)
def test_sizes_that_do_not_fit_together_are_wrong_usage(models, words, said):
    assert said in models("compare", "gpt-6-luna", *words, code=2)


def test_models_are_compared_the_cheapest_first(models):
    sizes = ("--input", "2000", "--cached", "1500", "--output", "300", "--calls", "10000")
    found = lines(models("compare", "openai/gpt-6.1-terra", "openai/gpt-6-luna", "small", *sizes, "--json"))

    assert [(each["name"], each["call_usd"], each["all_usd"]) for each in found] == [
        ("sim/gpt-6-luna", "0.0001075", "1.075"),
        ("openai/gpt-6-luna", "0.000215", "2.15"),
        ("openai/gpt-6.1-terra", "0.002075", "20.75"),
    ]


def test_a_comparison_shows_the_surcharge_of_long_input(models):
    text = models("compare", "openai/gpt-6-luna", "--input", "300000", "--output", "300")
    (found,) = lines(models("compare", "openai/gpt-6-luna", "--input", "300000", "--output", "300", "--json"))

    assert "above 272,000 tokens of input, 0.030075 of it is surcharge" in text
    assert found["surcharge_pico_usd"] == 30_075_000_000


def test_a_comparison_says_what_is_not_known(models):
    text = models("compare", "local/other", "openai/text-embedding-3-small", "openai/gpt-4o", "--tier", "flex")

    assert "no price is known" in text
    assert "some tokens have no price" in text
    assert "no price for flex: standard" in text
    assert "shut down: 2027-01-14" in text
    assert "does not fit" in models("compare", "openai/gpt-4o", "--input", "200000")


def test_providers_are_listed(models):
    assert "together" in models("providers")
    assert {"name", "title", "models", "urls"} == set(lines(models("providers", "--json"))[0])


def test_a_signed_catalogue_is_installed_used_and_taken_back(models, tmp_path):
    file = edition("2999-01-01", tmp_path)

    text = models("update", "--file", file, "--key", PUBLIC)
    assert "other prices (1): openai/gpt-6-luna" in text
    assert lines(models("show", "small", "--json"))[0]["prices"]["periods"][-1]["rates"]["input"] == 100_000

    models("update", "--restore", shipped().version)
    assert lines(models("show", "small", "--json"))[0]["prices"]["periods"][-1]["rates"]["input"] == 50_000
    states = {each["version"]: each for each in lines(models("versions", "--json"))}
    assert len(states) == 2
    assert states[shipped().version]["is_in_use"]
    assert "in use, shipped, kept" in models("versions")


def test_keys_of_the_configuration_are_trusted(models, tmp_path):
    project = PROJECT.replace("prices: {", f"prices: {{update_keys: [{PUBLIC}], ")

    assert '"repriced":["openai/gpt-6-luna"]' in models(
        "update", "--file", edition("2999-01-01", tmp_path), "--json", project=project
    )


def test_a_key_may_be_in_a_file(models, tmp_path):
    (tmp_path / "key.pem").write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "key.txt").write_text(f"{PUBLIC}\n")
    file = edition("2999-01-01", tmp_path)

    models("update", "--file", file, "--key", str(tmp_path / "key.pem"))
    models("update", "--file", file, "--key", str(tmp_path / "key.txt"))


def test_what_must_not_be_installed_is_refused(models, tmp_path):
    file = edition("2999-01-01", tmp_path)
    old = edition("2001-01-01", tmp_path, name="old.json")
    forged = edition("2999-01-02", tmp_path, key=Ed25519PrivateKey.generate(), name="forged.json")

    assert "no key is trusted yet" in models("update", "--file", file, code=1)
    assert "not by the key that is trusted" in models("update", "--file", forged, "--key", PUBLIC, code=1)
    assert "--older installs it" in models("update", "--file", old, "--key", PUBLIC, code=1)
    assert "cannot be read" in models("update", "--file", "none.json", "--key", PUBLIC, code=1)
    assert "neither a file nor a key" in models("update", "--file", file, "--key", "abc", code=2)
    assert "give --file or --url" in models("update", "--key", PUBLIC, code=2)
    assert "no headworks.yaml" in models("update", "--file", file, "--key", PUBLIC, project=None, code=1)
    assert "no price table of version" in models("update", "--restore", "2020-01-01-abc", code=1)
    assert "clear text" in models("update", "--url", "http://example.com/c.json", "--key", PUBLIC, code=2)
    assert not (tmp_path / ".headworks" / "prices").exists()

    models("update", "--file", old, "--key", PUBLIC, "--older")
    assert lines(models("show", "small", "--json"))[0]["version"].startswith("2001-01-01")


def test_a_catalogue_is_fetched_with_its_signature(models, tmp_path):
    edition("2999-01-01", tmp_path)

    class Files(BaseHTTPRequestHandler):
        def do_GET(self):
            path = tmp_path / self.path.lstrip("/")
            self.send_response(200 if path.exists() else 404)
            self.end_headers()
            self.wfile.write(path.read_bytes() if path.exists() else b"")

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Files) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            base = f"http://127.0.0.1:{server.server_port}"
            assert "cannot be fetched" in models("update", "--url", f"{base}/none", "--key", PUBLIC, code=1)
            assert "in use: 2999-01-01" in models("update", "--url", f"{base}/fresh.json", "--key", PUBLIC)
        finally:
            server.shutdown()
            thread.join()
