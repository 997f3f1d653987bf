from pathlib import Path

import pytest

from headworks.cli import main
from headworks.config import json_schema_text, load

FILES = ["headworks.yaml", "headworks.schema.json", "README.md", ".gitignore"]


def test_the_starter_project_passes_its_own_check(tmp_path, capsys):
    folder = tmp_path / "a project"

    assert main(["init", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert printed.splitlines()[-1] == f"Next: cd '{folder}' && headworks serve"
    assert main(["check", "--config", str(folder / "headworks.yaml")]) == 0
    assert capsys.readouterr().err == ""


def test_the_starter_project_needs_no_key_of_a_provider_and_keeps_its_state_out_of_git(tmp_path):
    main(["init", str(tmp_path)])

    config = load(tmp_path).config
    assert [provider.kind for provider in config.providers.values()] == ["simulator"]
    assert config.access.mode == "keys"
    assert f"{config.storage.path}/" in (tmp_path / ".gitignore").read_text().splitlines()


def test_the_commented_providers_are_valid_once_uncommented(tmp_path):
    main(["init", str(tmp_path)])
    file = tmp_path / "headworks.yaml"
    lines = file.read_text().splitlines()
    starts = [number for number, line in enumerate(lines) if line in ("  # openai:", "  # local:")]
    for start in starts:
        for number in range(start, lines.index("", start)):
            lines[number] = lines[number].replace("# ", "", 1)
    file.write_text("\n".join(lines))

    config = load(file).config

    assert len(starts) == 2
    assert sorted(config.providers) == ["local", "openai", "simulator"]


def test_editors_find_the_schema_beside_the_file(tmp_path):
    main(["init", str(tmp_path)])

    first = (tmp_path / "headworks.yaml").read_text().splitlines()[0]
    assert (tmp_path / first.removeprefix("# yaml-language-server: $schema=")).read_text() == json_schema_text()


def test_here_is_the_default(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    assert main(["init"]) == 0
    assert (tmp_path / "headworks.yaml").exists()
    assert capsys.readouterr().out.splitlines()[-1] == "Next: headworks serve"


def test_a_project_that_is_there_is_left_as_it_is(tmp_path, capsys):
    (tmp_path / "headworks.yaml").write_text("mine")

    assert main(["init", str(tmp_path)]) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["headworks.yaml"]
    assert (tmp_path / "headworks.yaml").read_text() == "mine"


def test_other_files_that_are_there_are_kept(tmp_path, capsys):
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / ".gitignore").write_text("*.pyc\n")

    assert main(["init", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert (tmp_path / "README.md").read_text() == "mine"
    assert (tmp_path / ".gitignore").read_text() == "*.pyc\n"
    assert "kept  " in printed
    assert "Add a line to .gitignore: .headworks/" in printed


def test_a_folder_that_cannot_be_made_is_a_plain_error(tmp_path, capsys):
    (tmp_path / "file").touch()

    assert main(["init", str(tmp_path / "file" / "deep")]) == 1
    assert "cannot be written: Not a directory" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["headworks.yaml", "README.md", "gitignore"])
def test_the_starter_files_are_part_of_the_package(name):
    import headworks.cli

    assert (Path(headworks.cli.__file__).parent / "starter" / name).is_file()
