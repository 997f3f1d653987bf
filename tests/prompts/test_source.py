import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import ConfigError
from tests.prompts.conftest import MARKER, make

ROLES = ("developer", "system", "user", "assistant")


def test_sections_have_the_roles_of_the_markers_before_them():
    prompt = make(
        "First.\n\n{% system %}\nRules.\n{% user %}\n\n  Indented.\nTwo.\n\n\n{%- assistant -%}\nYes.\n{%user%}\nNo."
    )

    assert [(section.role, section.source) for section in prompt.sections] == [
        ("developer", "First."),
        ("system", "Rules."),
        ("user", "  Indented.\nTwo."),
        ("assistant", "Yes."),
        ("user", "No."),
    ]
    assert [(section.line, section.column) for section in prompt.sections] == [
        (4, 1),
        (7, 1),
        (10, 1),
        (15, 1),
        (17, 1),
    ]


def test_the_callers_messages_go_to_the_end_or_where_the_template_says():
    at_the_end = make("Be kind.\n{% user %}\nHi.").render({}, marker=MARKER)
    in_the_middle = make("Be kind.\n{% input %}\n\n{% developer %}\nAnswer in JSON.").render({}, marker=MARKER)
    at_the_start = make("{% input %}\n{% developer %}\nAnswer in JSON.").render({}, marker=MARKER)

    assert (at_the_end.input_at, in_the_middle.input_at, at_the_start.input_at) == (2, 1, 0)


def test_the_place_of_the_input_counts_messages_that_are_there():
    prompt = make("{% user %}\n{% if x %}\nLong.\n{% endif %}\n{% input %}\n{% user %}\nEnd.", "x: boolean")

    assert prompt.render({"x": True}, marker=MARKER).input_at == 1
    assert prompt.render({"x": False}, marker=MARKER).input_at == 0
    assert [message.text for message in prompt.render({"x": False}, marker=MARKER).messages] == ["End."]


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("", "prompt.md:3:1: the template after the front matter is empty"),
        ("\n \n", "is empty"),
        ("{% user %}\n\n{% assistant %}\nYes.", "prompt.md:4:1: this section is empty"),
        ("{% input %}\n{% input %}\n{% user %}\nHi.", "prompt.md:5:1: `{% input %}` stands here a second time"),
        ("Hi.\n{% input %}\n  More.", "prompt.md:6:1: text after `{% input %}` needs a role"),
        ("Hi {% user %} there", "prompt.md:4:7: a role's marker must stand alone"),
        ("{% if true %}\n{% user %}\nHi.\n{% endif %}", "a role's marker ends whatever is open"),
    ],
)
def test_a_division_that_cannot_be_meant_is_named(template, problem):
    with pytest.raises(ConfigError) as caught:
        make(template)

    assert problem in str(caught.value)


MARKERS = [f"{{% {role} %}}" for role in (*ROLES, "input")]
VALUES = st.lists(st.one_of(st.text(max_size=20), st.sampled_from(["\n", "\r\n", "{{ x }}", "---\n", *MARKERS])))


@pytest.mark.uncounted
@given(VALUES.map("".join), VALUES.map("".join))
def test_no_value_forges_a_role(first, second):
    prompt = make(
        "You sort {{ first }}.\n{% user %}\n> {{ second }}\n{% assistant %}\nYes.\n"
        "{% input %}\n{% system %}\n{{ first|fence }}",
        "first: string\nsecond: string",
    )

    rendered = prompt.render({"first": first, "second": second}, marker=MARKER)

    assert [message.role for message in rendered.messages] == ["developer", "user", "assistant", "system"]
    assert rendered.input_at == 3
    assert [message.text for message in rendered.messages[:3]] == [f"You sort {first}.", f"> {second}", "Yes."]
