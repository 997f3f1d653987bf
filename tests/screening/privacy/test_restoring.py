"""Tokens are turned back whatever a model or a network did to them, and never into another's value."""

import json
import random
import string
from itertools import pairwise

import pytest
from corpus import CHECKED
from hypothesis import given
from hypothesis import strategies as st

from headworks.config.privacy import Privacy
from headworks.screening.privacy import KINDS, PrivacyPolicy, Redactor, Restorer, TokenBook
from headworks.screening.privacy.tokens import SUFFIX_LENGTH, TokenForm

policy = PrivacyPolicy.compile(Privacy())
redactor = Redactor(policy)
MAIL = "john.doe@example.com"


def a_book(key=b"c"):
    return TokenBook(key * 32)


def cut(text, places):
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[first:last] for first, last in pairwise(edges)]


def streamed(restorer, pieces, **options):
    stream = restorer.stream(**options)
    return "".join([*[stream.feed(piece) for piece in pieces], stream.end()])


@st.composite
def answers(draw):
    """What a model could say with the tokens of a book in it, and beginnings of tokens that are none."""
    book = a_book()
    values = draw(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=4))
    kinds = [KINDS[draw(st.sampled_from(sorted(KINDS)))] for _ in values]
    tokens = [book.token_for(kind, value) for kind, value in zip(kinds, values, strict=True)]
    broken = [token[: draw(st.integers(1, len(token) - 1))] for token in tokens]
    text = st.sampled_from(
        [*tokens, *broken, *[token.lower() for token in tokens], "PII_EMAIL_b2cdefg", "P", "PI", "_", ""]
    )
    return book, "".join(draw(st.lists(text | st.text(max_size=5), max_size=12)))


@given(answers(), st.lists(st.integers(0, 10_000), max_size=25))
def test_a_stream_says_the_same_however_it_was_cut(answer, places):
    book, text = answer
    whole, pieces = Restorer(book, policy.form), Restorer(book, policy.form)

    assert streamed(pieces, cut(text, places)) == whole.text(text)
    assert pieces.unknown == whole.unknown
    assert pieces.restored == whole.restored


@given(answers())
def test_one_character_at_a_time_holds_back_no_more_than_may_become_a_token(answer):
    book, text = answer
    stream = Restorer(book, policy.form).stream()
    raw = Restorer(TokenBook(b""), policy.form).stream()
    for character in text:
        stream.feed(character)
        raw.feed(character)
        assert len(stream._held) < policy.form.longest
        assert stream._held == "" or stream._held[0] in "pP"


@pytest.mark.parametrize("text", ["Hello there", "a map", "PII", "the PII_EMAIL", "up to p"])
def test_what_cannot_become_a_token_any_more_goes_out_at_once(text):
    stream = Restorer(a_book(), policy.form).stream()

    assert stream.feed(text + "! ") == text + "! "


@given(st.integers(0, 100_000), st.lists(st.integers(0, 10_000), max_size=12))
def test_redact_echo_and_restore_in_pieces_is_the_identity(seed, places):
    rng = random.Random(seed)
    made = [CHECKED[kind](rng) for kind in rng.choices(sorted(CHECKED), k=3)]
    text = " and ".join(one[0] if isinstance(one, tuple) else one for one in made)
    book = a_book()
    up, _ = redactor.redact_text(text, book)

    assert streamed(Restorer(book, policy.form), cut(up, places)) == text


@given(st.text(min_size=1, max_size=20), st.lists(st.integers(0, 10_000), max_size=8))
def test_within_json_a_value_is_escaped(value, places):
    book = a_book()
    token = book.token_for(KINDS["secret"], value)
    arguments = json.dumps({"to": f"<{token}>", "n": [token]})

    assert json.loads(Restorer(book, policy.form).json(arguments)) == {"to": f"<{value}>", "n": [value]}
    pieces = cut(arguments, places)
    assert json.loads(streamed(Restorer(book, policy.form), pieces, in_json=True)) == {"to": f"<{value}>", "n": [value]}


