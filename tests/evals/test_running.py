import asyncio
import gc
import json
import signal
import subprocess
import sys
import threading
import tracemalloc
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from headworks.errors import CommandError, HeadworksError, StorageError
from headworks.evals.answer_cache import AnswerCache
from headworks.evals.append_log import AppendLog
from headworks.evals.plain_intervals import PlainIntervals
from headworks.evals.reporting import make_report
from headworks.evals.running import Limits, Runner
from headworks.evals.runs import CallError, Reply, RunFolder, find_run, list_runs, prompts_tried
from headworks.evals.scorers import Combined, ScoringFailed, Weighted
from headworks.evals.scorers.exact import Exact

from .conftest import LABEL, Model, numbered, reply


def test_every_case_is_asked_of_every_arm_as_often_as_it_is_to_be(bench):
    model = Model()
    with bench.create(numbered(5), arms=("nano", "mini"), repeats=3) as folder:
        assert bench.run(folder, model) == "complete"
        assert set(bench.verdicts(folder).values()) == {"right"}
        assert len(bench.verdicts(folder)) == folder.units == len(model.asked) == 30
    assert sorted(model.asked) == sorted(
        (arm, f"case-{n}") for arm in ("nano", "mini") for n in range(5) for _ in "abc"
    )


def test_the_order_is_the_seeds_and_all_arms_of_a_case_are_neighbours(bench, tmp_path):
    with bench.create(numbered(20), arms=("a", "b"), seed=7) as folder:
        order = [(unit.arm, folder.cases[unit.case].id) for unit in folder.in_order()]
    with bench.create(list(reversed(numbered(20))), arms=("a", "b"), seed=7, run="20261125-120000-0002") as folder:
        again = [(unit.arm, folder.cases[unit.case].id) for unit in folder.in_order()]
    with bench.create(numbered(20), arms=("a", "b"), seed=8, run="20261125-120000-0003") as folder:
        other = [(unit.arm, folder.cases[unit.case].id) for unit in folder.in_order()]

    assert order == again != other
    assert [arm for arm, _ in order] == [0, 1] * 20
    assert [name for _, name in order[::2]] == [name for _, name in order[1::2]]


def test_no_more_is_under_way_at_once_than_is_allowed(bench):
    model = Model()
    with bench.create(numbered(30)) as folder:
        bench.run(folder, model, concurrency=4)
    assert model.most_under_way == 4


def test_what_is_no_answer_counts_as_wrong_and_what_says_nothing_of_the_model_as_invalid(bench):
    def says(arm, case):
        return {
            "case-0": "another answer",
            "case-1": Reply(error=CallError("output_invalid", "breaks the schema"), cost_pico_usd=5),
            "case-2": Reply(error=CallError("upstream_rate_limited", is_infrastructure=True)),
            "case-3": HeadworksError("the gateway is closed"),
            "case-4": "answer 4",
        }[case.id]

    model = Model(says)
    with bench.create(numbered(5)) as folder:
        assert bench.run(folder, model, attempts=3, concurrency=1) == "complete"
        assert {name: verdict for (_, name, _), verdict in bench.verdicts(folder).items()} == {
            "case-0": "wrong",
            "case-1": "wrong",
            "case-2": "invalid",
            "case-3": "invalid",
            "case-4": "right",
        }
    assert len(model.asked) == 3 + 2 * 3
    assert sorted(bench.waited) == [0.5, 0.5, 1.0, 1.0]


def test_a_provider_is_waited_for_as_long_as_it_says(bench):
    replies = [
        Reply(error=CallError("upstream_rate_limited", is_infrastructure=True, retry_after_s=7)),
        reply("answer 0"),
    ]
    with bench.create(numbered(1)) as folder:
        bench.run(folder, Model(lambda arm, case: replies.pop(0)))
        (result,) = folder.results()
    assert bench.waited == [7]
    assert (result.verdict, result.answered.attempts) == ("right", 2)


