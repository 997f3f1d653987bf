"""`headworks traces`: what is known, as text and for programs, also where nothing is."""

import json

import pytest

from headworks.cli import main
from headworks.tracing import TRACES_FILE, Ingested, Span, Trace, TraceBook


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "headworks.yaml").write_text("version: 1\nproviders: {sim: {kind: simulator}}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def kept(folder):
    (folder / ".headworks").mkdir(mode=0o700)
    book = TraceBook(folder / ".headworks" / TRACES_FILE)
    spans = [
        Span("trace_1", "a", "", "agent", "Helper\x1b[31m", 1_000, 2_001_000, "", False),
        Span("trace_1", "b", "a", "function", "look", 5_000, 9_000, "", True),
    ]
    book.add(Ingested([Trace("trace_1", "Support", "visit")], spans), "key_1", now_us=5)
    book.close()


def test_a_machine_without_traces_says_where_they_come_from(folder, capsys):
    assert main(["traces"]) == 0
    assert "/v1/traces/ingest" in capsys.readouterr().err


def test_an_unknown_trace_is_said(folder, capsys):
    assert main(["traces", "show", "trace_9"]) == 1
    assert "no trace trace_9" in capsys.readouterr().err


def test_the_steps_are_a_tree_and_steer_no_terminal(kept, capsys):
    assert main(["traces", "show", "trace_1"]) == 0
    said = capsys.readouterr().out

    assert "  function look (failed)" in said
    assert "2.00s" in said or "2.0s" in said
    assert "\x1b[31m" not in said
    assert main(["traces"]) == 0
    assert "Support" in capsys.readouterr().out


def test_programs_get_one_object(kept, capsys):
    assert main(["traces", "show", "trace_1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)

    assert (told["workflow"], told["group"], told["calls"], told["cost_usd"]) == ("Support", "visit", 0, "0")
    assert [(one["span"], one["parent"], one["failed"]) for one in told["spans"]] == [
        ("a", "", False),
        ("b", "a", True),
    ]
    assert main(["traces", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trace"] == "trace_1"
