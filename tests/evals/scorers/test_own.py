"""Your own function and your own command."""

import asyncio
import os
import sys
import time

import pytest

from headworks.evals.scorers import Answer, ScoringFailed
from headworks.evals.scorers.command import Command
from headworks.evals.scorers.function import Function

from .conftest import case

FUNCTIONS = """
import os, sys, time
print("noise")

def polite(case, answer):
    return "please" in answer["text"]

def graded(case, answer):
    return {"value": 0.5, "is_acceptable": True, "reason": case["expected"]}

def raises(case, answer):
    raise ValueError(answer["text"])

def loops(case, answer):
    while True: pass

def leaves(case, answer):
    os._exit(3)

def exits(case, answer):
    sys.exit(3)

def eats(case, answer):
    return bool("x" * (1 << 34))

def not_a_number(case, answer):
    return float("nan")

def shows(case, answer):
    return {"value": 1, "reason": os.environ.get("SECRET", "none")}
"""


@pytest.fixture
def function(tmp_path):
    (tmp_path / "own.py").write_text(FUNCTIONS)
    return lambda name, timeout_s=5.0: Function(tmp_path / "own.py", name, timeout_s=timeout_s)


def test_a_function_says_yes_or_no_or_how_much(judged, function):
    assert judged(function("polite"), "please do").is_acceptable
    assert judged(function("polite"), "do").is_acceptable is False
    score = judged(function("graded"), "x", "why")
    assert (score.value, score.is_acceptable, score.reason) == (0.5, True, "why")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("raises", r"own\.py:raises: raises ValueError in line 12$"),
        ("leaves", "ended the process"),
        ("exits", "raises SystemExit"),
        ("eats", "raises MemoryError"),
        ("not_a_number", "raises ValueError"),
        ("missing", "there is no function missing"),
    ],
)
def test_a_function_that_fails_is_no_wrong_answer(judged, function, name, message):
    with pytest.raises(ScoringFailed, match=message) as raised:
        judged(function(name), "personal text")
    assert "personal" not in str(raised.value)


def test_a_function_that_never_ends_is_ended_and_the_next_answer_scored(function):
    async def run():
        scorer = function("loops", 0.3)
        for _ in range(2):
            with pytest.raises(ScoringFailed, match=r"within 0\.3 s"):
                await scorer.score(case(), Answer("x"))
        await scorer.close()
        await scorer.close()

    asyncio.run(run())


def test_a_file_that_cannot_be_loaded_says_where(judged, tmp_path):
    (tmp_path / "bad.py").write_text("x = 1\ndef broken(:\n")

    with pytest.raises(ScoringFailed, match="raises SyntaxError in line 2"):
        judged(Function(tmp_path / "bad.py", "broken", timeout_s=5), "x")


def test_a_function_does_not_see_our_environment(judged, function, monkeypatch):
    monkeypatch.setenv("SECRET", "sk-123")

    assert judged(function("shows"), "x").reason == "none"


def test_the_identity_changes_with_the_file(function, tmp_path):
    before = function("polite").identity
    (tmp_path / "own.py").write_text(FUNCTIONS + "\n")
    assert Function(tmp_path / "own.py", "polite", timeout_s=5).identity != before


def python(tmp_path, code, timeout_s=5.0):
    return Command([sys.executable, "-c", code], tmp_path, timeout_s=timeout_s)


def test_a_command_reads_the_answer_and_says_the_score(judged, tmp_path):
    code = "import json,sys; q=json.load(sys.stdin); print(json.dumps({'value': float(q['answer']['text']) / 2}))"

    assert judged(python(tmp_path, code), "1").value == 0.5
    assert judged(python(tmp_path, code), "2").is_acceptable


def test_a_command_that_reads_nothing_is_right_all_the_same(judged, tmp_path):
    assert judged(python(tmp_path, "print('true')"), "x" * 5_000_000).is_acceptable


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise SystemExit(3)", "ended with code 3"),
        ("print('maybe')", "must say true, false"),
        ("print('2')", "not from 0 to 1"),
        ("print('{}')", "neither `value` nor `is_acceptable`"),
        ("print('NaN')", "must say true"),
        ("print('x' * 3_000_000)", "more than 1,000,000 bytes"),
    ],
)
def test_a_command_that_fails_is_no_wrong_answer(judged, tmp_path, code, message):
    with pytest.raises(ScoringFailed, match=message):
        judged(python(tmp_path, code), "x")


def test_a_command_that_takes_too_long_is_ended_with_its_children(judged, tmp_path):
    mark = tmp_path / "child"
    code = (
        f"import subprocess,sys,time; p=subprocess.Popen(['sleep','60']); open({str(mark)!r},'w').write(str(p.pid));"
        "time.sleep(60)"
    )
    with pytest.raises(ScoringFailed, match="within 1 s"):
        judged(python(tmp_path, code, 1.0), "x")
    child = int(mark.read_text())
    due = time.monotonic() + 60
    while time.monotonic() < due and os.path.exists(f"/proc/{child}") and _state(child) != "Z":
        time.sleep(0.01)
    assert not os.path.exists(f"/proc/{child}") or _state(child) == "Z"


def _state(process_id):
    try:
        with open(f"/proc/{process_id}/stat") as opened:
            return opened.read().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_a_command_that_is_not_there_says_so(judged, tmp_path):
    with pytest.raises(ScoringFailed, match="cannot be started: No such file"):
        judged(Command(["./nothing"], tmp_path, timeout_s=1), "x")