def test_who_is_told_to_come_back_later_is_waited_for_and_not_forever(bench):
    """A narrow limit and eight questions at once: each waits many turns, and none is invalid for it."""

    def says(arm, case):
        count = sum(name == case.id for _, name in model.asked)
        if case.id == "case-0" and count > 9:
            return "answer 0"
        retry_after_s = {"case-0": 20.0, "case-1": 100.0, "case-2": 80_000.0}[case.id]
        return Reply(error=CallError("rate_limit_exceeded", is_infrastructure=True, retry_after_s=retry_after_s))

    model = Model(says)
    with bench.create(numbered(3)) as folder:
        bench.run(folder, model, attempts=4)
        verdicts = {case: verdict for (_, case, _), verdict in bench.verdicts(folder).items()}

    assert verdicts == {"case-0": "right", "case-1": "invalid", "case-2": "invalid"}
    asked = [name for _, name in model.asked]
    assert [asked.count(f"case-{n}") for n in range(3)] == [10, 10, 1]
    assert max(bench.waited) == 30.0


def test_a_case_that_takes_too_long_is_wrong_and_holds_nothing_up(bench):
    async def never():
        await asyncio.Event().wait()

    with bench.create(numbered(3)) as folder:
        model = Model(lambda arm, case: never() if case.id == "case-1" else f"answer {case.id[-1]}")
        assert bench.run(folder, model, timeout_s=0.05) == "complete"
        results = {one.case.id: one for one in folder.results()}
    assert results["case-1"].verdict == "wrong"
    assert results["case-1"].answered.reply.error.code == "timeout"
    assert results["case-2"].verdict == "right"


def test_a_mistake_in_our_own_code_ends_the_run_and_loses_nothing(bench):
    with bench.create(numbered(5)) as folder:
        model = Model(lambda arm, case: ZeroDivisionError() if case.id == "case-3" else f"answer {case.id[-1]}")
        with pytest.raises(ZeroDivisionError):
            bench.run(folder, model, concurrency=1)
    with bench.open() as folder:
        model = Model()
        assert bench.run(folder, model) == "complete"
        assert len(bench.verdicts(folder)) == 5
    assert len(model.asked) < 5


class Failing:
    name, identity, may_gate = "failing", {"scorer": "failing"}, True

    async def score(self, case, answer):
        raise ScoringFailed("the judge sleeps")

    async def close(self): ...


def test_an_answer_that_could_not_be_scored_is_invalid_and_scored_again_without_asking(bench):
    model = Model()
    with bench.create(numbered(3)) as folder:
        bench.run(folder, model, scorer=Failing())
        assert set(bench.verdicts(folder).values()) == {"invalid"}
        assert folder.scored(next(folder.in_order())).failed == "the judge sleeps"
    with bench.open() as folder:
        bench.run(folder, model)
        assert set(bench.verdicts(folder).values()) == {"right"}
    assert len(model.asked) == 3


def test_scoring_that_never_ends_is_invalid(bench):
    class Endless(Failing):
        async def score(self, case, answer):
            await asyncio.Event().wait()

    with bench.create(numbered(1)) as folder:
        bench.run(folder, Model(), scorer=Endless(), timeout_s=0.05)
        assert set(bench.verdicts(folder).values()) == {"invalid"}


# -- going on ---------------------------------------------------------------------------------------------------------


def test_a_run_goes_on_where_it_was_stopped(bench):
    with bench.create(numbered(20)) as folder:
        holder = []

        def says(arm, case):
            if len(model.asked) == 7:
                holder[0].stop()
            return f"answer {case.id.removeprefix('case-')}"

        model = Model(says)

        async def do():
            holder.append(Runner(folder, LABEL, model, Limits(concurrency=1)))
            return await holder[0].run()

        assert asyncio.run(do()) == "stopped"
        assert len(model.asked) == 7
    with bench.open() as folder:
        assert bench.run(folder, model) == "complete"
    assert sorted(model.asked) == sorted(("nano", f"case-{n}") for n in range(20))


