"""What keeps a project from becoming a gateway is found before anything of it is made."""

import shutil
from pathlib import Path

import pytest

from headworks.config import LOCK_FILE, Lock, Locked, load, lock_text
from headworks.errors import ConfigError
from headworks.settings import read_settings

DESK = Path(__file__).parents[1] / "examples" / "support-desk"


@pytest.fixture
def desk(tmp_path):
    return Path(shutil.copytree(DESK, tmp_path / "desk", ignore=shutil.ignore_patterns(".headworks")))


def test_a_workload_that_is_locked_to_a_model_that_is_gone_cannot_be_served(desk):
    (desk / LOCK_FILE).write_text(lock_text(Lock(workloads={"ticket-triage": Locked(model="gone")})))

    with pytest.raises(ConfigError, match="ticket-triage is locked to `gone`, which is bound to no model"):
        read_settings(load(desk / "headworks.yaml"), {})


def test_a_rung_whose_provider_does_not_have_the_model_cannot_be_served(desk):
    path = desk / "headworks.yaml"
    path.write_text(path.read_text().replace("nano: simulator/gpt-6-luna", "nano: simulator/gpt-6-lunar"))

    with pytest.raises(ConfigError, match="that provider has no such model; did you mean `gpt-6-luna`") as raised:
        read_settings(load(path), {})

    assert {problem.file.split("/")[-2] for problem in raised.value.problems} == {"invoice-extraction", "ticket-triage"}


EUROPE = """
providers:
  home: {kind: openai-compatible, base_url: "http://127.0.0.1:9/v1", regions: [eu]}
  away: {kind: openai-compatible, base_url: "http://127.0.0.1:9/v1", regions: [us]}
models: {good: home/a, best: away/b, both: {targets: [home/a, home/c]}}
"""


def test_a_rung_that_the_lock_has_decided_on_is_bound_by_where_the_data_may_go(tmp_path):
    folder = tmp_path / "workloads" / "triage"
    folder.mkdir(parents=True)
    (tmp_path / "headworks.yaml").write_text(EUROPE)
    (folder / "workload.yaml").write_text("owner: o\ndescription: d\nladder: [good]\ndata: {residency: [eu]}\n")
    (tmp_path / LOCK_FILE).write_text(lock_text(Lock(workloads={"triage": Locked(model="best")})))

    with pytest.raises(ConfigError, match=r"does not allow us, where `providers.away` processes data \(`best` is"):
        read_settings(load(tmp_path), {"HOME": "/"})


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), ("{}", "this is no JSON Web Key Set"), ('{"keys": []}', "no key in it")],
)
def test_a_file_without_keys_of_a_token_issuer_is_told_with_its_place(tmp_path, content, words):
    (tmp_path / "headworks.yaml").write_text(
        "providers: {sim: {kind: simulator}}\naccess: {tokens: [{issuer: a, audience: [b], jwks_file: keys.json}]}\n"
    )
    if content is not None:
        (tmp_path / "keys.json").write_text(content)

    with pytest.raises(ConfigError, match=words) as raised:
        read_settings(load(tmp_path), {})
    assert raised.value.problems[0].line == 2
