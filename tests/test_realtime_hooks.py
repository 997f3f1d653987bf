"""Hooks of Realtime sessions: at the beginning, and whenever the caller sets the session or asks for a response."""

import asyncio

import pytest

from headworks.extending import CallRefused, Changes
from headworks.hook_plans import HookPlan, MadeHook
from headworks.hooking import Hooks
from test_realtime_calls import Session


class Asked:
    """An `async` hook: what it was told, and what it answers."""

    def __init__(self):
        self.told = []
        self.answer = None
        self.most = 100
        self.gate = None

    async def before(self, call):
        self.told.append(call)
        if self.gate is not None:
            await self.gate
        if call.parameters.get("max_output_tokens", 0) > self.most or call.model == "forbidden":
            raise CallRefused("too_long", "Ask for less.")
        return self.answer


@pytest.fixture
def asked(hall):
    asked = Asked()
    plan = HookPlan(
        "ceiling", lambda: MadeHook(asked.before, None), is_closed=True, timeout_s=30.0, models=(), teams=(), targets=()
    )
    hall.make(hooks=Hooks((plan,), hall.loop, hall.journal.append))
    return asked


@pytest.fixture
def talk(hall):
    def begin():
        session = Session(hall)
        hall.turn(8)
        return session

    return begin


def says(hall, session, event):
    session.caller.says(event)
    hall.turn(8)


def update(**settings):
    return {"type": "session.update", "event_id": "e1", "session": {"type": "realtime", **settings}}


def create(**settings):
    return {"type": "response.create", "event_id": "e2", "response": settings}


def test_a_session_is_asked_about_before_anybody_is_reached(hall, asked, talk):
    session = talk()

    (told,) = asked.told
    assert (told.manner, told.endpoint, told.model, told.team) == ("session", "realtime", "nano", "search")
    session.opens().caller.closes()


@pytest.mark.parametrize(
    ("answer", "most", "code"),
    [
        (None, -1, "too_long"),
        (Changes(parameters={"max_output_tokens": 5}), 100, "hook_wants_change"),
        (Changes(target="mini"), 100, "hook_failed"),
    ],
)
def test_what_a_hook_does_not_let_through_opens_no_session(hall, asked, talk, answer, most, code):
    asked.answer, asked.most = answer, most
    session = talk()

    assert session.answered.error["code"] == code
    assert hall.upstream.flights == []
    assert hall.settled.outcome == "refused"


def test_settings_and_responses_are_asked_about_and_what_is_refused_does_not_go_up(hall, asked, talk):
    session = talk().opens()
    says(hall, session, update(max_output_tokens=90))
    says(hall, session, update(max_output_tokens=101))
    says(hall, session, create(max_output_tokens=500))
    says(hall, session, update(max_response_output_tokens=500))
    says(hall, session, create(temperature=0.5))

    assert session.upstream.types == ["session.update", "response.create"]
    assert [event["error"]["code"] for event in session.caller.events] == ["too_long"] * 3
    assert [event["error"]["event_id"] for event in session.caller.events] == ["e1", "e2", "e1"]
    assert dict(asked.told[-1].parameters) == {"max_output_tokens": 90, "temperature": 0.5}
    session.upstream.closes()


def test_a_model_that_is_to_transcribe_is_asked_about_too(hall, asked, talk):
    session = talk().opens()
    says(hall, session, update(audio={"input": {"transcription": {"model": "forbidden"}}}))
    says(hall, session, update(input_audio_transcription={"model": "allowed"}))

    assert [told.model for told in asked.told] == ["nano", "nano", "forbidden", "nano", "allowed"]
    assert [event["error"]["code"] for event in session.caller.events] == ["too_long"]
    assert session.upstream.types == ["session.update"]
    session.upstream.closes()


def test_what_a_hook_would_have_otherwise_is_refused_and_said(hall, asked, talk):
    session = talk().opens()
    asked.answer = Changes(parameters={"temperature": 0.2})
    says(hall, session, create())
    says(hall, session, create(temperature=0.2))

    (told,) = session.caller.events
    assert told["error"]["code"] == "hook_wants_change"
    assert "`temperature` of `response.create`" in told["error"]["message"]
    assert session.upstream.types == ["response.create"]
    session.upstream.closes()


def test_what_is_said_while_a_hook_is_asked_comes_after(hall, asked, talk):
    session = talk().opens()
    asked.gate = hall.loop.create_future()
    says(hall, session, create(max_output_tokens=1))
    says(hall, session, {"type": "input_audio_buffer.clear"})
    says(hall, session, update(max_output_tokens=2))
    assert session.upstream.types == []

    asked.gate.set_result(None)
    hall.turn(8)
    assert session.upstream.types == ["response.create", "input_audio_buffer.clear", "session.update"]
    session.upstream.closes()


@pytest.mark.parametrize("ends", ["caller", "upstream"])
def test_a_session_that_ends_while_a_hook_is_asked_leaves_nothing_behind(hall, asked, talk, ends):
    session = talk().opens()
    asked.gate = hall.loop.create_future()
    says(hall, session, create())
    getattr(session, ends).closes()
    hall.turn(8)

    assert hall.settled.outcome == "answered"
    assert [task for task in asyncio.all_tasks(hall.loop) if not task.done()] == []
    assert session.upstream.types == []