def test_what_was_invalid_is_asked_again_by_whoever_goes_on(bench):
    with bench.create(numbered(2)) as folder:
        bench.run(folder, Model(lambda arm, case: Reply(error=CallError("x", is_infrastructure=True))), attempts=1)
        assert set(bench.verdicts(folder).values()) == {"invalid"}
    with bench.open() as folder:
        bench.run(folder, Model())
        assert set(bench.verdicts(folder).values()) == {"right"}
    with bench.open() as folder:
        assert set(bench.verdicts(folder).values()) == {"right"}


def test_a_line_that_was_not_written_whole_is_asked_again(bench):
    model = Model()
    with bench.create(numbered(3)) as folder:
        bench.run(folder, model, concurrency=1)
        path = folder.path / "log.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    with bench.open() as folder:
        assert folder.lost == 1
        bench.run(folder, model)
        assert set(bench.verdicts(folder).values()) == {"right"}
    assert len(model.asked) == 4


def test_a_damaged_log_and_other_cases_are_refused(bench):
    with bench.create(numbered(3)) as folder:
        bench.run(folder, Model())
        path = folder.path
    content = (path / "log.jsonl").read_bytes()
    (path / "log.jsonl").write_bytes(b"{}\n" + content)
    with pytest.raises(StorageError, match="damaged at byte 0"):
        bench.open()
    (path / "log.jsonl").write_bytes(content)
    (path / "golden.jsonl").write_bytes(b'{"id": "x"}\n')
    with pytest.raises(StorageError, match="not what the run was made with"):
        bench.open()


def test_two_processes_cannot_write_one_run(bench):
    with bench.create(numbered(1)) as folder:
        with pytest.raises(CommandError, match="under way in another process"):
            bench.open()
        RunFolder.open(folder.path).close()
    bench.open().close()


def test_what_was_answered_before_is_not_paid_for_again_but_each_repeat_is_asked(bench, tmp_path):
    cache, model = AnswerCache(tmp_path / "cache"), Model()
    with bench.create(numbered(4), repeats=2) as folder:
        bench.run(folder, model, cache=cache)
        assert len(model.asked) == 8
        assert folder.spent_pico_usd == 8_000_000
    changed = [{**case, "expected": "other", "id": f"new-{case['id']}"} for case in numbered(4)]
    with bench.create(changed, repeats=3, run="20261125-130000-abcd") as folder:
        bench.run(folder, model, cache=cache)
        assert folder.spent_pico_usd == 4_000_000  # the third repeat of each
        assert sum(one.answered.is_cached for one in folder.results()) == 8
    with bench.create(numbered(4), arms=("other",), run="20261125-140000-abcd") as folder:
        bench.run(folder, Model(), cache=cache)
        assert not any(one.answered.is_cached for one in folder.results())
    cache.close()


def test_a_timeout_is_not_remembered_as_the_models_answer(bench, tmp_path):
    cache = AnswerCache(tmp_path / "cache")

    async def never():
        await asyncio.Event().wait()

    with bench.create(numbered(1)) as folder:
        bench.run(folder, Model(lambda arm, case: never()), cache=cache, timeout_s=0.02)
    with bench.create(numbered(1), run="20261125-130000-abcd") as folder:
        bench.run(folder, Model(), cache=cache)
        assert set(bench.verdicts(folder).values()) == {"right"}
    cache.close()


def test_nor_is_that_the_contracts_time_was_over(bench, tmp_path):
    cache = AnswerCache(tmp_path / "cache")
    late = Reply(error=CallError("upstream_timeout"), latency_ms=400.0)
    with bench.create(numbered(1)) as folder:
        bench.run(folder, Model(lambda arm, case: late), cache=cache)
        assert set(bench.verdicts(folder).values()) == {"wrong"}
    with bench.create(numbered(1), run="20261125-130000-abcd") as folder:
        bench.run(folder, Model(), cache=cache)
        assert set(bench.verdicts(folder).values()) == {"right"}
    cache.close()


