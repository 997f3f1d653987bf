"""Counts of tokens on the command line, and how near they come to what was billed for calls made in this process."""

import io
import json
import sys

import pytest

import headworks
from headworks.cli import main

TICKET = "I was charged twice for order SD-104233 this morning, 49 euros each time. Please send one of them back."
VALUES = {"product": "Ledgerly", "plan": "pro", "ticket": TICKET}


def call(desk):
    with headworks.connect(desk.folder) as gateway, gateway.openai(max_retries=0) as client:
        client.responses.create(prompt={"id": "ticket-triage", "variables": VALUES}, input="And quickly.")


def test_counts_are_held_against_bills_and_nothing_of_the_calls_is_shown(desk):
    desk.edit("workload.yaml", "content: redacted", "content: full")
    call(desk)

    code, out, _ = desk.run("models", "calibration", "--json")

    (found,) = [json.loads(line) for line in out.splitlines()]
    assert (code, found["calls"]) == (0, 1)
    assert found["counted"] > 50
    assert found["ratio"] == pytest.approx(found["counted"] / found["billed"])
    code, out, _ = desk.run("models", "calibration")
    assert code == 0
    assert out.split()[:5] == ["MODEL", "CALLS", "COUNTED", "BILLED", "RATIO"]
    assert "charged" not in out


def test_calls_whose_content_is_not_kept_cannot_be_counted_and_that_is_said(desk):
    desk.edit("workload.yaml", "content: redacted", "content: 'off'")
    call(desk)

    code, out, err = desk.run("models", "calibration")

    assert (code, out) == (0, "")
    assert "of 1 call no content is kept" in err


def test_where_nothing_is_recorded_there_is_nothing_to_hold_against(desk):
    code, out, err = desk.run("models", "calibration")

    assert (code, out) == (0, "")
    assert "no answered calls are recorded" in err


def test_calibration_needs_a_project(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    assert main(["models", "calibration"]) != 0
    assert "no project" in capsys.readouterr().err


def test_a_request_is_counted_part_by_part(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}}
    content = [{"type": "text", "text": "What is this?"}, image]
    (tmp_path / "request.json").write_text(json.dumps({"messages": [{"role": "user", "content": content}]}))

    assert main(["models", "tokens", "openai/gpt-4o", "request.json", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {part["kind"]: part["tokens"] for part in found["parts"]} == {"text": 4, "framing": 7, "images": 85}
    assert (found["tokens"], found["encoding"], found["certainty"]) == (96, "o200k_base", "estimated")

    assert main(["models", "tokens", "openai/gpt-4o", "request.json"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "96 tokens (estimated) for openai/gpt-4o, text by o200k_base"


def test_a_text_is_counted_from_standard_input(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one two three")))

    assert main(["models", "tokens", "openai/gpt-4o", "-"]) == 0
    assert capsys.readouterr().out.startswith("3 tokens (exact)")


def test_a_file_that_is_not_there_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    assert main(["models", "tokens", "openai/gpt-4o", "none.json"]) != 0
    assert "none.json cannot be read" in capsys.readouterr().err
