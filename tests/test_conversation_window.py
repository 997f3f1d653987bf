"""The last turns of a conversation: whole ones, several left out at a time, instructions kept."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.calls import Endpoint
from headworks.conversation_window import in_window
from headworks.errors import ConfigError
from played_work import PROMPT, chat_answer

NAME = {Endpoint.CHAT: "messages", Endpoint.RESPONSES: "input"}
WINDOW = "state: window\nwindow: {turns: 2, step: 1}\n"


def user(text):
    return {"role": "user", "content": text}


def says(text):
    return {"role": "assistant", "content": text}


def cut(items, turns, step, endpoint=Endpoint.RESPONSES, **others):
    fields = {
        name: msgspec.Raw(json.dumps(value).encode()) for name, value in ({NAME[endpoint]: items} | others).items()
    }
    given_back, left_out = in_window(fields, endpoint, turns, step)
    assert left_out or given_back is fields
    return json.loads(bytes(given_back[NAME[endpoint]])), left_out


def test_tools_and_their_results_go_with_their_turn():
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c", "output": "1"}
    items = [user("a"), call, result, says("1"), user("b"), says("2"), user("c")]

    assert cut(items, 2, 1) == (items[4:], 1)
    assert cut(items, 1, 1) == (items[6:], 2)
    assert cut(items, 3, 1) == (items, 0)


def test_messages_of_the_user_in_a_row_are_one_turn():
    items = [user("a"), user("b"), says("1"), user("c"), user("d")]

    assert cut(items, 1, 1) == (items[3:], 1)
    assert cut(items, 2, 1) == (items, 0)


@pytest.mark.parametrize("role", ["developer", "system"])
def test_instructions_stay_wherever_they_stand(role):
    first, later = {"role": role, "content": "Be brief."}, {"role": role, "content": "In French."}
    items = [first, says("Hello."), user("a"), later, says("1"), user("b")]

    assert cut(items, 1, 1, Endpoint.CHAT) == ([first, says("Hello."), later, user("b")], 1)


@pytest.mark.parametrize("stored", [{"previous_response_id": "resp_1"}, {"conversation": "conv_1"}])
def test_what_goes_on_from_something_stored_is_left_alone(stored):
    items = [user("a"), says("1"), user("b")]

    assert cut(items, 1, 1, **stored) == (items, 0)
    assert cut(items, 1, 1, previous_response_id=None)[1] == 1


def test_a_text_is_one_turn_and_what_is_no_item_is_left_to_who_reads_it():
    assert cut("hello", 1, 1) == ("hello", 0)
    assert cut([user("a"), 7, "x", {"role": 5}, user("b")], 1, 1) == ([user("b")], 1)


ITEMS = st.lists(st.sampled_from([user("u"), says("s"), {"type": "reasoning"}, {"role": "system", "content": "i"}]))


@given(ITEMS, st.integers(1, 4), st.integers(1, 4))
def test_what_is_kept_are_the_last_turns_the_newest_always_among_them(items, turns, step):
    kept, left_out = cut(items, turns, step, Endpoint.CHAT)
    instructions = [item for item in items if item.get("role") == "system"]

    assert [item for item in kept if item.get("role") == "system"] == instructions
    if left_out:
        last = max(at for at, item in enumerate(items) if item == user("u"))
        assert kept[-len(items[last:]) :] == items[last:]
        assert left_out % step == 0 or kept.count(user("u")) >= 1
        assert cut(kept, turns, step, Endpoint.CHAT)[1] == 0


@given(st.integers(1, 8), st.integers(1, 8), st.integers(2, 40))
def test_the_beginning_moves_once_in_so_many_turns(turns, step, length):
    step = min(step, turns)
    begins = []
    for count in range(1, length):
        items = [item for number in range(count) for item in (user(str(number)), says("."))]
        kept, left_out = cut(items, turns, step)
        assert turns - step < count - left_out <= turns or not left_out
        begins.append(kept[0])

    assert len({json.dumps(begin) for begin in begins}) <= 1 + -(-max(0, len(begins) - turns) // step)


def test_a_workloads_call_sends_the_last_turns_behind_the_prompt_and_says_so(hall, work):
    work.make(WINDOW, schema=None, prompt=PROMPT)
    items = [user("one"), says("1"), user("two"), says("2"), user("three")]
    answered = work.chat("x", messages=items)
    sent = json.loads(hall.flight.request.body)["messages"]
    hall.answer(chat_answer("3"))

    assert [message["content"] for message in sent][-3:] == ["two", "2", "three"]
    assert "one" not in json.dumps(sent)
    assert answered.headers["x-headworks-turns-left-out"] == "1"


def test_a_conversation_that_fits_says_nothing(hall, work):
    work.make(WINDOW, schema=None, prompt=PROMPT)
    answered = work.chat("x", messages=[user("one")])
    hall.answer(chat_answer("1"))

    assert answered.status == 200
    assert "x-headworks-turns-left-out" not in answered.headers


def test_a_window_is_for_the_state_of_that_name(work):
    with pytest.raises(ConfigError, match="window: is for `state: window`, and the state is `replay`"):
        work.make("state: replay\nwindow: {turns: 2}\n")
