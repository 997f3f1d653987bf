import json
import subprocess
import sys

import pytest

from headworks.cli import main

GOOD = "providers: {sim: {kind: simulator}}\nmodels: {fast: sim/gpt-6-luna}\n"
BAD = "providers: {sim: {kind: simulatr}}\nserver: {port: x}\n"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "headworks.yaml"


def test_a_valid_project_is_summed_up(file, capsys):
    file.write_text(GOOD)

    code = main(["check", "--config", str(file)])

    printed = capsys.readouterr()
    assert (code, printed.err) == (0, "")
    assert printed.out.splitlines() == [
        f"{file}: no problems",
        "  listens on  http://127.0.0.1:4000, access by virtual keys",
        f"  state in    {file.parent / '.headworks'}",
        (
            "  provider    sim: simulator, responses, chat, completions, embeddings, moderations, images, audio, "
            "realtime, models, files, batches, conversations, vector_stores, fine_tuning, evals"
        ),
        "  model       fast -> sim/gpt-6-luna",
    ]


def test_every_problem_is_printed_and_the_exit_code_is_1(file, capsys):
    file.write_text(BAD)

    code = main(["check", "--config", str(file)])

    printed = capsys.readouterr()
    assert (code, printed.out) == (1, "")
    assert printed.err.splitlines() == [
        (
            f"{file}:1:25: problem: providers.sim.kind: expected one of `anthropic`, `azure`, `bedrock`, `gemini`, "
            "`openai`, `openai-compatible`, `simulator`, `vertex`; did you mean `simulator`?"
        ),
        f"{file}:2:16: problem: server.port: expected a whole number, got text",
        f"{file}: 2 problems",
    ]


def test_what_the_file_refers_to_is_checked_too(file, capsys, monkeypatch):
    monkeypatch.delenv("NOT_SET", raising=False)
    file.write_text("providers: {a: {kind: openai, api_key: env:NOT_SET}}")

    assert main(["check", "--config", str(file)]) == 1
    assert "1:40: problem: providers.a.api_key: env:NOT_SET is not set" in capsys.readouterr().err


def test_a_warning_is_printed_and_the_exit_code_is_0(file, capsys, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "sk-1")
    file.write_text("server: {host: 0.0.0.0}\nproviders: {a: {kind: openai, api_key: env:SOME_KEY}}")

    assert main(["check", "--config", str(file)]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith(f"{file}:2:40: warning: providers.a.api_key: ")


def test_open_access_is_said_and_only_for_this_machine(file, capsys):
    file.write_text("access: {mode: open}\n" + GOOD)
    assert main(["check", "--config", str(file)]) == 0
    assert "open: no key is needed" in capsys.readouterr().out

    file.write_text("access: {mode: open}\nserver: {host: 0.0.0.0}\n" + GOOD)
    assert main(["check", "--config", str(file)]) == 1
    assert f"{file}:1:16: problem: access.mode: `open` is for this machine alone" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "code"), [(GOOD, 0), (BAD, 1)])
def test_json_holds_the_same_for_programs(file, capsys, text, code):
    file.write_text(text)

    assert main(["check", "--json", "--config", str(file)]) == code
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is (code == 0)
    assert [(problem["line"], problem["column"]) for problem in answer["problems"]] == [(1, 25), (2, 16)][: 2 * code]
    assert answer["warnings"] == []


def test_a_missing_file_is_a_problem_with_a_way_out(file, capsys):
    assert main(["check", "--config", str(file)]) == 1
    assert "`headworks init` writes a starter project" in capsys.readouterr().err


def test_the_schema_is_printed_without_any_file(capsys):
    assert main(["check", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "headworks.yaml"


def test_the_document_of_the_admin_api_is_printed_without_any_file(capsys):
    assert main(["check", "--schema", "admin-api"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["openapi"] == "3.1.0"
    assert "/admin/v1/keys" in document["paths"]


def test_the_simulators_plan_is_checked_by_the_simulator(file, capsys):
    file.write_text("providers: {sim: {kind: simulator, plan: plan.yaml}}\n")
    (file.parent / "plan.yaml").write_text("modles: {}\n")

    assert main(["check", "--config", str(file)]) == 1
    assert "modles" in capsys.readouterr().err


def test_colours_are_for_terminals_only(file, capsys, monkeypatch):
    file.write_text(BAD)
    monkeypatch.delenv("NO_COLOR", raising=False)
    main(["check", "--config", str(file)])
    plain = capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    main(["check", "--config", str(file)])

    assert "\x1b" not in plain
    assert "\x1b[31mproblem:\x1b[0m" in capsys.readouterr().err


def test_the_installed_command_exits_with_the_code(file):
    file.write_text(BAD)
    run = [sys.executable, "-m", "headworks", "check", "--config", str(file)]

    assert subprocess.run(run, capture_output=True, timeout=60).returncode == 1


def test_a_model_that_is_shut_down_is_warned_of(file, capsys):
    file.write_text("providers: {o: {kind: openai, api_key: env:PATH}}\nmodels: {fast: o/gpt-4.1-nano}\n")

    assert main(["check", "--config", str(file)]) == 0
    assert (
        f"{file}:2:16: warning: models.fast.model: o/gpt-4.1-nano was shut down on 2026-10-23"
        in capsys.readouterr().err
    )
