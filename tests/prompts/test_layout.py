import json

import pytest

from headworks.catalogue import count_tokens
from headworks.prompts import LintPrices, lint
from tests.prompts.conftest import make

PRICES = LintPrices(input_pico_usd=2_000_000, cached_pico_usd=200_000)
LONG = "The customer has ordered garden shears and wants a new pair. " * 120
TOKENS = count_tokens(LONG)
USER = "\n{% user %}\n{{ ticket }}"


def findings(prompt, tools=None, schema=None, minimum_tokens=1024, prices=PRICES):
    return lint(prompt, tools=tools, schema=schema, calls_per_day=1000, prices=prices, minimum_tokens=minimum_tokens)


def found(rule, *arguments, **more):
    return [finding for finding in findings(*arguments, **more) if finding.rule == rule]


def monthly(tokens):
    return tokens * 1_800_000 * 30_000 // 1_000_000


def daily(tokens):
    """Sent once a day instead of read from the cache."""
    return tokens * 1_800_000 * 30 // 1_000_000


def test_a_prompt_with_its_fixed_text_first_has_nothing_to_mend():
    assert TOKENS > 1024
    assert findings(make(LONG + USER, "ticket: string")) == []


def test_fixed_text_behind_a_variable_is_named_with_its_tokens_and_their_price():
    (finding,) = found(
        "variable-before-static", make("Hello {{ ticket }}, be\nkind.\n{% user %}\n" + LONG, "ticket: string")
    )

    missed = count_tokens(", be\nkind.") + count_tokens(LONG.strip())
    assert (finding.line, finding.column) == (6, 10)
    assert f"about {missed} tokens" in finding.message
    assert "`ticket` stands before fixed text (line 6)" in finding.message
    assert finding.monthly_cost_micro_usd == monthly(missed)


def test_fixed_text_behind_the_callers_messages_counts_too():
    (finding,) = found("variable-before-static", make(LONG + "\n{% input %}\n{% developer %}\nAnswer in JSON."))

    assert (finding.line, finding.column) == (5, 1)
    assert "`{% input %}`" in finding.message


def test_it_is_said_when_moving_would_not_help():
    (finding,) = found("variable-before-static", make("{{ ticket }} is short.", "ticket: string"))

    assert "all fixed text together is below the 1024 tokens" in finding.message


def test_variables_that_sound_volatile_are_named_where_fixed_text_follows():
    prompt = make(
        "Today is {{ today }}.\n{% user %}\n" + LONG + "\n{% user %}\n{{ user_name }}",
        "today: string\nuser_name: string",
    )

    (finding,) = found("volatile-in-prefix", prompt)

    assert (finding.line, finding.column) == (7, 13)
    assert finding.message.startswith("`today` looks like something that changes with every call")
    assert finding.monthly_cost_micro_usd == monthly(count_tokens(".") + count_tokens(LONG.strip()))


def test_dates_and_ids_that_are_written_out_in_the_prefix_are_named_with_their_place():
    prompt = make(
        "As of 2026-11-30 we ship.\nBuild 7f1c1d2e-0a1b-4c3d-8e9f-0123456789ab, at 1795435200.\n"
        "Parts 12026-11-30 and 2026-13-01 are no dates." + USER + " 2026-11-30",
        "ticket: string",
    )

    places = [
        (finding.line, finding.column, finding.message.split(";")[0]) for finding in found("volatile-in-prefix", prompt)
    ]

    assert places == [
        (6, 7, "the text looks like a date"),
        (7, 7, "the text looks like an id"),
        (7, 48, "the text looks like a timestamp"),
    ]
    assert all(one.monthly_cost_micro_usd > 0 for one in found("volatile-in-prefix", prompt))


def test_a_date_in_the_prefix_costs_what_stands_behind_it_once_a_day():
    (finding,) = found("volatile-in-prefix", make("Sort. As of 2026-11-30:\n" + LONG + USER, "ticket: string"))

    assert finding.monthly_cost_micro_usd == daily(count_tokens("2026-11-30:\n" + LONG.strip()))


