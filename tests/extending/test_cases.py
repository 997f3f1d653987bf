"""The suite's judgements: what is right passes, and what is wrong is said in words that quote nothing of it."""

import json

import pytest

from headworks.extending import CASES, Told

BY_NAME = {case.name: case for case in CASES}


def said(text, **more):
    return Told(
        {
            "status": "completed",
            "output": [{"type": "message", "content": [{"type": "output_text", "text": text}]}],
            "usage": {"input_tokens": 5, "output_tokens": 7},
        }
        | more
    )


def called(*arguments):
    return Told({"output": [{"type": "function_call", "name": "get_weather", "arguments": one} for one in arguments]})


def completed(text, **more):
    return Told({"choices": [{"message": {"content": text}} | more]})


@pytest.mark.parametrize(
    ("name", "told", "says"),
    [
        ("text", said("Hello."), ""),
        ("text", said(" "), "no text"),
        ("usage", said("x"), ""),
        ("usage", said("x", usage=None), "how many tokens"),
        ("stream", Told(said("ab").answer, 2, "ab"), ""),
        ("stream", Told(said("ab").answer, 2, "a"), "not its whole"),
        ("stream", said("ab"), "no text"),
        ("function", called('{"city":"Oslo"}'), ""),
        ("function", said("It is sunny."), "no function"),
        ("function", called("{"), "no JSON"),
        ("function", called('{"town":"Oslo"}'), "not what the schema asks for"),
        ("one function at a time", called('{"city":"a"}', '{"city":"b"}'), "several"),
        ("JSON by a schema", said('{"city":"Oslo","is_capital":true}'), ""),
        ("JSON by a schema", said('{"city":"Oslo"}'), "does not satisfy"),
        ("JSON by a schema", said("Yes."), "no JSON"),
        ("JSON without a schema", said("[1]"), "no JSON object"),
        (
            "output limit",
            said("x", status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
            "",
        ),
        ("output limit", said("x", usage={"output_tokens": 900}), "longer than its limit"),
        ("stop sequences", completed("1 2 3 4 "), ""),
        ("stop sequences", completed("1 2 3 4 5 6"), "goes on"),
        ("log probabilities", completed("x", logprobs={"content": [{}]}), ""),
        ("log probabilities", completed("x"), "no log probabilities"),
    ],
)
def test_an_answer_is_judged(name, told, says):
    judged = BY_NAME[name].judge(told)

    assert says in judged
    assert bool(says) == bool(judged)


def test_names_are_told_apart_and_requests_can_be_sent():
    assert len(BY_NAME) == len(CASES)
    assert all(json.dumps(case.fields) for case in CASES)
