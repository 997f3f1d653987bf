import base64
import json

import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from headworks.calls import Endpoint
from headworks.exchange import Request
from headworks.simulator import Plan
from headworks.simulator.plan import ErrorFault, Failing, PlannedCall, Rule, Say, When
from headworks.simulator.realtime_opening import Opened
from headworks.simulator.simulator import Simulator

HEAD = {
    b"authorization": b"Bearer sk-test-1234567890",
    b"sec-websocket-version": b"13",
    b"sec-websocket-key": b"dGhlIHNhbXBsZSBub25jZQ==",
}
READ = TypeAdapter(RealtimeServerEvent)
TEXT = {"output_modalities": ["text"]}
SPEECH = base64.b64encode(b"\x01\x02" * 24_000).decode()  # a second
SILENCE = base64.b64encode(bytes(24_000)).decode()  # half a second


def say(text):
    part = {"type": "input_text", "text": text}
    return {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [part]}}


class Talk:
    """A session that is asked event by event; every event that it sends must be as the SDK's types have it."""

    def __init__(self, plan):
        self.simulator = Simulator(plan, now=lambda: 1_795_000_000.0)
        found = self.simulator.open_session(Request("GET", "/v1/realtime", "model=gpt-realtime-2", HEAD))
        assert isinstance(found, Opened)
        self.session = found.session
        self.first = self.checked(self.session.opening())

    def checked(self, planned):
        events = [json.loads(json.dumps(one.fields)) for one in planned]
        for event in events:
            READ.validate_python(event)
        return events

    def send(self, event):
        return self.checked(self.session.take(event if isinstance(event, bytes) else json.dumps(event).encode()))

    def spoken(self):
        return self.checked(iter(self.session.next_event, None))

    def ask(self, text="Hello there", **response):
        self.send(say(text))
        return self.send({"type": "response.create", "response": response or TEXT}) + self.spoken()


@pytest.fixture
def talk():
    def begin(**plan):
        return Talk(Plan(pace=0, **plan))

    return begin


def kinds(events):
    return list(dict.fromkeys(event["type"] for event in events))


def done(events):
    return next(event["response"] for event in events if event["type"] == "response.done")


def test_a_session_says_what_it_is(talk):
    session = talk().first[0]["session"]
    assert (session["model"], session["output_modalities"]) == ("gpt-realtime-2", ["audio"])


