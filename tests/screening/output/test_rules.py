import asyncio
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from headworks.errors import ConfigError
from headworks.screening import RulesRunner, Verdict, check_rules

CONTEXT = {"workload": "triage", "call_id": "call_1", "variables": {"order_total": 90}, "metadata": {}}


@pytest.fixture
def write(tmp_path):
    def write(source):
        path = tmp_path / "rules.py"
        path.write_text("from headworks.screening import Verdict\n" + textwrap.dedent(source))
        return path

    return write


@pytest.fixture
def judge(write):
    """The outcomes of one or more answers by the rules of this source."""

    def judge(source, *outputs, timeout_s=5.0, context=CONTEXT):
        async def run():
            runner = RulesRunner(write(source), timeout_s)
            try:
                return [await runner.run(output, context) for output in outputs]
            finally:
                await runner.close()

        outcomes = asyncio.run(run())
        return outcomes if len(outputs) > 1 else outcomes[0]

    return judge


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pid, seconds=20.0):
    until = time.monotonic() + seconds
    while is_running(pid):
        assert time.monotonic() < until, "the worker is still there"
        time.sleep(0.02)


def test_rules_get_the_answer_and_what_is_known_of_its_call(judge):
    outcome = judge(
        """
        def refund_within_order(output, context):
            if output["refund"] <= context["variables"]["order_total"] and context["workload"] == "triage":
                return Verdict.ok()
            return Verdict.repair("the refund must not exceed the order's total")
        """,
        {"refund": 90},
        {"refund": 91},
    )

    assert [each.verdict for each in outcome] == ["ok", "repair"]
    assert outcome[0].findings == ()
    assert (outcome[1].rule, outcome[1].code) == ("refund_within_order", "rule_repair")
    assert outcome[1].reason == "the refund must not exceed the order's total"


@pytest.mark.parametrize(
    ("said", "verdict", "code"),
    [
        ("True", "ok", ""),
        ("None", "ok", ""),
        ("Verdict.ok()", "ok", ""),
        ("False", "block", "rule_blocked"),
        ("Verdict.block('no')", "block", "rule_blocked"),
        ("Verdict.repair('no')", "repair", "rule_repair"),
        ("Verdict.mark('no')", "mark", "rule_marked"),
        ("1", "block", "rules_failed"),
        ("'ok'", "block", "rules_failed"),
    ],
)
def test_what_a_rule_returns_decides(judge, said, verdict, code):
    outcome = judge(f"def rule(output, context): return {said}", {})

    assert (outcome.verdict, outcome.code) == (verdict, code)


def test_the_worst_rule_decides_and_every_finding_is_kept_in_the_file_s_order(judge):
    outcome = judge(
        """
        def first(output, context): return Verdict.mark("m")
        def second(output, context): return Verdict.block("b")
        def third(output, context): return True
        def fourth(output, context): return Verdict.block("c")
        """,
        {},
    )

    assert (outcome.verdict, outcome.rule, outcome.reason) == ("block", "second", "b")
    assert [finding.rule for finding in outcome.findings] == ["first", "second", "fourth"]


def test_a_rule_cannot_change_what_the_next_one_sees(judge):
    source = """
        def breaks(output, context):
            output["n"] = 0
            context.clear()
        def looks(output, context): return output["n"] == 1 and "workload" in context
        """

    assert judge(source, {"n": 1}).verdict == "ok"


def test_numbers_of_any_size_and_any_json_value_reach_the_rules(judge):
    source = "def rule(output, context): return output == [10**30, 1.5, None, 'é', {'a': True}]"

    assert judge(source, [10**30, 1.5, None, "é", {"a": True}]).verdict == "ok"


def test_a_rule_that_raises_blocks_and_is_named_with_type_and_line_and_no_message(judge):
    outcome = judge(
        """
        def rule(output, context):
            return _check(output["name"])

        def _check(name):
            raise ValueError(f"bad name {name}")
        """,
        {"name": "jane"},
    )

    assert (outcome.verdict, outcome.rule, outcome.code) == ("block", "rule", "rules_failed")
    assert outcome.reason == "raised ValueError in line 7"
    assert "jane" not in str(outcome)


