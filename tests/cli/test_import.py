import importlib
import json
from pathlib import Path

import pytest

from headworks.cli import main

FILES = Path(__file__).parents[1] / "importing" / "files"
WHOLE = """
model_list:
  - model_name: chat
    litellm_params: { model: openai/gpt-6-luna, api_key: os.environ/OPENAI_API_KEY }
router_settings: { num_retries: 2 }
"""


@pytest.fixture
def whole(tmp_path):
    """A file in which nothing is missing."""
    path = tmp_path / "config.yaml"
    path.write_text(WHOLE)
    return path


@pytest.mark.parametrize(
    ("gateway", "name"),
    [
        ("litellm", "litellm.yaml"),
        ("portkey", "portkey.json"),
        ("portkey", "conf.json"),
        ("tensorzero", "tensorzero/tensorzero.toml"),
    ],
)
def test_what_is_written_passes_its_check_once_the_variables_are_set(tmp_path, monkeypatch, capsys, gateway, name):
    assert main(["import", gateway, str(FILES / name), "--into", str(tmp_path), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    for variable in report["variables"]:
        monkeypatch.setenv(variable["name"], "redis://127.0.0.1:6379" if "URL" in variable["name"] else "any-key")

    assert main(["check", "--config", str(tmp_path / "headworks.yaml")]) == 0
    assert capsys.readouterr().err == ""


def test_where_nothing_is_missing_it_ends_with_0(whole, capsys):
    assert main(["import", "litellm", str(whole), "--into", str(whole.parent / "new")]) == 0
    printed = capsys.readouterr().out
    assert "4 mapped" not in printed.splitlines()[0]
    assert "0 missing" in printed
    assert "set   OPENAI_API_KEY" in printed
    assert f"Next: set these variables, then cd {whole.parent / 'new'} && headworks check" in printed


def test_on_a_narrow_terminal_what_became_of_a_setting_stands_below_it(whole, capsys, monkeypatch):
    monkeypatch.setattr(importlib.import_module("headworks.cli.import"), "terminal_width", lambda: 60)

    assert main(["import", "litellm", str(whole), "--dry-run"]) == 0
    report = capsys.readouterr().out.partition("LINE")[2].partition("\n\n")[0]
    assert max(map(len, report.splitlines())) <= 60
    assert "model_list[0].model_name\n      models.chat: openai/gpt-6-luna" in report


def test_nothing_that_is_there_is_overwritten_without_force(whole, capsys):
    folder = whole.parent
    (folder / "headworks.yaml").write_text("mine")

    assert main(["import", "litellm", str(whole), "--into", str(folder)]) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert (folder / "headworks.yaml").read_text() == "mine"
    assert not (folder / "headworks.schema.json").exists()

    assert main(["import", "litellm", str(whole), "--into", str(folder), "--force"]) == 0
    assert "providers:" in (folder / "headworks.yaml").read_text()


def test_the_same_import_again_changes_nothing(whole):
    assert main(["import", "litellm", str(whole), "--into", str(whole.parent)]) == 0
    assert main(["import", "litellm", str(whole), "--into", str(whole.parent)]) == 0


def test_a_dry_run_prints_and_writes_nothing(whole, capsys):
    assert main(["import", "litellm", str(whole), "--into", str(whole.parent / "new"), "--dry-run"]) == 0
    assert "api_key: env:OPENAI_API_KEY" in capsys.readouterr().out
    assert not (whole.parent / "new").exists()


def test_a_file_that_cannot_be_read_is_a_failure(tmp_path, capsys):
    assert main(["import", "litellm", str(tmp_path / "none.yaml")]) == 1
    assert "there is no such file" in capsys.readouterr().err


def test_a_stand_in_that_is_no_origin_is_refused(whole, capsys):
    assert main(["import", "litellm", str(whole), "--simulator", "localhost"]) == 2
    assert "expected an origin" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_a_plain_error(whole, capsys):
    (whole.parent / "file").write_text("")

    assert main(["import", "litellm", str(whole), "--into", str(whole.parent / "file" / "new")]) == 1
    assert "cannot be written" in capsys.readouterr().err
