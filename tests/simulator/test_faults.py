"""Every fault of a plan does what it says; the official SDK sees it as its own error."""

import json

import openai
import pytest

from headworks.calls import Endpoint
from headworks.simulator import Ending
from headworks.simulator.plan import (
    BadKey,
    Cut,
    ErrorFault,
    Failing,
    Malformed,
    ModelRetired,
    Outage,
    QuotaExhausted,
    RateLimited,
    SlowStart,
    Stall,
)
from headworks.simulator.script import NO_HEAD

CHAT = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "Hi"}]}
RESPONSE = {"model": "gpt-6-luna", "input": "Hi"}


def chat(desk, **fields):
    return desk.ask("POST", "/v1/chat/completions", {**CHAT, **fields})


def respond(desk, **fields):
    return desk.ask("POST", "/v1/responses", {**RESPONSE, **fields})


def types(beats):
    return [json.loads(beat.data.split(b"data: ")[1])["type"] for beat in beats]


def test_an_outage_answers_503_within_its_window_only(desk_with):
    desk = desk_with(faults=(Outage(from_s=10, until_s=20),))
    seen = []
    for _ in range(3):
        seen.append(chat(desk).status)
        desk.clock.move(10)
    assert seen == [200, 503, 200]


def test_a_silent_outage_breaks_the_connection_without_a_head(desk_with):
    script = chat(desk_with(faults=(Outage(is_silent=True),)))
    assert (script.status, list(script.beats), script.ending) == (NO_HEAD, [], Ending.CUT)
    with pytest.raises(openai.APIConnectionError):
        desk_with(faults=(Outage(is_silent=True),)).client().responses.create(**RESPONSE)


def test_an_error_has_its_status_and_retry_after(desk_with):
    script = chat(desk_with(faults=(ErrorFault(status=502, code="bad_gateway", retry_after_s=1.5),)))
    assert (script.status, script.headers[b"retry-after"], script.headers[b"retry-after-ms"]) == (502, b"2", b"1500")
    assert json.loads(next(script.beats).data)["error"]["code"] == "bad_gateway"


def test_the_count_says_how_often_a_fault_strikes_and_skip_how_many_it_lets_pass(desk_with):
    desk = desk_with(faults=(ErrorFault(count=2, skip=1),))
    assert [chat(desk).status for _ in range(5)] == [200, 500, 500, 200, 200]


def test_the_share_of_requests_that_is_struck_is_as_planned_and_repeats_with_the_seed(desk_with):
    def struck(seed):
        desk = desk_with(seed=seed, faults=(ErrorFault(share=0.3),))
        return [chat(desk).status == 500 for _ in range(400)]

    assert 80 < sum(struck(1)) < 160
    assert struck(1) == struck(1) != struck(2)


def test_the_sdk_gets_through_a_fault_that_passes(desk_with):
    desk = desk_with(faults=(ErrorFault(status=500, count=1, retry_after_s=0.001),))
    assert desk.client(max_retries=1).responses.create(**RESPONSE).output_text


@pytest.mark.parametrize(
    ("fault", "is_struck"),
    [
        (ErrorFault(model="gpt-6-luna"), True),
        (ErrorFault(model="gpt-6-luna-2026-08-20"), True),
        (ErrorFault(model="gpt-6.1-sol"), False),
        (ErrorFault(endpoint=Endpoint.CHAT), True),
        (ErrorFault(endpoint=Endpoint.RESPONSES), False),
    ],
)
def test_a_fault_is_bound_to_its_model_and_endpoint(desk_with, fault, is_struck):
    assert (chat(desk_with(faults=(fault,))).status == 500) is is_struck


def test_a_fault_finds_the_model_in_a_form_too(desk_with):
    desk = desk_with(faults=(ErrorFault(model="gpt-4o-mini-transcribe"),))
    with pytest.raises(openai.InternalServerError):
        desk.client().audio.transcriptions.create(model="gpt-4o-mini-transcribe", file=("a.wav", b"RIFF"))
    assert chat(desk).status == 200
    assert desk.ask("POST", "/v1/chat/completions", b"not json").status == 400


def test_the_first_fault_that_fits_strikes(desk_with):
    desk = desk_with(faults=(ErrorFault(status=500, count=1), ErrorFault(status=503)))
    assert [chat(desk).status for _ in range(2)] == [500, 503]


def test_a_fault_that_is_added_later_counts_its_window_from_then(desk):
    desk.clock.move(1000)
    desk.simulator.add_fault(ErrorFault(until_s=5))
    assert chat(desk).status == 500
    desk.clock.move(5)
    assert chat(desk).status == 200


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        (QuotaExhausted(), openai.RateLimitError, "insufficient_quota"),
        (RateLimited(limit="tokens"), openai.RateLimitError, "rate_limit_exceeded"),
        (ModelRetired(), openai.NotFoundError, "model_not_found"),
        (BadKey(), openai.AuthenticationError, "invalid_api_key"),
        (Outage(), openai.InternalServerError, "service_unavailable"),
    ],
)
def test_the_sdk_knows_the_error(desk_with, fault, kind, code):
    with pytest.raises(kind) as caught:
        desk_with(faults=(fault,)).client().responses.create(**RESPONSE)
    assert caught.value.code == code


def test_a_slow_start_comes_late(desk_with):
    assert chat(desk_with(faults=(SlowStart(delay_s=7),))).head_delay_s == 7


