import json
import socket

import pytest

from headworks.errors import ConfigError
from headworks.screening import OutputSchema

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def compiled(schema, **options):
    text = schema if isinstance(schema, bytes) else json.dumps(schema).encode()
    return OutputSchema.compile(text, name="answer", **options)


def problem(schema):
    with pytest.raises(ConfigError) as raised:
        compiled(schema, file="schema.json")
    (found,) = raised.value.problems
    return found


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments, **named):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def listener():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        yield listening


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
def test_a_reference_to_another_document_is_refused_and_nothing_is_fetched(listener, keyword):
    host, port = listener.getsockname()

    found = problem({"properties": {"a": {keyword: f"http://{host}:{port}/a.json"}}})

    assert f"/properties/a/{keyword}" in found.message
    assert "$defs" in found.message
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_the_draft_s_own_schema_is_at_hand_without_a_network(no_network):
    schema = compiled({"$ref": DRAFT})

    assert schema.check('{"type": "string"}') is None
    assert schema.check('{"type": "wrong"}') is not None


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        (b'{"properties":\n {"a": {"$ref": "#/$defs/no"}}}', 2, 17, "/properties/a/$ref"),
        (b'{"properties":\n {"a": {"minimum": "x"}}}', 2, 20, "/properties/a/minimum"),
        (b'{"type": "wat"}', 1, 10, "/type"),
        (b'{"type": "string",\n "type": "null"}', 2, 7, "twice"),
        (b'{"type":', 0, 0, "ends"),
        (b'{"type"; 1}', 1, 8, "not JSON"),
        (b"[]", 1, 1, "object"),
        (b'{"$schema": "http://json-schema.org/draft-07/schema#"}', 1, 13, DRAFT),
        (b'{"pattern": "(?=a)b"}', 1, 13, "linear time"),
        (b'{"pattern": "(a)\\\\1"}', 1, 13, "linear time"),
        (b'{"const": "\xff"}', 0, 0, "UTF-8"),
    ],
)
def test_a_schema_that_is_not_valid_is_refused_with_its_place(text, line, column, said):
    found = problem(text)

    assert (found.file, found.line, found.column) == ("schema.json", line, column) or line == 0
    assert said in found.message


def test_the_canonical_form_keeps_key_order_and_the_hash_follows_it():
    spaced = compiled(b'{ "type": "object",\n"properties": {"b": {}, "a": {"const": 1.50}}}')
    tight = compiled(b'{"type":"object","properties":{"b":{},"a":{"const":1.50}}}')
    other = compiled(b'{"type":"object","properties":{"a":{"const":1.50},"b":{}}}')

    assert spaced.canonical == b'{"type":"object","properties":{"b":{},"a":{"const":1.50}}}'
    assert spaced.hash == tight.hash
    assert spaced.hash != other.hash
    assert len(spaced.hash) == 64


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "incomplete"),
        ('{"a": 1', "incomplete"),
        ("no", "not-json"),
        ("{'a': 1}", "not-json"),
        ("[1,]", "not-json"),
        ("NaN", "not-json"),
        ("-Infinity", "not-json"),
        ("1e999", "number-out-of-range"),
        ("9" * 5000, "number-out-of-range"),
        ("{} {}", "trailing-text"),
        ("```json\n{}\n```", "not-json"),
        ('{"a": 1, "a": 1}', "duplicate-key"),
        ('[{"b": {"a": 1, "\\u0061": 1}}]', "duplicate-key"),
        ("[" * 65 + "]" * 65, "too-deep"),
        ("[" * 100_000, "too-deep"),
        ('"\\ud800"', "not-unicode"),
        ('["\ud800"]', "not-unicode"),
        (b'"\xff"', "not-unicode"),
        ("\ufeff{}", "not-json"),
    ],
)
def test_text_that_two_parsers_could_understand_differently_is_a_fault(text, rule):
    assert compiled({}).check(text).rule == rule


@pytest.mark.parametrize("text", ["[" * 64 + "]" * 64, '"\\ud83d\\ude00"', b' {"a": 1e2}\n', "1" * 300, '"\u2028"'])
def test_text_that_means_one_thing_is_no_fault(text):
    assert compiled({}).check(text) is None


@pytest.mark.parametrize(
    ("schema", "text", "pointer", "rule", "said"),
    [
        ({"type": "integer"}, "1.5", "", "type", "integer"),
        ({"properties": {"a/b": {"enum": ["x", "y"]}}}, '{"a/b": "z"}', "/a~1b", "enum", '"x", "y"'),
        ({"required": ["name"]}, "{}", "", "required", '"name"'),
        ({"properties": {"a": {}}, "additionalProperties": False}, '{"zz": 1}', "", "additionalProperties", '"a"'),
        ({"items": {"maxLength": 2}}, '["ab", "abc"]', "/1", "maxLength", "at most 2 characters"),
        ({"minimum": 3}, "2", "", "minimum", "at least 3"),
        ({"const": 5}, "2", "", "const", "5"),
        ({"format": "date"}, '"tomorrow"', "", "format", "date"),
        ({"pattern": "^a"}, '"b"', "", "pattern", "^a"),
        ({"multipleOf": 5}, "3", "", "multipleOf", "5"),
        ({"uniqueItems": True}, "[1, 1]", "", "uniqueItems", "twice"),
        ({"not": {}}, "1", "", "not", "`not`"),
        ({"oneOf": [{}, {}]}, "1", "", "oneOf", "more than one"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "1", "", "anyOf", "none of the 2 forms"),
        ({"properties": {"a": False}}, '{"a": 1}', "/a", "falseSchema", "not be there"),
        (False, "1", "", "falseSchema", "not be there"),
    ],
)
def test_a_broken_rule_is_told_in_the_schema_s_words(schema, text, pointer, rule, said):
    fault = compiled(schema).check(text)

    assert (fault.pointer, fault.rule) == (pointer, rule)
    assert said in fault.message


def test_of_the_forms_of_any_of_the_one_that_was_meant_is_looked_into():
    item = {"type": "object", "properties": {"price": {"type": "number"}}, "required": ["price"]}
    schema = compiled({"properties": {"item": {"anyOf": [item, {"type": "null"}]}}})

    assert schema.check('{"item": {"price": "free"}}').pointer == "/item/price"
    assert schema.check('{"item": {}}').rule == "required"


def test_a_fault_shows_neither_a_value_nor_a_name_that_the_schema_does_not_know():
    schema = compiled({"additionalProperties": {"type": "object", "additionalProperties": {"type": "integer"}}})

    fault = schema.check('{"jane.doe@example.org": {"secret": "42 High Street"}}')

    assert fault.pointer == "/*/*"
    assert not any(word in str(fault) for word in ("jane", "secret", "High"))


def test_formats_are_remarks_where_it_is_asked_for():
    assert compiled({"format": "date"}, asserts_formats=False).check('"tomorrow"') is None


def test_a_pattern_and_a_text_made_for_it_do_not_make_the_check_run_away():
    schema = compiled({"pattern": "^(a+)+$"})

    assert schema.check(json.dumps("a" * 50_000 + "!")).rule == "pattern"


def test_a_reference_that_leads_back_to_itself_ends():
    assert compiled({"$ref": "#"}).check("1") is None


def test_a_list_of_choices_that_is_long_is_cut():
    fault = compiled({"enum": [f"choice {number}" for number in range(500)]}).check("1")

    assert len(fault.message) < 500
    assert "500 in all" in fault.message
