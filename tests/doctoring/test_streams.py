"""Buffering judged from arrival times."""

import asyncio
import gzip
import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from played_servers import answer, by_about, elsewhere, serving

from headworks.calls import Failure, FailureKind
from headworks.doctoring import streams
from headworks.doctoring.asking import Heard, Piece
from headworks.doctoring.streams import Arrival, beat_for, judge, judge_head, judge_silence, pacing_of, read_arrivals
from headworks.headers import RawHeaders
from headworks.pulse import BEAT, EVENTS, PACE_S, Pulse

SENT_S = [number * PACE_S for number in range(EVENTS)]
offsets = st.floats(-1e6, 1e6)


def verdict(arrivals):
    return judge(pacing_of(arrivals), "").verdict


@given(offsets, st.lists(st.floats(0, 0.03), min_size=EVENTS, max_size=EVENTS))
def test_what_comes_at_its_pace_is_unbuffered_whatever_the_clocks_and_a_little_jitter(offset_s, jitter_s):
    arrivals = [Arrival(sent, sent + offset_s + late) for sent, late in zip(SENT_S, jitter_s, strict=True)]
    assert verdict(arrivals) == "ok"


@given(offsets, st.floats(0, 0.01))
def test_what_comes_at_the_end_is_buffered(offset_s, spread_s):
    arrivals = [Arrival(sent, SENT_S[-1] + offset_s + spread_s * n / EVENTS) for n, sent in enumerate(SENT_S)]
    finding = judge(pacing_of(arrivals), "nginx")
    assert finding.verdict == "problem"
    assert "(nginx): 20 events came all at once" in finding.says
    assert finding.figures["longest_hold_s"] == pytest.approx(SENT_S[-1], abs=0.02)
    assert "proxy_buffering off" in finding.way_out


@given(st.integers(3, 10))
def test_what_comes_by_the_handful_is_buffered_too(size):
    arrivals = [Arrival(sent, SENT_S[min(n // size * size + size - 1, EVENTS - 1)]) for n, sent in enumerate(SENT_S)]
    finding = judge(pacing_of(arrivals), "")
    assert finding.verdict == "problem"
    assert f"in {-(-EVENTS // size)} batches" in finding.says


def test_one_bad_moment_of_the_network_is_no_buffering():
    late = [Arrival(sent, max(sent, 0.75) if 0.3 < sent < 0.8 else sent) for sent in SENT_S]
    assert verdict(late) == "warning"


def test_a_slow_gateway_is_not_taken_for_a_buffering_proxy():
    sent_s = [0.0, 0.1, 0.9, 1.9, 1.95]  # its own words for when they left
    assert verdict([Arrival(sent, sent + 7.0) for sent in sent_s]) == "ok"


def heard(pieces, failure=None, head="HTTP/1.1 200 OK", end_s=None, **headers):
    given = {"content-type": "text/event-stream", "cache-control": "no-cache"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"\r\n{name}: {value}" for name, value in given.items() if value)
    raw = RawHeaders(f"{head}{lines}\r\n".encode())
    end = pieces[-1][0] if end_s is None and pieces else end_s or 0.0
    return Heard(200, raw, tuple(Piece(*piece) for piece in pieces), 0.0, 0.0, end, failure)


def event(number, sent_ms, of=EVENTS):
    return b"data: %b\n\n" % msgspec.json.encode(Pulse(number, of, sent_ms))


@given(st.data())
def test_events_are_read_however_they_are_cut_and_come_with_their_last_byte(data):
    text = b": hello\n\n" + b"".join(event(n, n * 100.0) for n in range(5))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(text) - 1))))
    pieces = [(float(stop), text[start:stop]) for start, stop in zip([0, *cuts], [*cuts, len(text)], strict=True)]

    arrivals = read_arrivals(heard(pieces))

    ends = [at for at in range(1, len(text) + 1) if text[:at].endswith(b"\n\n")][1:]
    expected = [min(float(stop) for stop in [*cuts, len(text)] if stop >= end) for end in ends]
    assert [one.arrived_s for one in arrivals] == expected
    assert [one.sent_s for one in arrivals] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


def test_compressed_events_are_read_and_nonsense_is_none():
    packed = gzip.compress(event(0, 0.0) + event(1, 100.0))
    assert len(read_arrivals(heard([(1.0, packed[:9]), (2.0, packed[9:])], content_encoding="gzip"))) == 2
    assert read_arrivals(heard([(1.0, b"data: {\n\n")])) == []
    assert read_arrivals(heard([(1.0, b"nonsense")], content_encoding="gzip")) == []


