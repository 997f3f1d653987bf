"""What keeps a project from becoming a gateway is found before anything of it is made."""

import shutil
from pathlib import Path

import pytest

from headworks.assembly import read_settings
from headworks.config import LOCK_FILE, Lock, Locked, load, lock_text
from headworks.errors import ConfigError

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
