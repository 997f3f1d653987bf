"""What holds for every command: how it is said, what it prints for programs, and what it ends with."""

import argparse
import importlib
import json
import os
import subprocess
import sys

import pytest

from headworks.cli import COMMANDS, EXIT_CODES, main
from headworks.cli.parsing import Parser

SERVERS = {"serve", "simulate"}
WORDS = {
    "screen": ["Hello."],
    "import": ["litellm", "none.yaml"],
    "replay": ["call_x", "--verify"],
    "outcomes report": ["call_x", "good=true"],
}
"""What a command needs to hear, where it is not just a word for each of its arguments."""


def parsers():
    """Every command and every action that does something, with its parser."""

    def below(name, parser):
        inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        if not inner:
            yield name, parser
        for action in inner:
            for word, child in action.choices.items():
                yield from below(f"{name} {word}", child)

    for name in COMMANDS:
        parser = Parser(prog=f"headworks {name}")
        importlib.import_module(f"headworks.cli.{name}").arguments(parser)
        yield from below(name, parser)


LEAVES = dict(parsers())
each = pytest.mark.parametrize("name", LEAVES)


def needed(name):
    """Words that a command must be given, all of things that there are not."""
    words = []
    for action in LEAVES[name]._actions:
        if action.option_strings and action.required:
            words += [action.option_strings[0], next(iter(action.choices or ["x"]))]
        elif not action.option_strings and action.nargs not in ("?", "*"):
            words.append("x")
    return WORDS.get(name, words)


@each
def test_a_program_can_ask_for_json(name):
    if name not in SERVERS:
        assert "--json" in LEAVES[name]._option_string_actions


@each
def test_what_a_command_does_is_a_sub_command_and_no_word_among_its_arguments(name):
    chosen = [action.dest for action in LEAVES[name]._actions if not action.option_strings and action.choices]
    assert chosen == (["gateway"] if name == "import" else [])


@each
def test_times_are_called_by_one_word(name):
    flags = LEAVES[name]._option_string_actions
    assert {flags[flag].metavar for flag in ("--since", "--until") if flag in flags} <= {"WHEN"}


@each
def test_every_argument_is_explained_and_a_workload_has_one_name(name):
    for action in LEAVES[name]._actions:
        assert action.help
        if not action.option_strings and action.help.startswith("the workload"):
            assert action.metavar == "WORKLOAD"


@each
def test_a_flag_that_is_not_known_is_wrong_usage(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*name.split(), *needed(name), "--no-such-flag"])

    assert ended.value.code == 2
    assert f"headworks {name}: error: " in capsys.readouterr().err


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    assert main(["init", str(folder), "--json"]) == 0
    return folder


@pytest.mark.parametrize("name", sorted(LEAVES.keys() - SERVERS))
def test_on_a_new_project_a_program_reads_json_or_an_exit_code_that_is_known(name, project, capsys, monkeypatch):
    monkeypatch.chdir(project)

    code = main([*name.split(), *needed(name), "--json"])

    printed = capsys.readouterr()
    assert code in EXIT_CODES
    assert code == 0 or printed.out or printed.err.startswith(f"headworks {name.split()[0]}: ")
    if printed.out:
        try:
            json.loads(printed.out)
        except json.JSONDecodeError:
            assert all(json.loads(line) is not None for line in printed.out.splitlines())


@pytest.mark.parametrize("name", sorted(LEAVES.keys() - SERVERS))
def test_a_project_that_is_not_there_is_no_traceback(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    code = main([*name.split(), *needed(name)])

    printed = capsys.readouterr()
    assert code in (0, 1, 2)
    assert printed.err or printed.out


def test_help_is_quick_because_it_loads_no_command():
    script = (
        "import sys; from headworks.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # it loads much itself
    ended = subprocess.run([sys.executable, "-c", script], env=plain, capture_output=True, text=True, check=True)

    loaded = set(ended.stderr.split())
    assert not loaded & {"asyncio", "cryptography", "jinja2", "sqlite3", "ssl", "uvloop", "yaml"}
    assert not {name for name in loaded if name.startswith("headworks.cli.")} - {"headworks.cli.parsing"}
    assert all(f"  {name} " in ended.stdout for name in COMMANDS)