def test_examples_behind_a_variable_are_named_with_their_question():
    examples = "\n{% user %}\nWhere is my order?\n{% assistant %}\norder_status"

    (finding,) = found("few-shots-after-variables", make("{{ ticket }}" + examples, "ticket: string"))

    tokens = count_tokens("Where is my order?") + count_tokens("order_status")
    assert (finding.line, finding.column) == (10, 1)
    assert finding.monthly_cost_micro_usd == monthly(tokens)
    assert found("few-shots-after-variables", make("Sort." + examples + USER, "ticket: string")) == []


@pytest.mark.parametrize(
    "examples",
    [
        "Input: Where is my order?\nOutput: order_status",
        "Q: Where is it?\n\nA: order_status",
        "Where is my order? -> order_status\nIt is broken => complaint",
    ],
)
def test_examples_that_are_written_out_behind_a_variable_are_named(examples):
    (finding,) = found("few-shots-after-variables", make("{{ ticket }}\nBe kind.\n" + examples, "ticket: string"))

    assert finding.line == 8
    assert finding.monthly_cost_micro_usd == monthly(count_tokens(examples))
    assert found("few-shots-after-variables", make(examples + USER, "ticket: string")) == []


@pytest.mark.parametrize("text", ["Note: a -> b is a mapping.", "Question the input: is it spam?", "Answer: in JSON."])
def test_what_is_no_example_is_not_taken_for_one(text):
    assert found("few-shots-after-variables", make("{{ ticket }}\n" + text, "ticket: string")) == []


def test_a_prefix_below_the_providers_minimum_is_named():
    prompt = make("Sort tickets." + USER, "ticket: string")

    (finding,) = findings(prompt)

    assert finding.rule == "prefix-too-short"
    assert finding.monthly_cost_micro_usd == monthly(count_tokens("Sort tickets."))
    assert findings(prompt, minimum_tokens=2) == []


def test_tools_and_schema_belong_to_the_prefix():
    tools = json.dumps([{"type": "function", "name": "look", "description": LONG}]).encode()

    assert findings(make("Sort tickets." + USER, "ticket: string"), tools=tools) == []


def test_a_breakpoint_that_is_off_above_a_long_prefix_is_missing():
    prompt = make(LONG + USER, "ticket: string", more="cache:\n  breakpoint: off\n")

    (finding,) = findings(prompt)

    assert (finding.rule, finding.line, finding.column) == ("breakpoint-missing", 6, 15)
    assert finding.monthly_cost_micro_usd == monthly(count_tokens(LONG.strip()))


def test_a_breakpoint_that_no_one_reads_from_is_misplaced():
    on = "cache: {breakpoint: auto}\n"
    short = found("breakpoint-misplaced", make("Sort." + USER, "ticket: string", more=on))
    lonely = found("breakpoint-misplaced", make(LONG, more=on))

    assert "below the 1024" in short[0].message
    assert "nothing in the prompt varies" in lonely[0].message
    assert lonely[0].monthly_cost_micro_usd == count_tokens(LONG.strip()) * 500_000 * 30_000 // 1_000_000
    assert findings(make(LONG + USER, "ticket: string", more=on)) == []
    assert findings(make(LONG + "\n{% input %}", more=on)) == []


def test_without_prices_there_is_no_cost():
    (finding,) = findings(make("Sort." + USER, "ticket: string"), prices=None)

    assert finding.monthly_cost_micro_usd is None


