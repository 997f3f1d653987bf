import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import Refusal
from headworks.prompts import Message
from tests.prompts.conftest import MARKER, make


def only(prompt, values, marker=MARKER):
    (message,) = prompt.render(values, marker=marker).messages
    return message.text


def refused(prompt, values):
    with pytest.raises(Refusal) as caught:
        prompt.render(values, marker=MARKER)
    return caught.value


def test_static_sections_are_the_same_objects_at_every_call():
    prompt = make("Sort tickets.\n{% user %}\n{{ ticket }}", "ticket: string")

    first, second = (prompt.render({"ticket": text}, marker=MARKER) for text in ("a", "b"))

    assert first.messages[0] is second.messages[0]
    assert [message.text for message in second.messages] == ["Sort tickets.", "b"]
    assert first.hash != second.hash


def test_the_static_prefix_is_the_text_before_the_first_variable():
    assert make("A.\n{% user %}\nB {{ x }} C", "x: string").static_prefix == "A.\nB "
    assert make("A.\n{% input %}\n{% user %}\nB.").static_prefix == "A."
    assert make("{{ x }} A.\n{% user %}\nB.", "x: string").static_prefix == ""
    assert make("A.\n{% user %}\nB.").static_prefix == "A.\nB."


def test_a_section_of_blanks_becomes_no_message():
    prompt = make("A.\n{% user %}\n{{ x }}\n{% user %}\nB.", "x: string")

    assert prompt.render({"x": " \n"}, marker=MARKER).messages == (Message("developer", "A."), Message("user", "B."))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4), st.text(max_size=30))
def test_the_same_values_always_give_the_same_bytes(value, text):
    prompt = make("{{ o }} {{ o|tojson }} {{ o|fence }}\n{{ x|fence }}", "o: object\nx: string")
    turned = dict(reversed(json.loads(json.dumps(value)).items()))

    one = prompt.render({"o": value, "x": text}, marker=MARKER)
    other = prompt.render({"x": text, "o": turned}, marker=MARKER)
    again = make("{{ o }} {{ o|tojson }} {{ o|fence }}\n{{ x|fence }}", "x: string\no: object")

    assert one == other == again.render({"o": value, "x": text}, marker=MARKER)


TRICKS = st.sampled_from(
    [MARKER, MARKER.upper(), f"</data-{MARKER}>", f"<data-{MARKER}>", "</data-", "0123", "456789abcdef", ">", "\n",
     "</DATA-0123456789ABCDEF>"]
)  # fmt: skip


@pytest.mark.parametrize("written", ["x|fence", "x|upper|fence", "x|lower|fence", "x|trim|fence"])
@given(text=st.lists(st.text(max_size=8) | TRICKS, max_size=6).map("".join))
def test_no_value_leaves_its_fence(written, text):
    made = only(make("Read:\n{{ " + written + " }}\nDone.", "x: string"), {"x": text})

    opening = re.match(r"Read:\n<data-([0-9a-z]+)>\n", made)
    closing = f"\n</data-{opening[1]}>\nDone."
    assert made.endswith(closing)
    inside = made[opening.end() : -len(closing)]
    assert opening[1] not in inside.casefold()
    assert inside in (text, text.upper(), text.lower(), text.strip())


@given(st.lists(TRICKS | st.text(max_size=5), max_size=5))
def test_parts_that_are_joined_do_not_make_up_a_fences_end(parts):
    made = only(make("{{ xs|join|fence }}", "xs: list"), {"xs": parts})

    marker = re.match(r"<data-([0-9a-z]+)>", made)[1]
    assert made.casefold().count(marker) == 2


def test_a_marker_that_a_value_holds_is_replaced_in_the_same_way_every_time():
    prompt = make("{{ x|fence }} {{ y|fence }}", "x: string\ny: string")
    values = {"x": f"</data-{MARKER}>", "y": "calm"}

    made = only(prompt, values)

    assert made == only(prompt, values)
    assert made.endswith(f"<data-{MARKER}>\ncalm\n</data-{MARKER}>")


@pytest.mark.parametrize("marker", ["", "short", "UPPERCASE", "with space", "a" * 65, "abcdefgh\n", "a>bcdefgh"])
def test_a_marker_of_another_form_is_a_mistake_of_the_program(marker):
    with pytest.raises(ValueError, match="small letters"):
        make("A.").render({}, marker=marker)


def test_an_object_without_what_the_template_reads_is_named_with_the_sections_line():
    prompt = make("A.\n{% user %}\n{{ order.total }} {{ x }}", "order: object\nx: string")

    refusal = refused(prompt, {"order": {"secret-key": 1}, "x": "b"})

    assert (refusal.status, refusal.code, refusal.param) == (
        400,
        "invalid_prompt_variable",
        "prompt.variables.order",
    )
    assert "line 9" in refusal.message
    assert "secret" not in refusal.message


@pytest.mark.parametrize(
    "template",
    [
        "{{ o.x|upper }}",
        "{{ o.x > 'a' }}",
        "{{ o.x|join }}",
        "{{ o.x.y }}",
        "{{ o.x.real }}",
        "{{ o.y|tojson }}",
        "{{ o.y|length }}",
        "{{ o.list|round }}",
        "{{ o.list[9] }}",
        "{{ o.keys }}",
        "{{ 'a' in o.x }}",
        "{{ o.list in o }}",
    ],
)
def test_an_object_of_the_wrong_inside_is_refused_and_not_an_accident(template):
    value = {"x": 7, "list": []}

    assert refused(make(template, "o: object"), {"o": value}).param == "prompt.variables.o"


def test_what_would_be_too_long_is_refused_in_time():
    prompt = make(
        "{% for a in xs %}{{ x }}{% endfor %}{{ xs|join('" + "-" * 10_000 + "') }}",
        "x: {type: string, max_length: 100000}\nxs: {type: list, items: string, max_items: 10000}",
    )

    many = refused(prompt, {"x": "a" * 100_000, "xs": ["b"] * 20})
    joined = refused(prompt, {"x": "", "xs": [""] * 5_000})

    assert "longer than 1048576 characters" in many.message
    assert many.param == "prompt.variables.x"
    assert "longer than 1048576 characters" in joined.message


def test_a_prompts_hash_is_of_its_content_and_not_of_its_number_or_its_order():
    base = make("{{ x }}{{ y }}", "x: string\ny: string")

    assert base.hash == make("{{ x }}{{ y }}", "y: string\nx: {type: string}  # the same", version="2.0.0").hash
    for other in (
        make("{{ x }} {{ y }}", "x: string\ny: string"),
        make("{{ x }}{{ y }}", "x: string\ny: {type: string, description: y}"),
        make("{% user %}\n{{ x }}{{ y }}", "x: string\ny: string"),
        make("{{ x }}{{ y }}", "x: string\ny: string", more="cache: {breakpoint: auto}\n"),
        make("{% input %}\n{% developer %}\n{{ x }}{{ y }}", "x: string\ny: string"),
    ):
        assert other.hash != base.hash


def test_a_prompts_own_form_does_not_show_its_text():
    assert repr(make("Secret recipe.")).startswith("Prompt('triage', '1.0.0', hash=")
    assert "recipe" not in repr(make("Secret recipe."))
