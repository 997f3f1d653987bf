"""What a streamed answer's sink waits for."""

import pytest

from headworks.calls import Failure, FailureKind
from headworks.routing import StreamSink
from headworks.routing.attempt import LONGEST_HOLD_S, MOST_HELD

EVENTS = {b"content-type": b"text/event-stream"}


class Passing:
    """Steps in which `text` is content and `end` the end."""

    def __init__(self):
        self.has_content = False
        self.is_complete = False

    def feed(self, data):
        self.has_content = self.has_content or b"text" in data
        self.is_complete = data == b"end"
        return data


class Timer:
    def __init__(self, delay, callback):
        self.delay = delay
        self.ring = callback
        self.is_cancelled = False

    def cancel(self):
        self.is_cancelled = True


@pytest.fixture
def timers():
    return []


@pytest.fixture
def sink(timers):
    made = StreamSink(Passing(), lambda delay, callback: timers.append(Timer(delay, callback)) or timers[-1])
    made.on_head(200, EVENTS)
    return made


def test_the_opening_waits_for_content(sink, timers):
    sink.on_body(b"hello ")
    assert not sink.started.is_set
    sink.on_body(b"text")

    assert sink.started.value is None
    assert sink.take() == b"hello text"
    assert [timer.is_cancelled for timer in timers] == [True]


def test_content_that_comes_at_once_needs_no_timer(sink, timers):
    sink.on_body(b"text")

    assert sink.started.is_set
    assert timers == []


def test_an_opening_is_passed_on_when_nothing_follows_for_long(sink, timers):
    sink.on_body(b"hello ")
    (timer,) = timers
    assert timer.delay == LONGEST_HOLD_S
    timer.ring()

    assert sink.started.value is None
    assert sink.take() == b"hello "


def test_an_opening_of_many_pieces_does_not_grow_without_bound(sink):
    for _ in range(MOST_HELD - 1):
        sink.on_body(b".")
    assert not sink.started.is_set
    sink.on_body(b".")

    assert sink.started.is_set


def test_what_breaks_behind_its_opening_has_not_begun(sink, timers):
    sink.on_body(b"hello ")
    failure = Failure(FailureKind.BROKEN, "reset")
    sink.on_failure(failure)

    assert sink.started.value == failure
    assert timers[0].is_cancelled


def test_a_stream_that_ends_without_content_begins_with_its_end(sink, timers):
    sink.on_body(b"hello ")
    sink.on_body(b"end")

    assert (sink.started.value, sink.ended.value) == (None, None)
    assert (sink.take(), sink.last) == (b"hello ", b"end")
    assert timers[0].is_cancelled