def test_a_stream_is_cut_after_so_many_events(desk_with):
    script = respond(desk_with(faults=(Cut(after_events=2),)), stream=True)
    assert types(script.beats) == ["response.created", "response.in_progress"]
    assert script.ending is Ending.CUT


@pytest.mark.parametrize("pieces", [0, 1, 3])
def test_a_stream_is_cut_after_so_many_pieces_of_content(desk_with, pieces):
    script = respond(desk_with(faults=(Cut(after_content=pieces),)), stream=True)
    seen = types(script.beats)
    assert seen.count("response.output_text.delta") == pieces
    assert seen[:4][-1] == "response.content_part.added"
    assert len(seen) == 4 + pieces


def test_a_chat_stream_is_cut_before_its_first_content(desk_with):
    script = chat(desk_with(faults=(Cut(after_content=0),)), stream=True)
    (beat,) = script.beats
    assert b'"role":"assistant"' in beat.data
    assert script.ending is Ending.CUT


def test_a_plain_answer_is_cut_in_the_middle_of_its_declared_length(desk_with):
    script = chat(desk_with(faults=(Cut(),)))
    sent = b"".join(beat.data for beat in script.beats)
    assert 0 < len(sent) < script.length
    assert script.ending is Ending.CUT
    with pytest.raises(openai.APIConnectionError):
        desk_with(faults=(Cut(),)).client().responses.create(**RESPONSE)


def test_a_cut_before_the_head_sends_nothing(desk_with):
    script = chat(desk_with(faults=(Cut(before_head=True),)), stream=True)
    assert (script.status, list(script.beats), script.ending) == (NO_HEAD, [], Ending.CUT)


def test_a_stream_stalls_for_ever(desk_with):
    script = respond(desk_with(faults=(Stall(after_events=3),)), stream=True)
    assert len(list(script.beats)) == 3
    assert script.ending is Ending.STALL


def test_a_stream_stalls_for_a_while_and_goes_on(desk_with):
    whole = list(respond(desk_with(), stream=True).beats)
    stalled = list(respond(desk_with(faults=(Stall(after_content=2, for_s=30),)), stream=True).beats)
    assert [beat.data for beat in stalled] == [beat.data for beat in whole]
    assert [beat.delay_s for beat in stalled].count(30) == 1
    assert stalled[6].delay_s == 30


def test_an_answer_stalls_before_its_head(desk_with):
    script = chat(desk_with(faults=(Stall(before_head=True),)))
    assert (script.status, script.ending) == (NO_HEAD, Ending.STALL)
    assert chat(desk_with(faults=(Stall(before_head=True, for_s=3),))).head_delay_s == 3


def test_a_plain_answer_stalls_in_the_middle(desk_with):
    script = chat(desk_with(faults=(Stall(for_s=9),)))
    assert [beat.delay_s for beat in script.beats] == [0, 9]
    assert chat(desk_with(faults=(Stall(),))).ending is Ending.STALL


def test_a_malformed_body_is_a_well_framed_answer_with_broken_json(desk_with):
    script = chat(desk_with(faults=(Malformed(),)))
    body = b"".join(beat.data for beat in script.beats)
    assert (script.status, script.length) == (200, len(body))
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(body)


def test_a_proxy_page_in_place_of_the_answer(desk_with):
    script = chat(desk_with(faults=(Malformed(shape="html"),)))
    assert script.headers[b"content-type"].startswith(b"text/html")
    assert next(script.beats).data.startswith(b"<html>")


def test_one_event_of_a_stream_is_malformed(desk_with):
    with pytest.raises(ValueError, match=r"Unterminated|Expecting|column"):
        list(desk_with(faults=(Malformed(),)).client().chat.completions.create(**CHAT, stream=True))


def test_a_generation_fails_in_the_middle(desk_with):
    desk = desk_with(faults=(Failing(after_content=2),))
    events = desk.events("/v1/responses", {**RESPONSE, "stream": True})
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert sum(event["type"] == "response.output_text.delta" for event in events) == 2
    failed = events[-1]
    assert failed["type"] == "response.failed"
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"]["code"] == "server_error"
    assert desk.json("GET", f"/v1/responses/{failed['response']['id']}")["status"] == "failed"


def test_a_plain_generation_fails_with_its_error(desk_with):
    desk = desk_with(faults=(Failing(code="rate_limit_exceeded"),))
    response = desk.client().responses.create(**RESPONSE)
    assert (response.status, response.error.code, response.usage) == ("failed", "rate_limit_exceeded", None)
    assert chat(desk).status == 500


def test_an_error_event_ends_the_stream(desk_with):
    desk = desk_with(faults=(Failing(event="error"),))
    events = desk.events("/v1/responses", {**RESPONSE, "stream": True})
    assert [event["type"] for event in events] == ["response.created", "response.in_progress", "error"]
    assert events[-1]["sequence_number"] == 2
    last = list(desk.client().responses.create(**RESPONSE, stream=True))[-1]
    assert (last.type, last.code) == ("error", "server_error")


def test_a_failing_chat_stream_ends_with_an_error_and_without_done(desk_with):
    desk = desk_with(faults=(Failing(after_content=1),))
    data = [beat.data for beat in chat(desk, stream=True).beats]
    assert json.loads(data[-1].removeprefix(b"data: "))["error"]["code"] == "server_error"
    assert not any(b"[DONE]" in line for line in data)
    with pytest.raises(openai.APIError):
        list(desk.client().chat.completions.create(**CHAT, stream=True))