def test_a_rule_that_exits_or_eats_the_stack_blocks_and_the_next_answer_is_judged(judge):
    source = """
        import sys
        def rule(output, context):
            if output == "exit": sys.exit(3)
            if output == "deep": return rule(output, context)
            if output == "memory": return bytearray(1 << 40)
        """

    outcomes = judge(source, "exit", "deep", "memory", "fine")

    assert [each.verdict for each in outcomes] == ["block", "block", "block", "ok"]
    assert [each.reason.split()[1] for each in outcomes[:3]] == ["SystemExit", "RecursionError", "MemoryError"]


def test_a_rule_that_takes_too_long_blocks_by_name_and_the_worker_is_replaced(judge):
    source = """
        def quick(output, context): return True
        def slow(output, context):
            while output == "hang": pass
        """

    outcomes = judge(source, "fine", "hang", "fine", timeout_s=0.3)

    assert [each.verdict for each in outcomes] == ["ok", "block", "ok"]
    assert (outcomes[1].code, outcomes[1].rule) == ("rules_timeout", "slow")
    assert "0.3 s" in outcomes[1].reason


def test_a_rule_that_ends_its_process_blocks_by_name_and_the_worker_is_replaced(judge):
    source = """
        import os
        def rule(output, context):
            if output == "die": os._exit(1)
        """

    outcomes = judge(source, "die", "fine")

    assert [(each.verdict, each.code, each.rule) for each in outcomes] == [
        ("block", "rules_failed", "rule"),
        ("ok", "", ""),
    ]


def test_what_rules_print_and_read_does_not_disturb_the_answers(judge):
    source = """
        import sys, os
        def rule(output, context):
            print("noise" * 1000)
            os.write(1, b"noise")
            return sys.stdin.read() == ""
        """

    assert [each.verdict for each in judge(source, {}, {})] == ["ok", "ok"]


