"""A long screening gives way to others after each slice, and of several one is at it in a turn of the loop."""

import asyncio
import itertools
import json

import pytest

from headworks.config.privacy import Privacy
from headworks.flow import Flow
from headworks.screening.privacy import PrivacyPolicy, Redactor, TokenBook
from headworks.screening.steps import drained
from headworks.slicing import Slices


def stepping(name, count, log):
    for _ in range(count):
        log.append(name)
        yield
    return name


def a_slice_a_step():
    """A clock by which every step takes a slice."""
    return Slices(now=itertools.count().__next__)


def test_what_is_over_within_a_slice_never_waits():
    log = []
    run = Slices(now=lambda: 0.0).of(stepping("a", 1000, log))

    with pytest.raises(StopIteration) as over:
        run.send(None)

    assert over.value.value == "a"
    assert len(log) == 1000


def test_others_have_their_turn_between_slices():
    async def scene():
        log = []

        async def other():
            for _ in range(60):
                log.append("other")
                await asyncio.sleep(0)

        await asyncio.gather(a_slice_a_step().of(stepping("long", 5, log)), other())
        return log

    log = asyncio.run(scene())

    assert log.count("long") == 5
    assert not any(one == two == "long" for one, two in itertools.pairwise(log))


def test_of_several_one_is_at_it_in_a_turn_and_each_comes_on():
    async def scene():
        slices, log = a_slice_a_step(), []

        async def turns():
            while True:
                log.append("|")
                await asyncio.sleep(0)

        watching = asyncio.create_task(turns())
        results = await asyncio.gather(*[slices.of(stepping(name, 6, log)) for name in "abc"])
        watching.cancel()
        return results, "".join(log)

    results, log = asyncio.run(scene())

    assert results == ["a", "b", "c"]
    _, first, *later = log.split("|")
    assert first == "abc", "nobody knows before that it will take long"
    assert all(len(turn) <= 1 for turn in later)
    assert log.rindex("a") < log.rindex("b") < log.rindex("c"), "who came first is done first"
    assert log.index("c", log.rindex("abc") + 3) < log.rindex("a"), "and does not keep the others waiting until then"


def test_what_goes_wrong_reaches_who_waits_and_the_next_has_its_turn():
    def failing():
        yield
        yield
        raise ValueError("no")

    async def scene():
        slices = a_slice_a_step()
        with pytest.raises(ValueError, match="no"):
            await slices.of(failing())
        return await slices.of(stepping("a", 3, []))

    assert asyncio.run(scene()) == "a"


def test_a_call_that_is_let_go_gives_its_turn_back():
    async def scene():
        slices, log = a_slice_a_step(), []
        gone = asyncio.create_task(slices.of(stepping("gone", 10_000, log)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        return await slices.of(stepping("a", 3, log)), log.count("gone")

    result, count = asyncio.run(scene())

    assert result == "a"
    assert count < 10


@pytest.mark.parametrize("turns", range(6))
def test_a_flow_that_is_let_go_at_any_moment_ends_once_and_the_others_come_to_their_end(turns):
    async def scene():
        loop, slices, ended, results = asyncio.get_running_loop(), a_slice_a_step(), [], []

        async def screened(name):
            results.append(await slices.of(stepping(name, 8, [])))

        flows = [Flow(screened(name), loop, ended.append) for name in "abc"]
        for flow in flows:
            flow.resume()
        for _ in range(turns):
            await asyncio.sleep(0)
        flows[1].cancel()
        while len(ended) < len(flows):
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        return flows, ended, results

    flows, ended, results = asyncio.run(scene())

    assert sorted(map(flows.index, ended)) == [0, 1, 2]
    assert results == ["a", "c"]


HOSTILE = {
    "cards": ("4111 1111 1111 1111 ", 20_000),
    "addresses": ("81.2.69.160 ", 20_000),
    "passwords": ("password=hunter2!x ", 20_000),
    "short texts": (None, 2_000),
}


@pytest.mark.parametrize("shape", HOSTILE)
def test_a_long_redaction_has_many_places_to_give_way_and_comes_to_the_same(shape):
    piece, size = HOSTILE[shape]
    content = ["ada@example.org"] * size if piece is None else [piece * (size // len(piece))]
    body = json.dumps({"messages": [{"role": "user", "content": text} for text in content]}).encode()
    redactor = Redactor(PrivacyPolicy.compile(Privacy()))
    whole = redactor.redact(body, TokenBook(b"t" * 32))
    log = []

    def counted():
        steps = redactor.steps(body, TokenBook(b"t" * 32))
        while True:
            try:
                next(steps)
            except StopIteration as over:
                return over.value
            log.append(1)
            yield

    assert drained(counted()) == whole
    assert len(log) > size / 100
