import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.prompts import Companions, Release, parse, release_bump

SCHEMA = json.dumps({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]})
WIDER = json.dumps({"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "required": ["a"]})
DESCRIBED = json.dumps(json.loads(SCHEMA) | {"description": "An answer."})


COMPANIONS = Companions(SCHEMA, '{"temperature":0}')


def release(text="Sort.", *, companions=COMPANIONS):
    source = f"---\nversion: 1.0.0\nvariables: {{x: {{type: string, default: ''}}}}\n---\n{text}\n"
    return Release(parse(source, name="w", file="prompt.md"), companions)


def bump(old, new):
    return release_bump(old, new, [{"x": "a"}])


def test_a_release_that_is_the_same_needs_no_step():
    assert bump(release(), release()).level == "none"


@pytest.mark.parametrize(
    ("companions", "level", "reason"),
    [
        (Companions(WIDER, '{"temperature":0}'), "major", "the output's contract breaks: `a` may be of type null"),
        (Companions(DESCRIBED, '{"temperature":0}'), "minor", "the output's schema changes"),
        (Companions(SCHEMA, '{"temperature":1}'), "minor", "the parameter `temperature` changes"),
        (Companions(SCHEMA, '{"temperature":0,"tools":[]}'), "minor", "the parameter `tools` changes"),
    ],
)
def test_what_is_sent_beside_the_prompt_counts(companions, level, reason):
    found = bump(release(), release(companions=companions))

    assert (found.level, found.reasons) == (level, (reason,))


def test_the_weightiest_reason_comes_first():
    found = bump(release(), release("Sort.{# kindly #}", companions=Companions(SCHEMA, '{"temperature":1}')))
    broken = bump(release(), release("Sort well.", companions=Companions(WIDER, '{"temperature":1}')))

    assert (found.level, found.reasons[0]) == ("minor", "the parameter `temperature` changes")
    assert [reason.split()[1] for reason in broken.reasons] == ["output's", "case", "parameter"]
    assert broken.level == "major"


def test_what_was_not_kept_is_not_compared():
    assert bump(release(companions=None), release()).level == "none"


TEXTS = st.lists(st.sampled_from(["Sort it.", "Be kind.", "{{ x }}", "{# a note #}", "{{ x|fence }}"]), max_size=4)
PARAMETERS = st.dictionaries(st.sampled_from(["temperature", "stop", "max_tokens"]), st.integers(0, 2), max_size=3)
VALUES = [{"x": "a"}, {"x": ""}, {"x": "{{ x }}"}]


def sent(one, values):
    """Every byte that the model gets of a case."""
    return [(message.role, message.text) for message in one.prompt.render(values, marker="0123456789abcdef").messages]


def drawn(texts, parameters, schema):
    return release("Go. " + "\n".join(texts), companions=Companions(schema, json.dumps(parameters, sort_keys=True)))


@given(TEXTS, TEXTS, PARAMETERS, PARAMETERS, st.sampled_from([SCHEMA, DESCRIBED]))
def test_a_byte_that_the_model_gets_otherwise_is_at_least_a_minor_step_and_none_is_at_most_a_patch(
    before, after, fixed, refixed, schema
):
    old, new = drawn(before, fixed, SCHEMA), drawn(after, refixed, schema)
    is_changed = fixed != refixed or schema != SCHEMA or any(sent(old, one) != sent(new, one) for one in VALUES)

    found = release_bump(old, new, VALUES)

    assert found.level == "minor" if is_changed else found.level in ("none", "patch")
    assert bool(found.reasons) == (found.level != "none")


@given(TEXTS, PARAMETERS)
def test_what_is_the_same_needs_no_step(texts, parameters):
    one = drawn(texts, parameters, SCHEMA)

    assert release_bump(one, drawn(texts, parameters, SCHEMA), VALUES).level == "none"


@given(TEXTS, TEXTS, PARAMETERS, st.sampled_from(["schema", "variable"]))
def test_a_contract_that_breaks_is_a_major_step_whatever_else_changes(before, after, parameters, what):
    old, new = drawn(before, {}, SCHEMA), drawn(after, parameters, WIDER if what == "schema" else SCHEMA)
    if what == "variable":
        source = "---\nversion: 1.0.0\nvariables: {x: string, y: string}\n---\nGo. {{ x }} {{ y }}\n"
        new = Release(parse(source, name="w", file="prompt.md"), new.companions)

    assert release_bump(old, new, VALUES).level == "major"
