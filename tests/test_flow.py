"""Coroutines that go on inside the event that they waited for."""

import asyncio

import pytest

from headworks.flow import Flow, Signal, any_of


@pytest.fixture
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def start(loop, coroutine):
    ended = []
    flow = Flow(coroutine, loop, ended.append)
    flow.resume()
    return flow, ended


def test_it_goes_on_before_set_returns(loop):
    signal, seen = Signal(), []

    async def work():
        seen.append(await signal)

    flow, ended = start(loop, work())
    assert not ended
    signal.set("value")

    assert seen == ["value"]
    assert ended == [flow]


def test_a_signal_that_is_set_already_does_not_make_it_wait(loop):
    signal = Signal()
    signal.set(1)
    seen = []

    async def work():
        seen.append(await signal)

    _, ended = start(loop, work())

    assert seen == [1]
    assert len(ended) == 1


def test_a_signal_is_set_once():
    signal = Signal()
    signal.set(1)
    with pytest.raises(AssertionError):
        signal.set(2)


def test_cancelling_raises_where_it_waits_and_a_late_signal_is_not_heard(loop):
    signal, seen = Signal(), []

    async def work():
        try:
            await signal
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    flow, ended = start(loop, work())
    flow.cancel()
    flow.cancel()
    signal.set("too late")

    assert seen == ["cancelled"]
    assert ended == [flow]


def test_cancelled_from_inside_it_hears_of_it_at_its_next_wait(loop):
    first, second, seen = Signal(), Signal(), []

    async def work():
        await first
        flows[0].cancel()
        seen.append("went on")
        await second
        seen.append("never")

    flow = Flow(work(), loop, seen.append)
    flows = [flow]
    flow.resume()
    first.set(None)

    assert seen == ["went on", flow]


def test_futures_of_the_loop_can_be_awaited_too_and_are_cancelled_with_it(loop):
    future, other, seen = loop.create_future(), loop.create_future(), []

    async def work():
        seen.append(await future)
        await other

    flow, ended = start(loop, work())
    loop.call_soon(future.set_result, "done")
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(asyncio.sleep(0))
    assert seen == ["done"]
    flow.cancel()

    assert other.cancelled()
    assert ended == [flow]


def test_what_escapes_it_is_reported_to_the_loop(loop):
    reported = []
    loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))

    async def work():
        raise LookupError("escaped")

    flow, ended = start(loop, work())

    assert [str(error) for error in reported] == ["escaped"]
    assert ended == [flow]


def test_cancelled_while_it_gives_the_loop_a_turn_it_goes_no_further(loop):
    seen = []

    async def work():
        await asyncio.sleep(0)
        seen.append("never")

    flow, ended = start(loop, work())
    flow.cancel()
    loop.run_until_complete(asyncio.sleep(0))

    assert seen == []
    assert ended == [flow]


def test_one_of_several_signals_is_enough_and_the_others_can_be_waited_for_afterwards(loop):
    one, other, seen = Signal(), Signal(), []

    async def work():
        await any_of(one, other)
        seen.append((one.is_set, other.is_set))
        seen.append(await one)

    _, ended = start(loop, work())
    other.set("b")
    assert seen == [(False, True)]
    one.set("a")

    assert seen[1:] == ["a"]
    assert len(ended) == 1


def test_one_that_has_happened_already_is_not_waited_for(loop):
    one, other = Signal(), Signal()
    one.set(1)

    _, ended = start(loop, any_of(one, other))

    assert len(ended) == 1


def test_who_is_cancelled_while_it_waits_for_several_is_told_by_none(loop):
    one, other = Signal(), Signal()

    flow, ended = start(loop, any_of(one, other))
    flow.cancel()
    assert len(ended) == 1
    one.set(1)
    other.set(2)


def test_one_that_is_cancelled_as_its_future_is_done_ends_once(loop):
    faults = []
    loop.set_exception_handler(lambda _, context: faults.append(context))
    future = loop.create_future()

    async def waits():
        await future

    flow, ended = start(loop, waits())
    future.set_result(None)  # its callback is on its way
    flow.cancel()
    loop.run_until_complete(asyncio.sleep(0))

    assert ended == [flow]
    assert faults == []