def test_tools_are_in_order_when_they_are_sorted_by_name_and_stand_once():
    text = b'[\n {"name": "b"},\n {"name": "a"},\n {"type": "web_search", "x": {"y": 1,\n  "y": 2}},\n {"name": "a"}]'

    made = [
        (one.line, one.column, one.file, one.message.split("; written in another order")[0])
        for one in found("unordered-tools", make(LONG), tools=text)
    ]

    assert made == [
        (3, 2, "tools", "the tools are not sorted by name from here on: sort them"),
        (5, 3, "tools", "this key stands here a second time: which one counts is up to the reader"),
        (6, 2, "tools", "this tool has the name of an earlier one"),
    ]
    costs = {one.monthly_cost_micro_usd for one in found("unordered-tools", make(LONG), tools=text)}
    assert costs == {daily(TOKENS + count_tokens(text.decode()))}
    chat = b'[{"type": "function", "function": {"name": "a"}}, {"type": "function", "function": {"name": "b"}}]'
    assert found("unordered-tools", make(LONG), tools=chat) == []


def test_a_schemas_keys_stand_once_in_each_object_and_in_the_order_of_its_author():
    good = b'{"z": {"type": "a, \\"type\\": {"}, "a": {"type": [{"z": 1}, {"z": 1}]}}'
    bad = b'{"a": 1,\n "\\u0061": 2}'

    assert found("unordered-schema-keys", make(LONG), schema=good) == []
    (finding,) = found("unordered-schema-keys", make(LONG), schema=bad)
    assert (finding.line, finding.column, finding.file) == (2, 2, "schema")
    assert finding.monthly_cost_micro_usd == daily(TOKENS + count_tokens(bad.decode()))


def test_tools_and_schemas_that_are_not_json_are_named_and_not_an_accident():
    for text in (b"[", b"\xff", b"{}", b'["a"]', b"[" * 100_000):
        assert found("unordered-tools", make(LONG), tools=text)
    assert "expected a list" not in str(found("unordered-tools", make(LONG), tools=b"[]"))


def test_variables_that_are_not_used_are_named_where_they_are_declared():
    prompt = make(LONG + USER, "ticket: string\nspare: {type: string, default: a}")

    (finding,) = findings(prompt)

    assert (finding.rule, finding.line, finding.monthly_cost_micro_usd) == ("unused-variable", 5, None)


def test_an_untrusted_value_that_instructs_the_model_is_named():
    declared = "a: string\nb: {type: string, trusted: true}\nc: {type: list, items: object}\nd: integer"
    template = LONG + "{{ a|fence }} {{ b }} {{ d }} {% if a %}{% endif %}{% for x in c %}{{ x.y }}{% endfor %}{{ a }}"

    messages = [f.message for f in found("unfenced-variable", make(template, declared))]

    assert [message.split("`")[1] for message in messages] == ["c", "a"]
    assert found("unfenced-variable", make(LONG + "\n{% user %}\n{{ a }}", "a: string")) == []


def test_no_finding_quotes_the_prompt():
    prompt = make("SECRET {{ ticket }} SECRET 2026-11-30 {{ today }}", "ticket: string\ntoday: string")

    assert "SECRET" not in str(findings(prompt, tools=b"[SECRET", schema=b'{"SECRET": 1, "SECRET": 2}'))


def test_a_finding_counts_its_tokens_and_weighs_where_a_cache_would_hold_them():
    (late,) = found("variable-before-static", make("Hi {{ ticket }}\n{% user %}\n" + LONG, "ticket: string"))
    (few,) = found("variable-before-static", make(LONG + "{{ ticket }}\n{% user %}\nGo on.", "ticket: string"))
    (short,) = found("variable-before-static", make("Hi {{ ticket }}\n{% user %}\nGo on.", "ticket: string"))

    assert (late.tokens, late.weighs) == (count_tokens(LONG.strip()), True)
    assert (few.tokens, few.weighs) == (count_tokens("Go on."), False)
    assert not short.weighs


def test_what_is_never_a_matter_of_taste_weighs():
    unfenced = make(LONG + "{{ ticket }}", "ticket: string")
    unused = make(LONG + USER, "ticket: string\nother: string")

    assert [finding.weighs for finding in found("unfenced-variable", unfenced)] == [True]
    assert [finding.weighs for finding in found("unused-variable", unused)] == [False]
    assert [one.weighs for one in found("unordered-schema-keys", unused, schema=b'{"a": 1, "a": 1}')] == [True]