def test_other_scorers_score_the_same_answers_and_ask_no_model(bench):
    with bench.create(numbered(3)) as folder:
        bench.run(folder, Model(lambda arm, case: f"Answer {case.id[-1]}."))
        assert set(bench.verdicts(folder).values()) == {"right"}
    exact = Combined([Weighted(Exact(), "exact")])
    from headworks.evals.scorers import scorer_hash

    with bench.open(scorer_hash=scorer_hash(exact)) as folder:
        bench.run(folder, None, scorer=exact)
        assert set(bench.verdicts(folder).values()) == {"wrong"}
    with bench.open() as folder:
        assert set(bench.verdicts(folder).values()) == {"right"}


# -- money ------------------------------------------------------------------------------------------------------------


def test_a_run_stops_before_its_cap_and_goes_on_when_the_cap_is_raised(bench):
    model = Model(lambda arm, case: reply(f"answer {case.id.removeprefix('case-')}", cost_pico_usd=10**9))
    with bench.create(numbered(50)) as folder:
        assert bench.run(folder, model, cap_usd=Decimal("0.0205"), concurrency=8) == "capped"
        assert folder.spent_pico_usd == 20 * 10**9
    with bench.open() as folder:
        assert bench.run(folder, model, cap_usd=Decimal("0.0205")) == "capped"
        assert len(model.asked) == 20
        assert bench.run(folder, model, cap_usd=Decimal(1)) == "complete"
    assert len(model.asked) == 50


def test_a_cap_is_kept_whatever_single_questions_cost_within_the_dearest(bench):
    model = Model(lambda arm, case: reply("x", cost_pico_usd=(3 - int(case.id.removeprefix("case-")) % 3) * 10**9))
    with bench.create(numbered(60)) as folder:
        assert bench.run(folder, model, cap_usd=Decimal("0.05"), concurrency=8) == "capped"
        assert 45 * 10**9 <= folder.spent_pico_usd <= 50 * 10**9


def test_a_cap_without_a_price_is_refused_after_the_first_answer(bench):
    model = Model(lambda arm, case: reply("x", cost_pico_usd=None))
    with bench.create(numbered(10)) as folder, pytest.raises(CommandError, match="no price is known"):
        bench.run(folder, model, cap_usd=Decimal(1))
    assert len(model.asked) == 1


def test_progress_is_told_after_each_question(bench):
    told = []
    with bench.create(numbered(3), arms=("a", "b")) as folder:
        bench.run(folder, Model(), on_progress=told.append, concurrency=1)
    assert [one.done for one in told] == [1, 2, 3, 4, 5, 6]
    assert (told[-1].right, told[-1].decided, told[-1].spent_pico_usd) == ((3, 3), (3, 3), 6_000_000)


# -- finding ----------------------------------------------------------------------------------------------------------


def test_runs_are_found_by_the_beginning_of_their_id(bench):
    for run in ("20261125-120000-aaaa", "20261125-130000-bbbb"):
        bench.create(numbered(1), run=run).close()

    assert [path.name for path in list_runs(bench.folder)] == ["20261125-130000-bbbb", "20261125-120000-aaaa"]
    assert find_run(bench.folder, "last").name == "20261125-130000-bbbb"
    assert find_run(bench.folder, "20261125-12").name == "20261125-120000-aaaa"
    with pytest.raises(CommandError, match="2 eval runs begin"):
        find_run(bench.folder, "2026")
    with pytest.raises(CommandError, match="no eval run begins"):
        find_run(bench.folder, "x")


