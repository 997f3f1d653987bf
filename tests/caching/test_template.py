import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.caching import Template, TemplatePiece, cause_of, first_varying, prefix_of
from headworks.prompts import parse

FIXED = "Rules. " * 200
TEXT = f"""---
version: 1.0.0
variables:
  shop: {{type: string, max_length: 900}}
  is_new: {{type: boolean, default: false}}
  ticket: {{type: string, max_length: 900}}
---
{{% developer %}}
You help {{{{ shop }}}} with tickets.
{FIXED}
{{% if is_new %}}Be kind.{{% endif %}}
{{% input %}}
{{% user %}}
Ticket: {{{{ ticket }}}}
"""
PROMPT = parse(TEXT, name="triage", file="prompt.md")
TEMPLATE = Template(
    tuple(
        tuple(TemplatePiece(piece.line, piece.column, piece.text, piece.names) for piece in section.pieces)
        for section in PROMPT.sections
    ),
    PROMPT.input_at,
)


def request(turns=(), tools=None, **values):
    rendered = PROMPT.render({"shop": "Southdock", "ticket": "late"} | values, marker="3f9a41c07be2d586")
    messages = [{"role": one.role, "content": one.text} for one in rendered.messages]
    messages[rendered.input_at : rendered.input_at] = [{"role": "user", "content": turn} for turn in turns]
    fields = {"model": "x", "input": messages} | ({} if tools is None else {"tools": tools})
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}


def line_of(text):
    return next(number for number, line in enumerate(TEXT.splitlines(), 1) if text in line)


@pytest.mark.parametrize(
    ("values", "line", "names"),
    [
        ({"shop": "Northdock"}, line_of("{{ shop }}"), ("shop",)),
        ({"is_new": True}, line_of("{% if"), ("is_new",)),
        ({"ticket": "lost"}, line_of("{{ ticket }}"), ("ticket",)),
    ],
)
def test_the_line_of_the_template_is_that_of_the_variable(values, line, names):
    one, other = request(), request(**values)

    offset, cause = cause_of(one, other, TEMPLATE)

    first, second = prefix_of(one), prefix_of(other)
    assert first[:offset] == second[:offset]
    assert first[: offset + 1] != second[: offset + 1]
    assert (cause.part, cause.line, cause.names, cause.is_callers) == ("input", line, names, False)


def test_fixed_text_behind_the_line_is_counted():
    _, early = cause_of(request(), request(shop="Northdock"), TEMPLATE)
    _, late = cause_of(request(), request(ticket="lost"), TEMPLATE)

    assert early.fixed_tokens > 300
    assert late.fixed_tokens == 0


def test_the_callers_own_messages_are_told_from_the_prompts():
    _, cause = cause_of(request(["hello"]), request(["good day"]), TEMPLATE)

    assert (cause.part, cause.is_callers, cause.line) == ("input", True, 0)


def test_what_is_not_in_messages_is_named_by_its_field():
    _, cause = cause_of(request(tools=[{"name": "a"}]), request(tools=[{"name": "b"}]), TEMPLATE)

    assert (cause.part, cause.line) == ("tools", 0)


def test_messages_of_another_prompt_are_blamed_on_no_line_and_on_no_caller():
    other = parse(TEXT.replace("You help", "You serve"), name="triage", file="prompt.md")
    sections = tuple(
        tuple(TemplatePiece(piece.line, piece.column, piece.text, piece.names) for piece in section.pieces)
        for section in other.sections
    )

    _, cause = cause_of(request(), request(shop="Northdock"), Template(sections, other.input_at))

    assert (cause.part, cause.line, cause.is_callers) == ("input", 0, False)


def test_without_a_template_the_field_is_all_that_is_known():
    _, cause = cause_of(request(), request(shop="Northdock"), None)

    assert (cause.part, cause.line, cause.is_callers) == ("input", 0, False)


def test_without_text_the_first_piece_that_can_vary_is_a_guess():
    cause = first_varying(TEMPLATE, 511)

    assert (cause.line, cause.names, cause.is_known) == (line_of("{{ shop }}"), ("shop",), False)
    assert first_varying(Template(((TemplatePiece(1, 1, "fixed"),),), 1), 511).is_callers


def test_a_piece_that_lies_behind_the_place_is_not_blamed():
    template = Template(((TemplatePiece(1, 1, "x" * 600), TemplatePiece(2, 1, names=("late",))),), 1)

    assert first_varying(template, 511).line == 0
    assert first_varying(template, 1023).line == 2


def test_more_messages_of_the_caller_are_not_blamed_on_what_stands_behind_them():
    _, cause = cause_of(request(["hello"]), request(["hello", "are you there?"]), TEMPLATE)

    assert (cause.is_callers, cause.line) == (True, 0)


values = st.fixed_dictionaries(
    {
        "shop": st.one_of(st.text("ab {}.", min_size=1, max_size=20), st.just("a with tickets.\n")),
        "is_new": st.booleans(),
        "ticket": st.text("xy:", max_size=9),
    }
)


@given(values, values, st.lists(st.text("pq", max_size=5), max_size=2))
def test_any_two_requests_part_at_the_first_variable_that_differs(one, other, turns):
    # What the values look like must not lead astray: they may hold the template's own words and marks.
    differing = [name for name in ("shop", "is_new", "ticket") if one[name] != other[name]]
    if not differing or not (one["ticket"].strip() and one["shop"].strip() and other["shop"].strip()):
        return

    _, cause = cause_of(request(turns, **one), request(turns, **other), TEMPLATE)

    assert cause.names == (differing[0],)


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_requests_of_any_form_have_a_cause(one, other):
    offset, cause = cause_of({"input": msgspec.Raw(one)}, {"input": msgspec.Raw(other)}, TEMPLATE)

    assert 0 <= offset <= min(len(one), len(other))
    assert cause.part in ("input", "")
