"""What pages list is all that there is."""

import re
from pathlib import Path
from typing import get_args

import pytest

from headworks.calls import Outcome
from headworks.cli import COMMANDS, GROUPS
from headworks.simulator.plan import Fault
from headworks.telemetry import Standing
from headworks.telemetry.standing import render_standing

ROOT = Path(__file__).parents[2]
HOUSE = ROOT / "src" / "headworks"


def first_cells(page):
    """The code in the first cells of a page's tables."""
    text = (ROOT / page).read_text("utf-8")
    return [
        name for row in re.findall(r"^\| (`[^|]+) \|", text, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)
    ]


def test_the_page_on_records_explains_every_outcome():
    assert set(get_args(Outcome)) <= set(first_cells("docs/how-to/records.md"))


def test_the_page_on_deployment_explains_every_metric_of_targets_and_quotas():
    shown = re.findall(r"# TYPE headworks_(\w+)", "\n".join(render_standing(Standing())))

    assert set(shown) <= set(first_cells("docs/how-to/deployment.md"))


def test_the_page_on_the_simulator_explains_every_kind_of_fault():
    kinds = {kind.__struct_config__.tag for kind in get_args(Fault)}

    assert kinds <= set(first_cells("docs/how-to/simulator.md"))


def test_the_readme_lists_every_command_as_help_does():
    rows = re.findall(r"^\| (\w+) \| (`.+) \|$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)

    assert {title: re.findall(r"`(\w+)`", commands) for title, commands in rows} == {
        title: list(group) for title, group in GROUPS.items()
    }


def test_the_page_on_production_leads_to_every_group_of_commands():
    text = (ROOT / "docs/how-to/production.md").read_text("utf-8")
    named = set(re.findall(r"`headworks (\w+)", text))

    assert all(named & set(group) for group in GROUPS.values())
    assert named <= set(COMMANDS)


def test_the_architecture_names_every_room_and_no_other():
    there = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in HOUSE.iterdir()
        if (path.is_dir() and path.name != "__pycache__") or path.suffix == ".py"
    }

    assert set(first_cells("ARCHITECTURE.md")) == {name for name in there if not name.startswith("_")}


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_commands_of_make_that_a_page_names_exist(page):
    tasks = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", (ROOT / page).read_text("utf-8")))

    assert named <= tasks