def test_the_prompts_that_were_tried_on_a_set_are_counted(bench):
    def run(number, prompt, cases=3):
        run = f"20261125-12000{number}-abcd"
        with bench.create(numbered(cases), run=run) as folder:
            arm = msgspec.structs.replace(folder.manifest.arms[0], prompt_hash=prompt)
            manifest = msgspec.structs.replace(folder.manifest, arms=(arm,))
            (folder.path / "run.json").write_bytes(msgspec.json.encode(manifest))
            return manifest.golden_hash

    golden, *_ = (run(number, prompt) for number, prompt in enumerate(("one", "two", "two")))
    run(3, "three", cases=4)
    assert prompts_tried(bench.folder, "triage", golden) == 2
    assert prompts_tried(bench.folder, "other", golden) == 0


def test_what_is_kept_is_for_its_owner_alone(bench):
    with bench.create(numbered(1)) as folder:
        bench.run(folder, Model())
        assert folder.path.stat().st_mode & 0o777 == 0o700
        assert all(file.stat().st_mode & 0o077 == 0 for file in folder.path.iterdir())


# -- size and kills ---------------------------------------------------------------------------------------------------

LONG = pytest.mark.long


@pytest.mark.parametrize("count", [600, pytest.param(10_000, marks=LONG)])
def test_many_cases_run_in_bounded_memory(bench, count):
    """Cases and answers have four kilobytes each. What is held does not grow with them, but for 16 bytes of each: it
    was 0.17 MB of both 600 and 10,000."""
    long = "x" * 2000
    cases = ({"id": f"case-{n}", "input": f"{n} {long}", "expected": "yes"} for n in range(count))
    folder = bench.create(cases)
    model = Model(lambda arm, case: "yes " + "y" * 2000)
    model.asked = _Forgetful()
    tracemalloc.start()
    try:
        with folder:
            assert bench.run(folder, model, concurrency=16) == "complete"
            assert sum(1 for _ in folder.results()) == count
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


class _Forgetful(list):
    def append(self, item):
        pass


