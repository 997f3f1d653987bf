"""What is said of a command line that was mistyped, and how help fits into a terminal."""

import pytest

from headworks.cli import main


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        (["chek"], "there is no 'chek'; did you mean `check`?"),
        (["calls", "lst"], "there is no 'lst'; did you mean `list`?"),
        (["budgets", "relese"], "did you mean `release`?"),
        (
            ["keys", "create", "--ownr", "x"],
            "headworks keys create: error: unrecognized arguments: --ownr; did you mean",
        ),
        (["calls", "--limt", "3"], "headworks calls: error: unrecognized arguments: --limt; did you mean `--limit`?"),
        (["check", "--zzz"], "headworks check: error: unrecognized arguments: --zzz; `headworks check --help` lists"),
        (["qqqqqq"], "there is no command 'qqqqqq'; `headworks --help` lists them"),
    ],
)
def test_what_was_mistyped_is_told_with_what_is_nearest(capsys, typed, near):
    with pytest.raises(SystemExit) as ended:
        main(typed)

    assert ended.value.code == 2
    assert near in capsys.readouterr().err


@pytest.mark.parametrize("columns", [60, 80])
def test_help_fits_into_the_terminal_and_examples_stay_as_they_are(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    with pytest.raises(SystemExit):
        main(["doctor", "--help"])

    printed = capsys.readouterr().out
    example = "  headworks doctor --url https://llm.example.org --key env:KEY    through its proxy, as callers reach it"
    assert example in printed.splitlines()
    assert max(len(line) for line in printed.splitlines() if "  headworks doctor " not in line) < columns


def test_an_action_that_is_the_default_need_not_be_named_and_one_that_is_named_is_another(capsys):
    assert main(["eval", "--changed", "--arm", "nano"]) == 2
    assert main(["eval", "run", "--changed", "--arm", "nano"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[0] == told[1]
    assert told[0].startswith("headworks eval: --changed takes at most a workload")

    with pytest.raises(SystemExit) as ended:
        main(["eval", "list", "--changed"])
    assert ended.value.code == 2
    assert "headworks eval list: error: unrecognized arguments: --changed" in capsys.readouterr().err
