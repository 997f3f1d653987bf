import enum

import pytest

from headworks.errors import Refusal
from tests.prompts.conftest import MARKER, make


class Tone(enum.StrEnum):
    WARM = "warm"


def refused(declared, values):
    names = [line.split(":")[0] for line in declared.splitlines()]
    prompt = make(" ".join(f"{{{{ {name} }}}}" for name in names), declared)
    with pytest.raises(Refusal) as caught:
        prompt.render(values, marker=MARKER)
    return caught.value


def test_a_variable_that_is_missing_is_named():
    refusal = refused("x: string", {})

    assert (refusal.status, refusal.code, refusal.param) == (400, "missing_prompt_variable", "prompt.variables.x")
    assert refusal.message == "The variables do not fit the prompt `triage`: `x` is missing."


def test_a_variable_that_is_unknown_is_named_with_the_nearest():
    refusal = refused("ticket: {type: string, default: a}", {"tickt": "b"})

    assert (refusal.code, refusal.param) == ("unknown_prompt_variable", "prompt.variables.tickt")
    assert "did you mean `ticket`?" in refusal.message


def test_an_unknown_name_that_may_be_anything_is_not_repeated():
    refusal = refused("x: {type: string, default: a}", {"Ann Smith, born 1980": "b"})

    assert "Ann" not in refusal.message + str(refusal.param)
    assert "the prompt's variables: `x`" in refusal.message


def test_all_that_is_wrong_is_said_at_once():
    refusal = refused("x: string\nn: integer\ny: string", {"x": 1, "n": "2", "z": 3})

    assert (refusal.code, refusal.param) == ("invalid_prompt_variable", "prompt.variables.x")
    for words in ("`x`: expected text", "`n`: expected a whole number", "`y` is missing", "`z` is not a variable"):
        assert words in refusal.message


@pytest.mark.parametrize(
    ("declared", "value", "words"),
    [
        ("string", None, "expected text, got null"),
        ("string", b"a", "expected text, got something that is not JSON"),
        ("string", "half \ud800", "half of a surrogate pair"),
        ("{type: string, max_length: 3}", "four", "longer than 3 characters"),
        ("integer", True, "expected a whole number, got a truth value"),
        ("integer", 1.0, "expected a whole number, got a number"),
        ("integer", 2**63, "at most 64 bits"),
        pytest.param("integer", 10**5000, "at most 64 bits", id="a very long integer"),
        ("{type: integer, minimum: 3}", 2, "expected at least 3"),
        ("{type: integer, maximum: 3}", 4, "expected at most 3"),
        ("{type: number, maximum: 0.5}", 0.75, "expected at most 0.5"),
        ("number", float("nan"), "expected a finite number"),
        ("number", False, "expected a number, got a truth value"),
        ("number", "1", "expected a number, got text"),
        ("boolean", 1, "expected true or false, got a whole number"),
        ("{type: enum, values: [warm, cold]}", "tepid", "expected one of `warm`, `cold`"),
        ("list", "ab", "expected a list, got text"),
        ("list", ["a", 7], "item 1: expected text"),
        ("{type: list, max_items: 1}", ["a", "b"], "more than 1 items"),
        ("{type: list, max_length: 9}", ["aaaa", "bbbb"], "longer than 9 characters as JSON"),
        ("object", [1], "expected an object, got a list"),
        ("object", {1: 2}, "expected text, got a whole number"),
        ("object", {"a": object()}, "not JSON"),
        ("object", {"a": ["\udfff"]}, "half of a surrogate pair"),
        ("{type: object, max_length: 9}", {"long": "value"}, "longer than 9 characters as JSON"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_without_being_quoted(declared, value, words):
    refusal = refused(f"x: {declared}", {"x": value})

    assert (refusal.code, refusal.param) == ("invalid_prompt_variable", "prompt.variables.x")
    assert words in refusal.message
    assert "tepid" not in refusal.message


def test_an_object_that_is_nested_too_deeply_is_refused():
    value = {}
    for _ in range(40):
        value = {"a": value}

    assert "nested deeper than 32" in refused("x: object", {"x": value}).message


def test_a_default_stands_in_for_a_value_that_is_left_out():
    prompt = make("{{ x }} {{ xs }}", "x: {type: integer, default: 3}\nxs: {type: list, default: [a, b]}")

    assert prompt.render({}, marker=MARKER).messages[0].text == '3 ["a", "b"]'
    assert prompt.render({"x": 4, "xs": ()}, marker=MARKER).messages[0].text == "4 []"


def test_values_become_plain_whatever_the_application_passes():
    class Loud(str):
        __slots__ = ()

        def __str__(self):
            return "LOUD"

        def upper(self):
            return "LOUDER"

    prompt = make("{{ tone }} {{ x }} {{ x|upper }}", "tone: {type: enum, values: [warm]}\nx: string")

    assert prompt.render({"tone": Tone.WARM, "x": Loud("a")}, marker=MARKER).messages[0].text == "warm a A"


def test_the_callers_values_are_not_changed():
    values = {"x": "a", "o": {"b": 1}}
    make("{{ x|fence }}{{ o }}", "x: string\no: object").render(values, marker=MARKER)

    assert values == {"x": "a", "o": {"b": 1}}