def altered():
    token = a_book().token_for(KINDS["email"], MAIL)
    _, label, suffix = token.split("_")
    return [
        token.lower(), token.upper(), f"pii email {suffix}", f"PII\\_EMAIL\\_{suffix}", f"PII-EMAIL-{suffix.upper()}",
        f"Pii_Email_{suffix}", f"PII EMAIL_{suffix}", f"PII\u2011EMAIL\u2011{suffix}", f"PII.{label}.{suffix}",
        f"PII_{label}_{suffix}s", f"**{token}**", f"`{token}`", f"[{token}](mailto:{token})", f"x{token}y",
        f"PII: EMAIL: {suffix}", f"PII\\_EMAIL_{suffix}", f"PII_EMAIL_\n{suffix}", f"PII/EMAIL/{suffix}",
        f"PII_EMAIL={suffix}", f"pii+email+{suffix}", f"PII_EMAIL_\u200b{suffix}", f"PII\uff3fEMAIL\uff3f{suffix}",
        f"**PII_EMAIL**_{suffix}",
    ]  # fmt: skip


@pytest.mark.parametrize("text", altered())
def test_a_token_that_the_model_altered_is_recognised(text):
    book = a_book()
    book.token_for(KINDS["email"], MAIL)
    restorer = Restorer(book, policy.form)

    assert MAIL in restorer.text(text)
    assert not restorer.unknown


def test_unknown_tokens_stay_and_are_told():
    restorer = Restorer(a_book(), policy.form)

    assert restorer.text("see pii-email-B2CDEFG.") == "see pii-email-B2CDEFG."
    assert restorer.unknown == {"PII_EMAIL_b2cdefg"}


def test_of_ten_thousand_foreign_tokens_none_gives_a_value():
    mine, other = a_book(b"1"), a_book(b"2")
    values = [f"user{number}@example.com" for number in range(10_000)]
    foreign = [other.token_for(KINDS["email"], value) for value in values]
    for value in values:
        mine.token_for(KINDS["email"], value)
    restorer = Restorer(mine, policy.form)

    out = restorer.text(" ".join(foreign))

    assert restorer.restored == 0
    assert out == " ".join(foreign)


def test_the_same_value_has_the_same_token_in_a_conversation_and_another_in_another():
    tokens = {a_book(key).token_for(KINDS["email"], MAIL) for key in (b"1", b"1", b"2")}

    assert len(tokens) == 2


def test_two_values_never_share_a_token(monkeypatch):
    monkeypatch.setattr(
        "headworks.screening.privacy.books.suffix_of",
        lambda key, kind, value, attempt: f"a{2 + attempt}bcdef",
    )
    book = a_book()
    tokens = [book.token_for(KINDS["email"], value) for value in ("a@b.co", "c@d.eu", "a@b.co", "e@f.gh")]

    assert len(set(tokens)) == 3
    assert [book.value_of(token) for token in tokens] == ["a@b.co", "c@d.eu", "a@b.co", "e@f.gh"]


@given(st.text(alphabet=string.ascii_letters + string.digits + "_", max_size=8), st.text(max_size=20))
def test_a_token_is_letters_digits_and_underscores_and_found_whatever_stands_around_it(around, value):
    book = a_book()
    token = book.token_for(KINDS["ip"], value)

    assert token.replace("_", "").isalnum()
    assert token.isascii()
    assert len(token.rpartition("_")[2]) == SUFFIX_LENGTH
    assert Restorer(book, policy.form).text(around + token + around) == around + value + around


def test_labels_of_a_contracts_own_kinds_are_recognised_where_one_begins_like_another():
    form = TokenForm(["IP", "IPX", "IPXY"])

    assert [written for _, _, written in form.find("pii ipx a2bcdef, PII_IPXY_a2bcdef")] == [
        "PII_IPX_a2bcdef",
        "PII_IPXY_a2bcdef",
    ]
