"""Values are escaped as the place needs where their tokens stand, however deep, and wherever a text was cut."""

import json
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.config.privacy import Privacy
from headworks.screening.privacy import KINDS, PrivacyPolicy, Restorer, TokenBook
from headworks.screening.privacy.nesting import Nesting

policy = PrivacyPolicy.compile(Privacy())
VALUES = ('Ada "the first"', "back\\slash", "line\nbreak", 'all "\\\n\t', "plain@example.org")
_book = TokenBook(b"n" * 32)
TOKENS = {_book.token_for(KINDS["secret"], value): value for value in VALUES}


def restored(text, places=None, *, in_json):
    restorer = Restorer(_book, policy.form)
    if places is None:
        return restorer.json(text) if in_json else restorer.text(text)
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    stream = restorer.stream(in_json=in_json)
    return "".join([*[stream.feed(text[first:last]) for first, last in pairwise(edges)], stream.end()])


class Within:
    """A document within a string."""

    def __init__(self, inner):
        self.inner = inner


def written(value, indent=None):
    """As a model writes it: with tokens."""
    return json.dumps(_flat(value, lambda token: token), indent=indent, ensure_ascii=False)


def meant(value):
    """As a tool reads it: with values, documents within strings parsed."""
    return _mapped(value, _with_values, lambda inner: inner)


def _with_values(text):
    for token, value in TOKENS.items():
        text = text.replace(token, value)
    return text


def _flat(value, change):
    return _mapped(value, change, json.dumps)


def _mapped(value, change, within):
    match value:
        case str():
            return change(value)
        case list():
            return [_mapped(one, change, within) for one in value]
        case dict():
            return {name: _mapped(one, change, within) for name, one in value.items()}
        case Within():
            return within(_mapped(value.inner, change, within))
    return value


def read(shape, text):
    """The text parsed as far as the shape says that there are documents."""

    def parsed(shape, value):
        match shape:
            case list():
                return [parsed(one, inner) for one, inner in zip(shape, value, strict=True)]
            case dict():
                return {name: parsed(one, value[name]) for name, one in shape.items()}
            case Within():
                return parsed(shape.inner, json.loads(value))
        return value

    return parsed(shape, json.loads(text))


plain = st.sampled_from(['He said "no" to ', "a\\b ", "[1] ", "`x` ", "x\n", "it is {so} ", ""])
strings = (
    st.lists(st.sampled_from(sorted(TOKENS)) | plain, max_size=3)
    .map("".join)
    .filter(lambda text: not text.startswith(("[", "{")))
)
leaves = strings | st.integers(-5, 5) | st.none() | st.booleans()


def containers(inner):
    return st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c d"]), inner, max_size=3)


documents = st.recursive(containers(leaves), lambda inner: containers(inner | inner.map(Within) | leaves), max_leaves=8)


@given(documents, st.lists(st.integers(0, 10_000), max_size=12), st.sampled_from([None, 2]))
def test_documents_within_strings_of_documents_stay_what_they_are(value, places, indent):
    text = written(value, indent)

    for in_json in (True, False):
        assert read(value, restored(text, in_json=in_json)) == meant(value)
        assert restored(text, places, in_json=in_json) == restored(text, in_json=in_json)


@given(documents, st.lists(st.integers(0, 10_000), max_size=12), st.sampled_from(["json", "", "JSON "]))
def test_a_document_between_fences_is_escaped_and_prose_around_it_is_not(value, places, language):
    token = next(token for token, value in TOKENS.items() if value == VALUES[0])
    text = f'For "{token}":\n```{language}\n{written(value, 2)}\n```\nSo "{token}" has it.'

    told = restored(text, places, in_json=False)

    before, document, after = told.split("```")
    assert before == f'For "{VALUES[0]}":\n'
    assert after == f'\nSo "{VALUES[0]}" has it.'
    assert read(value, document.removeprefix(language)) == meant(value)


