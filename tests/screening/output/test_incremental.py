import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headworks.screening import IncrementalCheck, OutputSchema

TICKET = {
    "type": "object",
    "properties": {
        "category": {"type": "string", "enum": ["billing", "bug", "other"]},
        "urgency": {"type": "integer", "minimum": 1, "maximum": 5},
        "customer": {"$ref": "#/$defs/person"},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 4}},
        "reply": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["category", "urgency"],
    "additionalProperties": False,
    "$defs": {
        "person": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "boss": {"anyOf": [{"$ref": "#/$defs/person"}, {"type": "null"}]},
            },
            "required": ["name"],
            "additionalProperties": False,
        }
    },
}


def compiled(schema):
    return OutputSchema.compile(json.dumps(schema).encode(), name="answer")


def fed_by_character(schema, text):
    """The check, the first fault, and how many characters it took."""
    check = IncrementalCheck(schema)
    for count, character in enumerate(text, 1):
        if fault := check.feed(character):
            return check, fault, count
    return check, None, len(text)


@pytest.fixture(scope="module")
def ticket():
    return compiled(TICKET)


@pytest.mark.parametrize(
    ("text", "rule", "pointer", "after"),
    [
        ('["no"]', "type", "", "["),
        ('{"category": 5}', "type", "/category", '{"category": 5'),
        ('{"category": "bux"}', "enum", "/category", '{"category": "bux'),
        ('{"category": "bu"}', "enum", "/category", '{"category": "bu"'),
        ('{"mood": "good"}', "additionalProperties", "", '{"mood"'),
        ('{"urgency": 1.5}', "type", "/urgency", '{"urgency": 1.5}'),
        ('{"urgency": 9, "category": "bug"}', "maximum", "/urgency", '{"urgency": 9,'),
        ('{"urgency": 2}', "required", "", '{"urgency": 2}'),
        ('{"reply": {"text": ""}}', "type", "/reply", '{"reply": {'),
        ('{"tags": ["ab", 3]}', "type", "/tags/1", '{"tags": ["ab", 3'),
        ('{"tags": ["ab", "too long"]}', "maxLength", "/tags/1", '{"tags": ["ab", "too long"]'),
        ('{"customer": {"name": "A", "boss": {"nam": 1}}}', "additionalProperties", "/customer/boss", None),
        ('{"customer": {"boss": null}}', "required", "/customer", '{"customer": {"boss": null}'),
        ('{"urgency": 1, "urgency": 2}', "duplicate-key", "", '{"urgency": 1, "urgency"'),
        ('{"urgency": 01}', "not-json", "/urgency", '{"urgency": 01'),
        ('{"category" "bug"}', "not-json", "/category", '{"category" "'),
        ('{"reply": "\\x"}', "not-json", "/reply", '{"reply": "\\x'),
        ('{"reply": "\\ud800"}', "not-unicode", "/reply", '{"reply": "\\ud800"'),
        ('{"urgency": NaN}', "not-json", "/urgency", '{"urgency": N'),
        ('{"category": "bug", "urgency": 1} Done!', "trailing-text", "", '{"category": "bug", "urgency": 1} D'),
    ],
)
def test_a_fault_is_reported_at_the_character_that_makes_it_certain(ticket, text, rule, pointer, after):
    _, fault, count = fed_by_character(ticket, text)

    assert (fault.rule, fault.pointer) == (rule, pointer)
    if after is not None:
        assert text[:count] == after


def test_completed_fields_can_be_read_before_the_answer_ends(ticket):
    check = IncrementalCheck(ticket)

    seen = []
    for piece in ('{"category": "bil', 'ling", "urg', 'ency": 3', ', "tags": ["a"', ', "b"]', "}"):
        assert check.feed(piece) is None
        seen.append(dict(check.completed))

    assert seen[0] == {}
    assert seen[1] == seen[2] == {"category": "billing"}, "a number may go on until something follows it"
    assert seen[3] == {"category": "billing", "urgency": 3}
    assert seen[5] == {"category": "billing", "urgency": 3, "tags": ["a", "b"]}
    assert check.finish() is None
    assert check.text == '{"category": "billing", "urgency": 3, "tags": ["a", "b"]}'


def test_a_field_that_is_wrong_is_not_among_the_completed(ticket):
    check, fault, _ = fed_by_character(ticket, '{"category": "bug", "urgency": 7, "tags": []}')

    assert fault.rule == "maximum"
    assert dict(check.completed) == {"category": "bug"}


def test_a_fault_is_reported_again_by_every_later_call(ticket):
    check = IncrementalCheck(ticket)
    first = check.feed("[")

    assert check.feed("{}") == first == check.finish()


def test_an_answer_that_is_cut_short_is_incomplete(ticket):
    check = IncrementalCheck(ticket)
    check.feed('{"category": "bug", "urgency": 1')

    assert check.finish().rule == "incomplete"


