"""`headworks doctor` as a command: what it prints, what it ends with, and what it must never show."""

import json

import pytest

from headworks.cli import doctor, main
from headworks.doctoring import Examined, Finding, Verdict

GOOD = "server: {port: 0}\nproviders: {sim: {kind: simulator}}\nmodels: {fast: sim/gpt-6-luna}\n"


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        code = main(["doctor", *words])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_findings_are_shown_below_their_checks_and_summed_up(run, tmp_path):
    (tmp_path / "headworks.yaml").write_text(GOOD)
    code, out, err = run()

    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "configuration"
    assert "  ok       valid       headworks.yaml and what it refers to" in lines
    assert "provider sim" in lines
    assert "-> say where it is: `--url https://...`" in out  # port 0: the address is not in the file
    assert lines[-1].startswith("0 problems")
    assert "\x1b" not in out


def test_a_problem_makes_the_exit_code_1(run, tmp_path):
    (tmp_path / "headworks.yaml").write_text("providers: {sim: {kind: simulatr}}\n")
    code, out, _ = run()
    assert code == 1
    assert "did you mean `simulator`?" in out
    assert "1 problem" in out


def test_without_a_configuration_it_says_so_unless_another_gateway_is_meant(run):
    code, out, _ = run()
    assert code == 1
    assert "there is no such file" in out

    code, out, _ = run("--url", "http://127.0.0.1:9")
    assert code == 1
    assert "configuration" not in out
    assert "nothing listens at 127.0.0.1:9" in out


def test_json_has_every_finding_with_its_way_out(run):
    code, out, _ = run("--json", "--url", "http://127.0.0.1:9/v1")
    found = json.loads(out)
    assert (code, found["ok"]) == (1, False)
    assert [check["name"] for check in found["checks"]] == ["gateway http://127.0.0.1:9", "streams"]
    (finding,) = found["checks"][0]["findings"]
    assert set(finding) == {"about", "verdict", "says", "way_out"}


def test_a_key_on_the_command_line_is_refused_and_not_repeated(run):
    code, out, err = run("--url", "http://127.0.0.1:9", "--key", "hw-secretsecretsecret")
    assert (code, out) == (2, "")
    assert "env:NAME" in err
    assert "hw-secret" not in err


@pytest.mark.parametrize(
    ("words", "ends_with", "said"),
    [
        (("--url", "llm.example.org"), 2, "--url: expected a URL"),
        (("--url", "http://a", "--key", "env:NOT_SET_AT_ALL"), 1, "--key: env:NOT_SET_AT_ALL is not set"),
        (("--url", "http://a", "--ca-file", "nowhere.pem"), 1, "--ca-file: there is no file nowhere.pem"),
    ],
)
def test_flags_that_cannot_be_meant_are_wrong_usage_and_what_is_not_there_is_a_failure(run, words, ends_with, said):
    code, _, err = run(*words)
    assert code == ends_with
    assert said in err


@pytest.mark.parametrize("seconds", ["1", "301", "x"])
def test_silence_has_bounds(run, seconds):
    with pytest.raises(SystemExit) as ended:
        run("--long", seconds)
    assert ended.value.code == 2


def test_what_others_have_written_cannot_steer_the_terminal():
    finding = Finding("answers", Verdict.PROBLEM, "through a\x1b[31mb", "mend\nit")
    lines = doctor.report([Examined("gateway", (finding,), 0.1), Examined("empty", (), 0.1)], coloured=False)
    assert lines == [
        "gateway",
        "  problem  answers  through a\\x1b[31mb",
        "                    -> mend\\nit",
        "",
        "1 problem",
    ]


def test_verdicts_have_colours_where_they_are_wanted():
    (_, line, *_) = doctor.report([Examined("x", (Finding("a", Verdict.WARNING, "b"),), 0.1)], coloured=True)
    assert line.startswith("  \x1b[33mwarning \x1b[0m a")


def test_on_a_terminal_it_says_what_is_still_looked_at(run, monkeypatch, tmp_path):
    (tmp_path / "headworks.yaml").write_text(GOOD)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    _, _, err = run()
    assert "\r\x1b[Klooking at configuration, machine, store" in err
    assert err.endswith("\r\x1b[K")
