"""A request's body on its way through."""

from hypothesis import given
from hypothesis import strategies as st

from headworks.body import HIGH_WATER_BYTES, BodyStream
from headworks.errors import Refusal


class Ends:
    """Both ends of a body, played."""

    def __init__(self, length=None):
        self.body = BodyStream()
        self.written = []
        self.ended = []
        self.asked = []
        self.body.bind(length, lambda: self.asked.append("pause"), lambda: self.asked.append("resume"))

    def attach(self):
        self.body.attach(self.written.append, self.ended.append)


@given(st.lists(st.one_of(st.binary(max_size=9), st.sampled_from(["pause", "resume", "attach"])), max_size=30))
def test_whatever_waits_when_all_bytes_arrive_once_and_in_order(steps):
    ends, sent, is_attached = Ends(), b"", False
    for step in steps:
        if isinstance(step, bytes):
            ends.body.feed(step)
            sent += step
        elif step == "attach":
            if not is_attached:
                is_attached = True
                ends.attach()
        else:
            getattr(ends.body, step)()
    ends.body.end()
    if not is_attached:
        ends.attach()
    ends.body.resume()

    assert b"".join(ends.written) == sent
    assert ends.ended == [None]
    assert ends.body.held == 0
    assert ends.body.taken == len(sent)


def test_the_client_waits_while_too_much_is_held_and_goes_on_when_it_is_gone():
    ends = Ends()
    ends.body.feed(b"x" * HIGH_WATER_BYTES)
    ends.body.feed(b"y")
    assert ends.asked == ["pause"]

    ends.attach()

    assert ends.asked == ["pause", "resume"]


def test_who_is_told_that_the_rest_will_not_come_hears_of_no_end():
    ends, refusal = Ends(), Refusal(408, "request_timeout", "Too late.")
    ends.body.feed(b"x")
    ends.body.fail(refusal)
    ends.body.end()

    ends.attach()

    assert ends.ended == [refusal]
    assert ends.written == []
    assert ends.body.failure is refusal


def test_an_abandoned_body_is_read_on_and_dropped():
    ends = Ends()
    ends.body.feed(b"x" * HIGH_WATER_BYTES)
    ends.body.abandon()
    ends.body.feed(b"y" * HIGH_WATER_BYTES)
    ends.body.end()

    assert ends.asked == ["pause", "resume"]
    assert (ends.body.held, ends.written, ends.ended) == (0, [], [])


def test_the_tap_sees_each_piece_on_its_way():
    ends, seen = Ends(), []
    ends.body.tap = seen.append
    ends.body.feed(b"a")
    ends.attach()
    ends.body.feed(b"b")

    assert seen == ends.written == [b"a", b"b"]
