"""`headworks extensions`: what is installed, whether it loads, and where it is used."""

import json
import sys

import pytest

from headworks.cli import main
from headworks.extending import HOOKS, SCORERS
from offering import forget, offer

CONFIG = """
version: 1
providers: {{sim: {{kind: simulator}}}}
hooks: {{own: {{use: {use}}}}}
"""


@pytest.fixture
def acme(tmp_path, monkeypatch):
    offer(tmp_path, {HOOKS: {"policy": "Policy", "old": "Gone"}, SCORERS: {"short": "Policy"}}, "class Policy: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    forget()
    yield tmp_path
    forget()


def listed(capsys, *flags):
    code = main(["extensions", "--json", *flags])
    told = json.loads(capsys.readouterr().out)
    own = [one for one in told["extensions"] if one["package"] == "acme"]
    return code, {one["name"]: one for one in own}, told["missing"]


def test_everything_is_listed_with_whether_it_loads_and_where_it_is_used(acme, capsys):
    (acme / "headworks.yaml").write_text(CONFIG.format(use="policy"))
    code, own, missing = listed(capsys)

    assert (code, missing) == (0, [])
    assert {name: one["loads"] for name, one in own.items()} == {"old": False, "policy": True, "short": True}
    assert own["policy"]["used_at"] == ["hooks.own.use"]
    assert (own["policy"]["version"], own["policy"]["location"]) == ("1.0", str(acme))
    assert "AttributeError" in own["old"]["problem"]


def test_nothing_is_run_where_only_names_are_asked_for(acme, capsys):
    code, own, _ = listed(capsys, "--names")

    assert (code, own["old"]["loads"]) == (0, None)
    assert "acme_offers" not in sys.modules


@pytest.mark.parametrize("use", ["old", "absent"])
def test_what_the_project_names_must_be_there_and_load(acme, capsys, use):
    (acme / "headworks.yaml").write_text(CONFIG.format(use=use))

    assert main(["extensions"]) == 1
    printed = capsys.readouterr().out
    assert ("fails" if use == "old" else "missing") in printed
    assert "hooks.own.use" in printed


def test_a_machine_without_any_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("headworks.extending.points.entry_points", lambda **_: ())

    assert main(["extensions"]) == 0
    assert capsys.readouterr().out == "no installed package offers anything to Headworks\n"
