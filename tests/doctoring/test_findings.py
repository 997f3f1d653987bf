"""Checks are made at the same time, each within its time, and what one runs into does not keep others from ending."""

import asyncio

import pytest

from headworks.doctoring import Check, Verdict, run_checks
from headworks.doctoring.findings import in_thread, ok, problem
from headworks.errors import StorageError


def test_checks_run_side_by_side_and_come_back_in_their_order():
    async def run():
        gate = asyncio.Event()

        async def first():
            await gate.wait()
            return [ok("a", "waited for the second")]

        async def second():
            gate.set()
            return [problem("b", "bad", "mend it")]

        heard = []
        examined = await run_checks(
            [Check("first", first), Check("second", second)], done=lambda one: heard.append(one.name)
        )
        return heard, examined

    heard, examined = asyncio.run(run())
    assert heard == ["second", "first"]
    assert [one.name for one in examined] == ["first", "second"]
    assert [one.findings[0].verdict for one in examined] == [Verdict.OK, Verdict.PROBLEM]


def test_a_check_that_takes_too_long_or_cannot_be_made_is_a_problem_of_its_own():
    async def never():
        await asyncio.Event().wait()

    def broken():
        raise StorageError("/x cannot be read: see its mode")

    examined = asyncio.run(
        run_checks(
            [Check("slow", never, 0.01), Check("broken", in_thread(broken)), Check("good", in_thread(list))],
            done=lambda _: None,
        )
    )
    assert "not done within 0.01 s" in examined[0].findings[0].says
    assert examined[1].findings[0].says == "/x cannot be read: see its mode"
    assert examined[2].findings == ()


def test_a_bug_in_a_check_is_not_hidden():
    async def bug():
        raise KeyError("x")

    with pytest.raises(ExceptionGroup):
        asyncio.run(run_checks([Check("bug", bug)], done=lambda _: None))
