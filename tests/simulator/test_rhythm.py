import math
import statistics

import pytest

from headworks.simulator.plan import Latency, LogNormal
from headworks.simulator.rhythm import AT_ONCE, drawn

LATENCY = Latency(LogNormal(400, 0.3), LogNormal(10, 0.25))


def test_first_tokens_are_log_normal_around_the_planned_median():
    logs = [math.log(drawn(LATENCY, 1, b"%d" % seed).first_token_s) for seed in range(2000)]
    assert math.exp(statistics.median(logs)) == pytest.approx(0.4, rel=0.05)
    assert statistics.stdev(logs) == pytest.approx(0.3, rel=0.1)


def test_the_pace_scales_every_delay():
    normal, slow = drawn(LATENCY, 1, b"seed"), drawn(LATENCY, 3, b"seed")
    assert slow.first_token_s == pytest.approx(3 * normal.first_token_s)
    assert slow.total_s(50) == pytest.approx(3 * normal.total_s(50))


def test_without_pace_there_are_no_delays():
    assert drawn(LATENCY, 0, b"seed") is AT_ONCE
    assert AT_ONCE.total_s(1000) == 0


def test_every_walk_over_the_delays_is_the_same():
    rhythm = drawn(LATENCY, 1, b"seed")
    first, second = rhythm.delays(), rhythm.delays()
    assert [next(first) for _ in range(20)] == [next(second) for _ in range(20)]


def test_a_plain_answer_takes_as_long_as_the_same_answer_streamed(desk_with):
    desk = desk_with(pace=1)
    body = {"model": "gpt-6-luna", "input": "Hi there"}
    plain = desk.ask("POST", "/v1/responses", body)
    streamed = desk.ask("POST", "/v1/responses", {**body, "stream": True})
    beats = list(streamed.beats)
    first = next(index for index, beat in enumerate(beats) if beat.is_content)
    before = streamed.head_delay_s + sum(beat.delay_s for beat in beats[:first])
    assert 0 < streamed.head_delay_s < before < 2
    assert streamed.head_delay_s + sum(beat.delay_s for beat in beats) == pytest.approx(plain.head_delay_s, rel=0.5)


def test_equal_requests_take_equally_long_and_others_do_not(desk_with):
    desk = desk_with(pace=1)
    delays = [
        desk.ask("POST", "/v1/responses", {"model": "gpt-6-luna", "input": text}).head_delay_s
        for text in ("a", "a", "b")
    ]
    assert delays[0] == delays[1] != delays[2]
    assert delays[0] > 0
