"""Time grows with what came and no faster, however small the pieces are in which a hostile side sends it."""

import time

import pytest

from headworks.dialects.anthropic_relay import MessagesTail
from headworks.dialects.gemini_relay import GeminiTail
from headworks.dialects.tails import ChatTail, ResponsesTail

ENDLESS = b"x" * 1024
LINES = b": comment\n" * 100
HALF_LINE_ENDS = b"\r" * 1024

MEGABYTES = 16
ENOUGH_S = 2.5
"""Seconds for 16 MB; a reader of each piece takes a sixth of a second, one that copies what it holds takes four."""


@pytest.mark.parametrize(
    ("make", "piece"),
    [
        (ChatTail, ENDLESS),
        (ResponsesTail, ENDLESS),
        (MessagesTail, ENDLESS),
        (GeminiTail, ENDLESS),
        (ChatTail, LINES),
    ],
)
def test_an_event_without_an_end_is_read_in_the_time_of_its_length(make, piece):
    tail = make()
    began_s = time.process_time()

    for _ in range(MEGABYTES * 1024):
        tail.feed(piece)
        assert time.process_time() - began_s < ENOUGH_S


def test_a_flood_of_line_ends_is_read_in_the_time_of_its_length():
    tail = ChatTail()
    began_s = time.process_time()

    for _ in range(1024):
        tail.feed(HALF_LINE_ENDS)

    assert time.process_time() - began_s < ENOUGH_S
