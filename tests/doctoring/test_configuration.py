"""The configuration: its problems as `headworks check` has them, and who may read and change what."""

import asyncio

import pytest
from played_servers import situation

from headworks.config import Examination
from headworks.doctoring import configuration
from headworks.errors import ConfigError, Problem

PROBLEM = Problem("headworks.yaml", 1, 2, "server.port: too large")


@pytest.fixture
def project(project_of):
    return project_of("providers: {sim: {kind: simulator}}\n")


def look(**given):
    (check,) = configuration.checks(situation(**given))
    return asyncio.run(check.look())


def test_a_file_that_cannot_be_used_is_shown_problem_by_problem():
    findings = look(unusable=ConfigError(PROBLEM, PROBLEM))
    assert [one.verdict for one in findings] == ["problem", "problem"]
    assert findings[0].says == "headworks.yaml:1:2: server.port: too large"


def test_what_check_finds_is_found_here(project):
    findings = look(project=project, examine=lambda _: Examination((PROBLEM,), (PROBLEM, PROBLEM)))
    assert [one.verdict.value for one in findings] == ["problem", "warning", "ok"]


def test_a_good_project_is_well_and_no_project_is_not_looked_at(project):
    assert {one.verdict for one in look(project=project, examine=lambda _: Examination())} == {"ok"}
    assert configuration.checks(situation()) == []


def test_a_file_that_others_may_change_and_state_that_they_may_read_are_warnings(project):
    project.file.chmod(0o666)
    project.storage.mkdir(mode=0o700)
    (project.storage / "keys.db").touch(mode=0o644)
    project.storage.chmod(0o755)

    modes = [one for one in look(project=project) if one.about == "modes"]

    assert [one.verdict for one in modes] == ["warning", "warning"]
    assert "chmod go-w" in modes[0].way_out
    assert "read keys.db" in modes[1].says

    project.file.chmod(0o600)
    project.storage.chmod(0o700)
    assert [one.verdict for one in look(project=project) if one.about == "modes"] == ["ok"]