KILLED = """
import asyncio, os, sys
sys.path.insert(0, {tests!r})
import importlib.util
spec = importlib.util.spec_from_file_location("bench", {conftest!r})
bench = importlib.util.module_from_spec(spec); spec.loader.exec_module(bench)
from pathlib import Path
from headworks.evals.running import Limits, Runner
from headworks.evals.runs import RunFolder

ledger = os.open({ledger!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
left = int(sys.argv[1])

def says(arm, case):
    global left
    os.write(ledger, case.id.encode() + b"\\n")
    left -= 1
    if left == 0:
        os.kill(os.getpid(), 9)
    return "answer " + case.id.removeprefix("case-")

async def main():
    with RunFolder.open(Path({run!r}), is_writing=True) as folder:
        print("lost", folder.lost, flush=True)
        print(await Runner(folder, bench.LABEL, bench.Model(says), Limits(concurrency=8)).run(), flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("count", "killed_after"), [(400, (50, 120, 170)), pytest.param(10_000, (500, 3000, 4000), marks=LONG)]
)
def test_a_run_that_is_killed_again_and_again_pays_for_nothing_twice(bench, tmp_path, count, killed_after):
    """By SIGKILL, each time in the middle of a question with others under way."""
    with bench.create(numbered(count)) as folder:
        run = folder.path
    ledger = tmp_path / "ledger"
    here = Path(__file__).parent
    script = KILLED.format(tests=str(here), conftest=str(here / "conftest.py"), ledger=str(ledger), run=str(run))
    lost = 0
    for questions in (*killed_after, 0):
        process = subprocess.run(
            [sys.executable, "-c", script, str(questions)], stdout=subprocess.PIPE, text=True, timeout=120, check=False
        )
        assert process.returncode == (-signal.SIGKILL if questions else 0)
        lost += int(process.stdout.split()[1])
    assert process.stdout.split()[2] == "complete"
    asked = ledger.read_text().splitlines()
    assert len(set(asked)) == count
    # What was under way when the process died is asked again, and the log knows how much that was.
    assert len(asked) - count <= lost <= 3 * 8
    with RunFolder.open(run) as folder:
        assert sum(one.verdict == "right" for one in folder.results()) == count


def test_the_log_is_json_lines_that_anybody_can_read(bench):
    with bench.create(numbered(1)) as folder:
        bench.run(folder, Model())
        lines = [json.loads(line) for line in (folder.path / "log.jsonl").read_text().splitlines()]
    assert [line["t"] for line in lines] == ["asked", "answered"]
    assert lines[1]["case_id"] == "case-0"
    assert lines[1]["reply"]["answer"]["text"] == "answer 0"
    assert msgspec.json.decode((folder.path / "run.json").read_bytes())["workload"] == "triage"


def test_what_two_arms_ask_alike_is_asked_once(bench, tmp_path):
    model = Model()
    cache = AnswerCache(tmp_path / "cache")
    with bench.create(numbered(10), arms=("old", "new")) as folder:

        async def do():
            runner = Runner(
                folder,
                LABEL,
                model,
                Limits(concurrency=8),
                cache=cache,
                request_hash=lambda arm, case: f"{arm.name if case.id == 'case-3' else ''}",
            )
            return await runner.run()

        assert asyncio.run(do()) == "complete"
        assert sum(one.answered.is_cached for one in folder.results()) == 9
    assert len(model.asked) == 11
    cache.close()


def test_a_fresh_cache_gives_out_nothing_old_and_puts_what_is_new_in_its_place(tmp_path):
    kept = AnswerCache(tmp_path)
    kept.put(b"key", reply("old"))
    fresh = AnswerCache(tmp_path, is_fresh=True)
    assert fresh.get(b"key") is None

    fresh.put(b"key", reply("new"))
    assert fresh.get(b"key").answer.text == kept.get(b"key").answer.text == "new"
    fresh.close()
    kept.close()


def test_a_run_of_a_part_of_the_set_asks_only_that_and_goes_on_after_a_stop(bench):
    cases = [*numbered(4), *({**case, "id": f"t-{n}", "split": "test"} for n, case in enumerate(numbered(3)))]
    model = Model(lambda arm, case: "no")
    with bench.create(cases, split="test", asked=3, repeats=2) as folder:
        assert folder.units == 6
        assert bench.run(folder, model) == "complete"
    with bench.open() as folder:
        report = make_report(folder, PlainIntervals())
        assert {case for _, case, _ in bench.verdicts(folder)} == {"t-0", "t-1", "t-2"}
        assert bench.run(folder, model) == "complete"

    assert len(model.asked) == 6
    assert report.is_complete
    assert (report.arms[0].cases, report.failing_count) == (3, 3)


def test_looks_at_another_part_do_not_wear_out_what_decides(bench):
    cases = [*numbered(2), {"id": "t", "input": "?", "split": "test"}]
    with bench.create(cases, split="dev", asked=2) as folder:
        digest = folder.manifest.golden_hash

    assert prompts_tried(bench.folder, "triage", digest, "test") == 0
    assert prompts_tried(bench.folder, "triage", digest, "dev") == 1


def test_a_log_that_is_closed_while_the_disk_is_waited_for_leaves_nothing_untold(tmp_path, monkeypatch):
    """Who waited was cancelled: Python would print what came of it on standard error."""
    released, told = threading.Event(), []

    def fsync(descriptor):
        released.wait(10)
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr("headworks.evals.append_log.os.fsync", fsync)

    async def run():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["message"]))
        log = AppendLog(tmp_path / "log", is_writing=True)
        log.append(b"{}")
        waiting = asyncio.ensure_future(log.synced())
        await asyncio.sleep(0)
        syncing = log._syncing
        waiting.cancel()
        log.close()
        released.set()
        await asyncio.wait([waiting, syncing])
        del waiting, syncing, log
        gc.collect()

    asyncio.run(run())
    assert told == []
