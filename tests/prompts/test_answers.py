"""Templates of answers that no model gives."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import ConfigError
from headworks.prompts import AnswerUnfit, Variable, parse_answer

VARIABLES = {
    "name": Variable(type="string"),
    "count": Variable(type="integer", default=2),
    "order": Variable(type="object", default={}),
}


def parsed(text, *, is_json=True):
    return parse_answer(text, file="fallback.json", variables=VARIABLES, is_json=is_json)


TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)


@given(name=TEXT, asked=TEXT, count=st.integers(-(2**53), 2**53))
def test_no_value_changes_the_structure_around_it(name, asked, count):
    template = parsed('{"a": ["{{ name }}", {"b": "<{{ input }}>"}], "n": "{{ count }}", "c": "{{ count }} x", "d": 1}')

    assert json.loads(template.render({"name": name, "count": count}, asked)) == {
        "a": [name, {"b": f"<{asked}>"}],
        "n": count,
        "c": f"{count} x",
        "d": 1,
    }


def test_a_json_string_is_the_text_itself():
    assert parsed('"Dear {{ name }}"').render({"name": "Ann"}, "") == "Dear Ann"
    assert parsed('"Later."').is_static


def test_a_text_is_one_template_and_problems_name_their_place():
    with pytest.raises(ConfigError) as raised:
        parsed("Dear customer,\n{{ nam }}\n", is_json=False)

    (problem,) = raised.value.problems
    assert (problem.line, problem.column) == (2, 4)
    assert "did you mean `name`?" in problem.message


def test_an_object_without_what_is_read_leaves_no_answer_and_is_not_quoted():
    template = parsed("Order {{ order.id }}", is_json=False)
    with pytest.raises(AnswerUnfit) as raised:
        template.render({"name": "x", "order": {"secret": 1}}, "")

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("text", ["{", '{"a": "{{ name"}', "[" * 200 + "]" * 200])
def test_what_is_no_template_is_refused(text):
    with pytest.raises(ConfigError):
        parsed(text)
