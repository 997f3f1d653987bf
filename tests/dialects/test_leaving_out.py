"""What a target has nothing for is refused by the name that the caller knows it by, or left out where that is allowed:
for every feature of the support matrix, every API that is called and every one that an upstream speaks."""

import json
import sys
from pathlib import Path

import pytest
from anthropic.types import message_create_params
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from openai.types.chat import completion_create_params
from openai.types.responses import response_create_params

from headworks.calls import Endpoint
from headworks.config.droppable import DROPPABLE, KEPT, NAMES
from headworks.dialects import BRIDGES, read_fields
from headworks.dialects.leaving_out import MOST_LEFT_OUT, leaving_out, name_it
from headworks.errors import Refusal

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

from features import FEATURES, PLAIN
from support import MODELS

PAIRS = sorted(BRIDGES)
ALL = tuple(sorted(NAMES))


def merged(one, other):
    """What both ask for."""
    both = {**one}
    for name, value in other.items():
        is_nested = isinstance(value, dict) and isinstance(both.get(name), dict)
        both[name] = merged(both[name], value) if is_nested else value
    return both


def asked(called, *features):
    body = PLAIN[called]
    for feature in features:
        body = merged(merged(body, feature.besides.get(called, {})), feature.asks[called])
    return body


def found(body, path):
    """The value at a dotted path; None where there is none."""
    for name in path.split("."):
        body = body.get(name) if isinstance(body, dict) else None
    return body


def bare(body, path):
    """The request without what stands at a path."""
    outer, _, inner = path.partition(".")
    rest = {name: value for name, value in body.items() if name != outer}
    if not inner:
        return rest
    left = bare(body[outer], inner)
    return {**rest, outer: left} if left else rest


def sent(pair, fields):
    called, spoken = pair
    body = BRIDGES[called, spoken](json.dumps(fields).encode()).request(b"", MODELS.get(spoken, "m"))
    return json.loads(body)


def tried(pair, body, droppable):
    """What is sent, and what was left out.

    Raises:
        Refusal: of what is left.
    """

    def make(fields):
        return sent(pair, {name: json.loads(bytes(raw)) for name, raw in fields.items()})

    fields = read_fields(json.dumps(body).encode())
    try:
        return make(fields), ()
    except Refusal as refusal:
        return leaving_out(refusal, fields, droppable, make)


def judged(pair, body, droppable):
    """What is sent and what was left out, or the refusal."""
    try:
        return tried(pair, body, droppable)
    except Refusal as refusal:
        return refusal


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0].value} to {pair[1].value}")
def test_what_is_refused_is_named_as_the_caller_has_it_and_goes_through_without(pair):
    called = pair[0]
    for feature in FEATURES:
        if called not in feature.asks:
            continue
        body, listed = asked(called, feature), []
        while isinstance(told := judged(pair, body, listed), Refusal):
            name = told.param.partition("[")[0]
            assert found(body, name) is not None, (feature.title, name)
            assert told.param in told.message
            if name not in DROPPABLE[called]:
                assert name in KEPT or name.partition(".")[0] in KEPT, (feature.title, name)
                break  # it is never left out
            listed.append(name)
        else:
            out, left = told
            assert set(left) == set(listed)
            for name in listed:
                body = bare(body, name)
            assert out == sent(pair, body), feature.title


@examples(max_examples=150)
@given(st.data())
def test_exactly_what_is_refused_is_left_out(data):
    pair = data.draw(st.sampled_from(PAIRS))
    called = pair[0]
    able = [one for one in FEATURES if called in one.asks]
    body = asked(called, *data.draw(st.lists(st.sampled_from(able), max_size=6, unique_by=lambda one: one.title)))
    told = judged(pair, body, ALL)
    if isinstance(told, Refusal):
        assert told.param.partition("[")[0] not in DROPPABLE[called]
        return
    out, left = told
    assert set(left) <= DROPPABLE[called]
    rest = body
    for name in left:
        rest = bare(rest, name)
    assert out == sent(pair, rest)
    for name in left:
        with pytest.raises(Refusal) as refused:
            tried(pair, body, [one for one in left if one != name])
        assert refused.value.param == name


@pytest.mark.parametrize(
    ("called", "params"),
    [
        (Endpoint.RESPONSES, response_create_params.ResponseCreateParamsBase),
        (Endpoint.CHAT, completion_create_params.CompletionCreateParamsBase),
        (Endpoint.MESSAGES, message_create_params.MessageCreateParamsBase),
    ],
)
def test_of_every_field_of_the_sdks_it_is_known_whether_it_may_be_left_out(called, params):
    unknown = [name for name in params.__annotations__ if name not in KEPT and name not in DROPPABLE[called]]
    assert unknown == []


def test_nothing_may_be_left_out_that_never_is():
    assert not NAMES & KEPT.keys()


def test_google_takes_a_field_in_snake_case_and_it_is_left_out_as_such():
    body = PLAIN[Endpoint.GENERATE_CONTENT] | {"generation_config": {"seed": 7, "top_p": 0.5}}
    out, left = tried((Endpoint.GENERATE_CONTENT, Endpoint.MESSAGES), body, ["generationConfig.seed"])

    assert (left, out["top_p"]) == (("generationConfig.seed",), 0.5)


def test_a_value_that_is_wrong_is_not_left_out():
    with pytest.raises(Refusal) as refused:
        tried((Endpoint.CHAT, Endpoint.MESSAGES), asked(Endpoint.CHAT) | {"seed": "x"}, ["seed"])
    assert (refused.value.code, refused.value.param) == ("invalid_type", "seed")


def test_a_translation_is_made_anew_only_so_often():
    unknown = {f"odd{'x' * number}": 1 for number in range(MOST_LEFT_OUT + 1)}
    body = PLAIN[Endpoint.GENERATE_CONTENT] | {"generationConfig": {"thinkingConfig": unknown}}
    with pytest.raises(Refusal) as refused:
        tried((Endpoint.GENERATE_CONTENT, Endpoint.MESSAGES), body, ["generationConfig.thinkingConfig"])
    assert refused.value.param.startswith("generationConfig.thinkingConfig.odd")


def test_a_name_of_another_dialect_is_told_as_the_caller_has_it():
    fields = read_fields(b'{"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}')
    refusal = Refusal(
        400, "unsupported_parameter", "'reasoning.effort' cannot be translated.", param="reasoning.effort"
    )

    assert name_it(refusal, fields) == "thinking"
    assert (refusal.param, str(refusal)) == ("thinking", "'thinking' cannot be translated.")


def test_what_is_missing_keeps_its_name():
    body = {"messages": [{"role": "user", "content": "x"}], "max_output_tokens": 5}
    with pytest.raises(Refusal) as refused:
        tried((Endpoint.MESSAGES, Endpoint.CHAT), body, [])
    assert refused.value.param == "max_tokens"