def test_the_worker_sees_none_of_our_secrets(judge, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    monkeypatch.setenv("HEADWORKS_SECRET", "planted")

    outcome = judge(
        """
        import os
        def rule(output, context): return not any("planted" in value for value in os.environ.values())
        """,
        {},
    )

    assert outcome.verdict == "ok"


def test_answers_at_the_same_time_get_their_own_verdicts(write):
    async def run():
        runner = RulesRunner(write("def even(output, context): return output % 2 == 0"), 5.0)
        try:
            return await asyncio.gather(*(runner.run(number, CONTEXT) for number in range(50)))
        finally:
            await runner.close()

    outcomes = asyncio.run(run())

    assert [each.verdict for each in outcomes] == ["ok", "block"] * 25


def test_while_a_rule_hangs_other_answers_are_judged(write):
    source = """
    import time

    def slow(output, context):
        while output == "hang":
            time.sleep(0.01)
    """

    async def judged():
        runner = RulesRunner(write(textwrap.dedent(source)), 30.0)
        try:
            hanging = asyncio.create_task(runner.run("hang", CONTEXT))
            await asyncio.sleep(0.1)
            others = [(await runner.run("fine", CONTEXT)).verdict for _ in range(3)]
            is_over = hanging.done()
            hanging.cancel()
            return others, is_over
        finally:
            await runner.close()

    assert asyncio.run(judged()) == (["ok", "ok", "ok"], False)


def test_after_a_cancelled_answer_the_next_one_gets_its_own_verdict(write, tmp_path):
    source = """
        import pathlib, time
        def rule(output, context):
            if output != "good":
                pathlib.Path(output).touch()
                time.sleep(30)
            return True
        """
    begun = tmp_path / "begun"

    async def run():
        runner = RulesRunner(write(source), 60.0)
        try:
            await runner.start()
            slow = asyncio.create_task(runner.run(str(begun), CONTEXT))
            while not begun.exists():
                await asyncio.sleep(0.01)
            waiting = asyncio.create_task(runner.run("good", CONTEXT))
            await asyncio.sleep(0)
            slow.cancel()
            with pytest.raises(asyncio.CancelledError):
                await slow
            return await waiting
        finally:
            await runner.close()

    assert asyncio.run(run()).verdict == "ok"


def test_closing_leaves_no_process_behind_not_even_what_a_rule_has_started(write, tmp_path):
    source = """
        import os, subprocess, sys
        def rule(output, context):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            return Verdict.mark(f"{os.getpid()} {child.pid}")
        """

    async def run():
        runner = RulesRunner(write(source), 5.0)
        outcome = await runner.run({}, CONTEXT)
        await runner.close()
        await runner.close()
        return [int(pid) for pid in outcome.reason.split()]

    for pid in asyncio.run(run()):
        wait_until_gone(pid)


@pytest.mark.parametrize(
    "doing", ["pass", "time.sleep(600)", "sum(range(10**15))"], ids=["idle", "asleep", "in C code"]
)
def test_the_worker_ends_when_our_process_is_killed(write, tmp_path, doing):
    path = write(
        f"""
        import os, time
        def rule(output, context):
            with open(output, "w") as file: file.write(str(os.getpid()))
            os.rename(output, output + ".pid")
            {doing}
        """
    )
    program = """
import asyncio, sys
from pathlib import Path
from headworks.screening import RulesRunner
async def run():
    runner = RulesRunner(Path(sys.argv[1]), 1.5)
    await runner.run(sys.argv[2], {})
    await asyncio.sleep(600)
asyncio.run(run())
"""
    note = tmp_path / "note"
    ours = subprocess.Popen([sys.executable, "-c", program, str(path), str(note)])
    try:
        until = time.monotonic() + 60
        while not note.with_name("note.pid").exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        worker = int(note.with_name("note.pid").read_text())
        assert is_running(worker)
    finally:
        ours.send_signal(signal.SIGKILL)
        ours.wait()

    wait_until_gone(worker)


def test_the_rules_of_a_file_are_its_own_public_functions_in_order(write):
    path = write(
        """
        import json
        from textwrap import dedent
        from dataclasses import dataclass

        @dataclass
        class Limit:
            most: int

        def second_in_the_alphabet(output, context): ...
        def _helper(output): ...
        def first_in_the_alphabet(output, context, most=Limit(3)): ...
        alias = second_in_the_alphabet
        NUMBER = 3
        """
    )

    assert check_rules(path) == ("second_in_the_alphabet", "first_in_the_alphabet")


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        ("def rule(output, context) return 1", 2, "is not Python"),
        ("\n\nraise RuntimeError('secret')", 4, "raised RuntimeError"),
        ("import headworks_nowhere", 2, "'headworks_nowhere'"),
        ("import sys\nsys.exit(1)", 3, "raised SystemExit"),
        ("import os\nos._exit(1)", 0, "ended the process"),
        ("LIMIT = 3", 0, "no rules"),
        ("\ndef rule(output): ...", 3, "(output, context)"),
        ("async def rule(output, context): ...", 2, "coroutine"),
        ("def rule(output, context): yield", 2, "coroutine"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_refused_with_its_line(write, source, line, said):
    path = write(source)

    with pytest.raises(ConfigError) as raised:
        check_rules(path)

    (problem,) = raised.value.problems
    assert (problem.file, problem.line) == (str(path), line)
    assert said in problem.message
    assert "secret" not in problem.message


def test_a_file_that_hangs_when_it_is_loaded_is_refused_in_time(write):
    with pytest.raises(ConfigError, match=r"was not loaded within 0\.5 s"):
        check_rules(write("while True: pass"), timeout_s=0.5)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        check_rules(tmp_path / "rules.py")


def test_a_runner_whose_file_has_gone_bad_blocks_and_starting_it_says_why(write):
    path = write("broken =")

    async def run():
        runner = RulesRunner(path, 5.0)
        with pytest.raises(ConfigError, match="is not Python"):
            await runner.start()
        outcome = await runner.run({}, CONTEXT)
        await runner.close()
        return outcome

    outcome = asyncio.run(run())
    assert (outcome.verdict, outcome.code) == ("block", "rules_failed")


def test_without_a_process_to_run_the_rules_in_nothing_passes(write, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    async def run():
        return await RulesRunner(write("def rule(output, context): ..."), 5.0).run({}, CONTEXT)

    outcome = asyncio.run(run())
    assert (outcome.verdict, outcome.code) == ("block", "rules_failed")
    assert "no process can be started" in outcome.reason


def test_starting_ahead_tells_the_rules(write):
    async def run():
        runner = RulesRunner(write("def rule(output, context): ..."), 5.0)
        try:
            return await runner.start()
        finally:
            await runner.close()

    assert asyncio.run(run()) == ("rule",)


def test_a_verdict_is_a_value():
    assert Verdict.block("no") == Verdict("block", "no")
