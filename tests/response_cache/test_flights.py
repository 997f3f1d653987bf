"""One flight for calls that come at once, whoever of them goes away."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from headworks.response_cache import CachedAnswer, Flights, Landed

ANSWER = CachedAnswer(0, 1, "m", "m", "stop", "", 0, {}, ())


async def fly(flights, key, lead, log):
    """A caller: leads, or waits for who does, as `cached_calls` does."""
    while True:
        flight, is_ours = flights.join(key)
        if not is_ours:
            landed = await flight.wait(asyncio.get_running_loop(), 60)
            if landed.how != "gone":
                return landed
            continue
        try:
            flight.land(await lead())
            log.append("led")
            return flight.landed
        finally:
            flights.end(key, flight)


@given(st.lists(st.booleans(), min_size=1, max_size=6))
def test_whoever_goes_away_the_rest_get_an_answer_by_one_call(goes_away):
    async def dialogue():
        flights, log, answered = Flights(), [], asyncio.Event()

        async def lead():
            await answered.wait()
            return Landed("good", ANSWER)

        tasks = [asyncio.ensure_future(fly(flights, b"k", lead, log)) for _ in goes_away]
        for task, is_gone in zip(tasks, goes_away, strict=True):
            await asyncio.sleep(0)
            if is_gone:
                task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        answered.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for result, is_gone in zip(results, goes_away, strict=True):
            assert isinstance(result, asyncio.CancelledError) if is_gone else result.answer is ANSWER
        assert len(log) == (0 if all(goes_away) else 1)
        assert len(flights) == 0

    asyncio.run(dialogue())


def test_who_waits_too_long_goes_alone_and_leaves_nothing_behind():
    async def dialogue():
        flights = Flights()
        flight, is_ours = flights.join(b"k")
        landed = await flight.wait(asyncio.get_running_loop(), 0)
        assert (is_ours, landed.how, flight.waiting) == (True, "late", 0)
        flight.land(Landed("none"))
        flight.land(Landed("good", ANSWER))
        assert (await flight.wait(asyncio.get_running_loop(), 60)).how == "none"

    asyncio.run(dialogue())