def test_a_text_comes_in_the_events_of_the_api(talk):
    events = talk().ask()
    assert kinds(events) == [
        "response.created",
        "rate_limits.updated",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    said = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    assert said.startswith('You said: "Hello there".')
    assert done(events)["output"][0]["content"][0]["text"] == said
    usage = done(events)["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["output_token_details"] == {"text_tokens": usage["output_tokens"], "audio_tokens": 0}


def test_sound_comes_with_its_transcript_and_is_the_same_each_time(talk):
    events, again = (talk().ask(output_modalities=["audio"]) for _ in range(2))
    sounds = [event["delta"] for event in events if event["type"] == "response.output_audio.delta"]
    assert sounds == [event["delta"] for event in again if event["type"] == "response.output_audio.delta"]
    assert done(events)["usage"]["output_token_details"]["audio_tokens"] == len(sounds) * 4
    assert "response.output_audio_transcript.done" in kinds(events)


def test_what_was_read_before_is_cached_the_next_time(talk):
    one = talk()
    first, second = done(one.ask("Hello"))["usage"], done(one.ask("And more"))["usage"]
    assert first["input_token_details"]["cached_tokens"] == 0
    assert second["input_token_details"]["cached_tokens"] == first["input_tokens"]


def test_a_function_is_called_and_its_output_heard(talk):
    one = talk()
    tool = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}
    session = {"type": "realtime", "tools": [tool], **TEXT}
    assert kinds(one.send({"type": "session.update", "session": session})) == ["session.updated"]
    events = one.ask("How is the weather?")
    call = done(events)["output"][0]
    assert (call["type"], call["name"]) == ("function_call", "get_weather")
    assert "response.function_call_arguments.delta" in kinds(events)
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
    one.send({"type": "conversation.item.create", "item": output})
    said = done(one.send({"type": "response.create"}) + one.spoken())["output"][0]["content"][0]["text"]
    assert said.startswith('The tool said: "sunny".')


def test_a_silence_behind_speech_has_it_answer(talk):
    one = talk()
    assert kinds(one.send({"type": "input_audio_buffer.append", "audio": SPEECH})) == [
        "input_audio_buffer.speech_started"
    ]
    events = one.send({"type": "input_audio_buffer.append", "audio": SILENCE}) + one.spoken()
    assert "input_audio_buffer.committed" in kinds(events)
    assert done(events)["usage"]["input_token_details"]["audio_tokens"] == 15


def test_speech_interrupts_what_is_being_said(talk):
    one = talk()
    one.send(say("Hello"))
    one.send({"type": "response.create"})
    for _ in range(8):
        one.session.next_event()
    events = one.send({"type": "input_audio_buffer.append", "audio": SPEECH})
    assert done(events)["status"] == "cancelled"
    assert done(events)["usage"]["output_tokens"] > 0
    assert one.spoken() == []


def test_without_turn_detection_sound_waits_until_it_is_committed(talk):
    one = talk()
    heard = {"turn_detection": None, "transcription": {"model": "gpt-4o-mini-transcribe"}}
    one.send({"type": "session.update", "session": {"type": "realtime", "audio": {"input": heard}}})
    assert one.send({"type": "input_audio_buffer.append", "audio": SPEECH}) == []
    events = one.send({"type": "input_audio_buffer.commit"})
    assert events[-1]["type"] == "conversation.item.input_audio_transcription.completed"
    assert events[-1]["usage"]["input_token_details"]["audio_tokens"] == 10
    assert one.send({"type": "input_audio_buffer.commit"})[0]["error"]["code"] == "input_audio_buffer_commit_empty"


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"type": "no.such"}, "invalid_value"),
        ({"type": "response.cancel"}, "response_cancel_not_active"),
        ({"type": "input_audio_buffer.append", "audio": "?"}, "invalid_value"),
        (b"no json", "invalid_json"),
    ],
)
def test_what_is_wrong_comes_as_an_error_and_the_session_goes_on(talk, event, code):
    one = talk()
    if isinstance(event, dict):
        event = {**event, "event_id": "mine"}
    error = one.send(event)[0]["error"]
    assert error["code"] == code
    assert error["event_id"] == ("mine" if isinstance(event, dict) else None)
    assert done(one.ask())["status"] == "completed"


def test_one_response_at_a_time_but_for_those_beside_the_conversation(talk):
    one = talk()
    one.send({"type": "response.create"})
    assert one.send({"type": "response.create"})[0]["error"]["code"] == "conversation_already_has_active_response"
    beside = {"conversation": "none", "input": [], **TEXT}
    assert one.send({"type": "response.create", "response": beside})[0]["type"] == "response.created"
    assert [event["type"] for event in one.spoken()].count("response.done") == 2


def test_what_a_rule_says_is_said(talk):
    rule = Rule(when=When(endpoint="realtime"), say=Say(tool_calls=(PlannedCall("end_call", {"why": "done"}),)))
    assert done(talk(rules=(rule,)).ask())["output"][0]["arguments"] == '{"why":"done"}'


def test_a_generation_fails_where_it_is_planned_to(talk):
    response = done(talk(faults=(Failing(after_content=2),)).ask())
    assert (response["status"], response["status_details"]["error"]["code"]) == ("failed", "server_error")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/openai/v1/realtime", "model=gpt-realtime-2"),
        ("/openai/realtime", "api-version=2025-04-01-preview&deployment=gpt-realtime-2"),
    ],
)
def test_a_session_is_opened_where_azure_has_it(path, query):
    simulator = Simulator(Plan(), now=lambda: 1_795_000_000.0)
    head = {**HEAD, b"authorization": b"", b"api-key": b"any"}
    assert isinstance(simulator.open_session(Request("GET", path, query, head)), Opened)


def test_a_request_is_refused_as_the_api_refuses_it():
    fault = ErrorFault(status=503, endpoint=Endpoint.REALTIME.value)
    for plan, query, head, status in (
        (Plan(), "model=no-such", HEAD, 404),
        (Plan(), "", HEAD, 400),
        (Plan(), "model=gpt-6-luna", HEAD, 400),
        (Plan(), "model=gpt-realtime-2", {**HEAD, b"authorization": b""}, 401),
        (Plan(faults=(fault,)), "model=gpt-realtime-2", HEAD, 503),
    ):
        simulator = Simulator(plan, now=lambda: 1_795_000_000.0)
        assert simulator.open_session(Request("GET", "/v1/realtime", query, head)).status == status