def test_an_answer_that_unpacks_to_far_more_is_not_unpacked():
    bomb = gzip.compress(event(0, 0.0) + bytes(64 * 1024 * 1024), 9)
    tracemalloc.start()
    try:
        assert read_arrivals(heard([(1.0, bomb)], content_encoding="gzip")) == []
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_what_a_proxy_has_made_of_the_head_is_said():
    assert [one.about for one in judge_head(heard([]))] == ["head"]
    spoilt = heard(
        [],
        head="HTTP/1.0 200 OK",
        content_encoding="br",
        content_length="1500",
        content_type="text/plain",
        cache_control="public",
    )
    assert {one.about: one.verdict.value for one in judge_head(spoilt)} == {
        "http": "warning",
        "encoding": "warning",
        "framing": "problem",
        "type": "problem",
        "caching": "warning",
    }


def whole(*beats):
    return heard([(0.0, event(0, 0.0, 2)), *[(at_s, BEAT) for at_s in beats], (75.0, event(1, 75_000.0, 2))])


def cut(after_s):
    failure = Failure(FailureKind.BROKEN, "closed")
    return heard([(0.0, event(0, 0.0, 2))], failure=failure, end_s=after_s)


def silence(silent, kept):
    return [one.verdict.value for one in judge_silence(silent, kept, 75.0)]


def test_silence_and_comments_are_judged_by_what_is_cut():
    kept = whole(15.0, 30.0, 45.0, 60.0)
    assert beat_for(75.0) == 15.0
    assert silence(whole(), kept) == ["ok", "ok"]
    assert silence(cut(60.0), kept) == ["warning", "ok"]
    assert judge_silence(cut(60.0), kept, 75.0)[0].figures == {"cut_after_s": 60.0}
    assert silence(cut(60.0), cut(60.0)) == ["warning", "problem"]
    assert silence(whole(), whole(75.0)) == ["ok", "problem"]  # all comments at the end


@pytest.mark.parametrize(
    ("said", "verdict", "words"),
    [
        (answer(401), "skipped", "refused"),
        (answer(404), "skipped", "older release"),
        (answer(429), "skipped", "somebody else"),
        (answer(502), "skipped", "behind the proxy was not reached"),
        (answer(502, x_headworks_call_id="call_1"), "problem", "502"),
        (answer(200, b"<html>"), "problem", "lacks its end"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\ndata", "problem", "cut"),
    ],
)
def test_what_is_no_stream_of_known_pacing_is_not_judged_as_one(said, verdict, words):
    async def cut_off(writer):
        writer.write(said)
        await writer.drain()
        writer.close()

    async def run():
        async with serving({"GET /v1/diagnostics/stream": cut_off}) as server:
            (check,) = streams.checks(elsewhere(server))
            return by_about(await check.look())["unbuffered"]

    finding = asyncio.run(run())
    assert finding.verdict == verdict
    assert words in finding.says


def at_once(version):
    events = [msgspec.json.encode(Pulse(n, EVENTS, n * 100.0, "" if n else version)) for n in range(EVENTS)]
    body = b"".join(b"data: %b\n\n" % one for one in events)
    return answer(200, body, content_type="text/event-stream", cache_control="no-cache", server="nginx")


def test_a_stream_that_comes_at_once_is_asked_for_again_before_a_proxy_is_blamed():
    async def run():
        async with serving({"GET /v1/diagnostics/stream": at_once("0.0.1")}) as server:
            (check,) = streams.checks(elsewhere(server))
            return by_about(await check.look()), server.asked

    found, asked = asyncio.run(run())
    assert len(asked) == 2
    assert found["unbuffered"].verdict == "problem"
    assert "X-Accel-Buffering" in found["unbuffered"].way_out
    assert found["framing"].verdict == "problem"
    assert (found["version"].verdict, "0.0.1" in found["version"].says) == ("warning", True)


def test_a_header_that_was_taken_out_on_the_way_is_part_of_the_way_out():
    pacing = pacing_of([Arrival(sent, 2.0) for sent in SENT_S])
    assert "two proxies" in judge(pacing, "", has_header=False).way_out
    assert "two proxies" not in judge(pacing, "", has_header=True).way_out


def test_without_a_key_one_is_asked_for_and_without_an_address_nothing_is_checked():
    async def run():
        async with serving({"GET /v1/diagnostics/stream": answer(401)}) as server:
            (check,) = streams.checks(elsewhere(server, key=None))
            return await check.look()

    assert "--key" in asyncio.run(run())[0].way_out