def test_an_answer_nested_too_deeply_is_stopped_while_it_streams():
    _, fault, count = fed_by_character(compiled({}), "[" * 100)

    assert (fault.rule, count) == ("too-deep", 65)


def test_a_fault_holds_nothing_of_the_answer(ticket):
    for text in ('{"jane.doe@example.org": 1}', '{"category": "jane"}', '{"customer": {"jane": {"x": 1}}}'):
        _, fault, _ = fed_by_character(ticket, text)

        assert "jane" not in str(fault)


names = st.sampled_from(["a", "b", "ab", "c/d", "é"])
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, 1.0, -2.0, 1e2, 10**25, 1e300]),
    st.sampled_from(["", "a", "ab", "abc", "b", 'é"\\\n', "\U0001f600"]),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=8
)
types = st.sampled_from(["object", "array", "string", "number", "integer", "boolean", "null"])


def keywords(inner):
    return st.fixed_dictionaries(
        {},
        optional={
            "type": types | st.lists(types, min_size=1, max_size=3, unique=True),
            "properties": st.dictionaries(names, inner, max_size=3),
            "required": st.lists(names, max_size=2, unique=True),
            "additionalProperties": st.booleans() | inner,
            "items": inner,
            "enum": st.lists(scalars, min_size=1, max_size=3),
        },
    )


def rare_keywords(inner):
    return st.fixed_dictionaries(
        {},
        optional={
            "const": scalars,
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$"]), inner, min_size=1, max_size=1),
            "anyOf": st.lists(inner, min_size=1, max_size=3),
            "oneOf": st.lists(inner, min_size=1, max_size=2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
            "$ref": st.sampled_from(["#", "#/$defs/a", "#/$defs/b"]),
            "maxLength": st.integers(0, 2),
            "maxItems": st.integers(0, 2),
            "unevaluatedProperties": st.just(False),
            "minimum": st.integers(-1, 1),
        },
    )


def merged(inner):
    return st.builds(lambda common, rare: common | rare, keywords(inner), st.just({}) | rare_keywords(inner))


sub_schemas = st.recursive(st.booleans() | st.just({}) | keywords(st.booleans()), merged, max_leaves=6)
schemas = st.builds(
    lambda root, a, b: root | {"$defs": {"a": a, "b": b}}, merged(sub_schemas), sub_schemas, sub_schemas
)


@st.composite
def texts(draw, value=values):
    """JSON, or what was JSON before something happened to it."""
    text = json.dumps(
        draw(value), ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])), sort_keys=False
    )
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(text)))
        how = draw(st.sampled_from(["cut", "drop", "insert", "double"]))
        if how == "cut":
            text = text[:at]
        elif how == "drop":
            text = text[:at] + text[at + 1 :]
        elif how == "insert":
            text = text[:at] + draw(st.sampled_from(list('{}[],:"\\0123.eE-+ntfu \t\x00\ud800\ufeff'))) + text[at:]
        else:
            text = text[:at] + text[max(0, at - 9) : at] + text[at:]
    return text


@st.composite
def pieces(draw, text):
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def agree(schema, text, cut):
    check = IncrementalCheck(schema)
    early = None
    for piece in cut:
        early = check.feed(piece) or early
    verdict = check.finish()

    assert (verdict is None) == (schema.check(text) is None), (verdict, schema.check(text))
    if early is not None:
        assert verdict == early
    if verdict is None and isinstance(json.loads(text), dict):
        assert dict(check.completed) == json.loads(text)


@pytest.mark.uncounted
@given(schemas, st.data())
def test_however_a_text_is_cut_the_verdict_is_that_on_the_whole(schema, data):
    text = data.draw(texts())

    agree(compiled(schema), text, data.draw(pieces(text)))


ticket_values = st.fixed_dictionaries(
    {"category": st.sampled_from(["billing", "bug", "other", "b"]), "urgency": st.sampled_from([1, 5, 2.0, 1.5, 9])},
    optional={
        "tags": st.lists(st.sampled_from(["", "abcd", "abcde"]), max_size=2),
        "reply": st.none() | st.text(max_size=5),
        "customer": st.just({"name": "x", "boss": {"name": "y", "boss": None}}),
    },
)
TICKET_SCHEMA = compiled(TICKET)


@given(texts(ticket_values), st.data())
def test_an_answer_of_a_ticket_is_judged_the_same_however_it_is_cut(text, data):
    agree(TICKET_SCHEMA, text, data.draw(pieces(text)))


@given(texts())
@example('{"a": 1, "a": 1}')
@example("1e999")
@example("9" * 5000)
@example('"\ud800"')
@example('"\\ud83d\\ude00"')
@example("-")
@example("\ufeff1")
@example("[" * 65 + "]" * 65)
@example("[" * 64 + "]" * 64)
@example("[" * 100_000)
def test_characters_one_by_one_are_judged_as_the_whole(text):
    agree(ANYTHING, text, list(text))


ANYTHING = compiled({})