@given(st.lists(plain | st.sampled_from(sorted(TOKENS)), max_size=6), st.lists(st.integers(0, 10_000), max_size=12))
def test_prose_has_the_values_as_they_are(words, places):
    text = "Well, " + "".join(words)

    assert restored(text, places, in_json=False) == _with_values(text)


@pytest.mark.parametrize(
    "text",
    ["[%s](mailto:x)", '{"a": 1}\nHe said "%s".', '[1] "%s"', "```python\nprint('%s')\n```", '"%s" it is', "{%s}"],
)
def test_what_only_looks_like_the_beginning_of_a_document_is_none(text):
    token = next(iter(TOKENS))

    assert restored(text % token, in_json=False) == text % TOKENS[token]


def test_a_string_that_quotes_is_no_document():
    token = next(iter(TOKENS))
    arguments = json.dumps({"say": f'She said "{token}" to me', "code": f'print("{token}")'})

    assert json.loads(restored(arguments, in_json=True)) == json.loads(arguments.replace(token, 'Ada \\"the first\\"'))


@pytest.mark.parametrize("piece", ["[ 1, 2, 3, ", "\\\\", "`", "```a", "{", "\n"])
def test_little_is_remembered_of_a_text_that_never_comes_to_a_string(piece):
    nesting = Nesting(in_json=False)
    for _ in range(5000):
        nesting.feed(piece)
    assert len(nesting._rest) <= 4096
    nesting.feed(' {"a": "')
    assert nesting.escaped('"') in ('"', '\\"')


around = st.sampled_from(
    [("Here it is: ", " Thanks!"), ("Sure:\n\n", "\n\nThat is all."), ("<tool_call>\n", "\n</tool_call>"),
     ("The answer (", "), in short."), ("See [1] and {so}: ", "; [2] has more."), ("I'd write: d = ", "\nprint(d)"),
     ('He said "no" to ', ' and "yes"')]
)  # fmt: skip


@given(
    documents.filter(lambda one: re.match(r"[^a-z\"]*\"", written(one))),
    around,
    st.lists(st.integers(0, 10_000), max_size=12),
    st.sampled_from([None, 2]),
)
def test_a_document_in_the_midst_of_prose_is_escaped_and_the_prose_is_not(value, around, places, indent):
    before, after = around
    token = next(token for token, value in TOKENS.items() if value == VALUES[0])
    text = f'For "{token}". {before}{written(value, indent)}{after} So "{token}" has it.'

    told = restored(text, places, in_json=False)

    assert told == restored(text, in_json=False)
    head, tail = f'For "{VALUES[0]}". {before}', f'{after} So "{VALUES[0]}" has it.'
    assert told.startswith(head)
    assert told.endswith(tail)
    assert read(value, told[len(head) : len(told) - len(tail)]) == meant(value)


@pytest.mark.parametrize(
    "text",
    [
        'Well, [see "%s"], and {let "%s" be}.',
        'Type {" to begin.\nThen "%s".',
        'Between {" and "} stands "%s".',
        'Well, {"a" is "%s"',
        'Say {"a": or "%s"',
        'A list ["a" "b", "%s"',
        'First {"a": 1} "%s"',
        'Well, {"a": 1, b: "%s"}',
        'Well, {"a": {"b": [1]}} "%s" [2]: "%s"',
        'Well, ["a", "b"] of "%s"',
        'Well, {"a": "```\nHe is "%s"',
    ],
)
def test_what_only_looks_like_a_document_in_prose_is_none(text):
    token = next(iter(TOKENS))

    assert restored(text.replace("%s", token), in_json=False) == text.replace("%s", TOKENS[token])


@pytest.mark.parametrize("piece", ['{"', '["a" ', '{"a": ', '{"a"', "[[[", '{"a": [', '\\{"', '{"\n', "{"])
def test_prose_that_begins_documents_again_and_again_is_followed_in_linear_time_and_little_is_remembered(piece):
    nesting = Nesting(in_json=False)
    nesting.feed("Well, ")
    for _ in range(5000):
        nesting.feed(piece)
    assert len(nesting._rest) <= 4096
