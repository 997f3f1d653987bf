"""What was found once is found everywhere, in time that grows with the body, whatever a hostile caller has chosen."""

import json
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.config.privacy import Privacy
from headworks.screening.privacy import Finding, PrivacyPolicy, Redactor, TokenBook
from headworks.screening.privacy import spreading as room
from headworks.screening.privacy.spreading import apart, occurrences, spread
from headworks.screening.steps import drained

WORDS = st.text("ab1 .-_\u200bé", max_size=30)
VALUES = st.sets(st.text("ab1 .-_\u200bé", min_size=1, max_size=6), max_size=6)


@given(st.lists(WORDS, max_size=4), VALUES)
def test_looking_by_value_and_looking_by_words_find_the_same(texts, values):
    by_value = [sorted(found) for found in drained(occurrences(texts, values))]
    usual, room._FEW = room._FEW, -1
    try:
        by_words = [sorted(found) for found in drained(occurrences(texts, values))]
    finally:
        room._FEW = usual

    assert by_words == by_value


SPANS = st.lists(st.integers(1, 6), max_size=12).map(
    lambda steps: [(sum(steps[:at]), sum(steps[: at + 1])) for at in range(1, len(steps), 2)]
)


@given(SPANS, SPANS)
def test_findings_apart_from_spans_are_those_that_none_overlaps(found, spans):
    findings = [Finding(start, end, "email", 0.9) for start, end in found]

    assert apart(findings, spans) == [
        one for one in findings if not any(start < one.end and one.start < end for start, end in spans)
    ]


@given(SPANS, st.lists(st.tuples(st.integers(0, 40), st.integers(1, 6)), max_size=8))
def test_what_is_spread_leaves_findings_as_they_are_and_is_in_order(found, places):
    findings = [Finding(start, end, "email", 0.9) for start, end in found]
    models = {"v": Finding(0, 1, "phone", 0.6)}

    made = spread(findings, [(start, start + length, "v") for start, length in places], models)

    assert [one for one in made if one.kind == "email"] == findings
    assert all(one.end <= other.start for one, other in pairwise(made))
    covered = {at for one in made for at in range(one.start, one.end)}
    for start, length in places:
        if not any(one.start < start + length and start < one.end for one in findings):
            assert covered >= set(range(start, start + length))


def said(*texts):
    return {"messages": [{"role": "user", "content": text} for text in texts]}


EVERY_KIND = (
    "ada@example.org, born on 3 May 1980, SSN 219-09-9998, card 4111 1111 1111 1111, from 81.2.69.160, my name is Ann "
    "Lee, password=hunter2!!, passport no 123456789, MRN 1234567, tel 020 7946 0958, IBAN DE89370400440532013000"
)
MAILS = [f"a{number:03}@example.org" for number in range(400)]
BODIES = {
    "one value over and over": lambda size: said("my SSN is 219099998. " + "219099998 " * size),
    "many values over and over": lambda size: said(" ".join([*MAILS, *(MAILS[at % 400] for at in range(size))])),
    "many short texts": lambda size: said(EVERY_KIND, *["hi"] * size),
    "names that are masked alike": lambda size: {"metadata": {f"{at:04}@example.org": 1 for at in range(size)}},
}


@pytest.mark.parametrize("shape", sorted(BODIES))
def test_time_grows_with_a_body_and_not_faster(shape):
    redactor = Redactor(PrivacyPolicy.compile(Privacy(otherwise="mask" if "masked" in shape else "tokenise")))

    assert_growth(lambda size: json.dumps(BODIES[shape](size)).encode(), lambda body: redactor.redact(body, a_book()))


def test_time_grows_with_the_tokens_that_a_history_holds_and_not_faster():
    redactor, book = Redactor(PrivacyPolicy.compile(Privacy(restore="text"))), a_book()

    def history(size):
        up, _ = redactor.redact_text(" ".join(f"a{at}@example.org" for at in range(size)), book)
        return json.dumps(said(f"{up} {' '.join(['ada@example.org'] * size)}")).encode()

    assert_growth(history, lambda body: redactor.redact(body, book))


def a_book():
    return TokenBook(b"t" * 32)


def assert_growth(made, work):
    """Eight times as much takes about eight times as long; a square would take sixty-four times."""

    def taken(body):
        best = float("inf")
        for _ in range(2):
            begun_s = time.process_time()
            work(body)
            best = min(best, time.process_time() - begun_s)
        return best

    short, long = made(400), made(3200)

    assert taken(long) < 8 * 3 * max(taken(short), 0.001)
