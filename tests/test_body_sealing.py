"""Bodies that `records.bodies` keeps are sealed before they are written anywhere."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.body_sealing import FOR_EVER_US, BodySealer
from headworks.calls import Caller
from headworks.records.content import ContentVault
from headworks.settlement import CallMaker, Work

NOW_S = 1_800_000_000.0


def sealer(days=None):
    return BodySealer(ContentVault(b"s" * 32), days, lambda: NOW_S)


def a_call(days=None, **fields):
    call = CallMaker(sealer(days)).begin("chat.completions", Caller())
    for name, value in fields.items():
        setattr(call, name, value)
    return call


@given(st.binary(max_size=300), st.binary(min_size=1, max_size=300))
def test_what_is_sealed_comes_out_the_same_with_the_secret_and_stands_nowhere_without_it(request, response):
    call = a_call(request_body=request, response_body=response)
    settled = call.settled("answered", 200, call.started_s)

    vault = ContentVault(b"s" * 32)
    assert vault.open(call.call_id, "", "request", settled.request_body) == request
    assert vault.open(call.call_id, "", "response", settled.response_body) == response
    if len(response) > 7:
        assert response not in settled.response_body


@pytest.mark.parametrize(("days", "expires_us"), [(None, FOR_EVER_US), (3, int(NOW_S * 1e6) + 3 * 86_400_000_000)])
def test_bodies_last_as_long_as_their_record(days, expires_us):
    call = a_call(days, response_body=b"hello")

    assert call.settled("answered", 200, call.started_s).content_expires_us == expires_us


def test_what_a_contract_has_sealed_is_not_sealed_again():
    call = a_call(response_body=b"sealed", work=Work("triage", content_expires_us=7))

    assert call.settled("answered", 200, call.started_s).response_body == b"sealed"


def test_a_call_without_a_body_pays_nothing():
    call = a_call()

    assert call.settled("refused", 400, call.started_s).content_expires_us == 0
    assert call.work is None


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_gateway_that_keeps_bodies_writes_none_in_the_clear(hall, is_streamed):
    hall.make(keeps_bodies=True, seal_bodies=sealer())
    text = "what nobody else is to read"
    body = {"model": "nano", "messages": [{"role": "user", "content": text}], "stream": is_streamed}
    answered = hall.ask("/v1/chat/completions", body, turns=5)
    if is_streamed:
        hall.flight.sink.on_head(200, {b"content-type": b"text/event-stream"})
        hall.flight.sink.on_body(b'data: {"choices":[{"index":0,"delta":{"content":"As you say"}}]}\n\n')
        hall.flight.sink.on_body(b"data: [DONE]\n\n")
        hall.turn(9)
    else:
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "As you say"}}
        hall.answer(json.dumps({"id": "c", "object": "chat.completion", "model": "m", "choices": [choice]}).encode())

    settled = hall.settled
    vault = ContentVault(b"s" * 32)
    assert vault.open(settled.opened.call_id, "", "response", settled.response_body) == answered.body
    assert text.encode() in vault.open(settled.opened.call_id, "", "request", settled.request_body)
    written = b"".join(path.read_bytes() for path in hall.folder.rglob("*.journal"))
    assert written
    assert text.encode() not in written
    assert b"As you say" not in written
