"""Both engines find the same, whatever the text, and neither takes long over a hostile one."""

import random
import re
import time
from itertools import pairwise
from pathlib import Path
from re._parser import parse

import msgspec
import pytest
from corpus import BETWEEN, CHECKED
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.config.privacy import CustomPattern, Privacy, WordList
from headworks.screening.privacy import Finder
from headworks.screening.privacy.detectors import BUILT_IN
from headworks.screening.privacy.engines import MOST_NEAR, PythonEngine, Re2Engine, _re2_search, re2, why_unbounded

OWN = Privacy(
    least_confidence=0.3,
    patterns={"own": CustomPattern(regex=r"\b[A-Z]{2,3}-\d{2,4}\b", ignore_case=True)},
    words={"names": WordList(words=("Ann", "Anna", "Anna Bell", "über-plan", "x.y")), "parts": WordList(
        words=("tap",), whole_words=False)},
    identifiers=("ch.ssn", "at.vnr"),
)  # fmt: skip
plain, eager = Finder(), Finder()
eager._patterns = tuple(msgspec.structs.replace(pattern, after=None) for pattern in eager._patterns)
fast, slow = Finder(OWN), Finder(OWN, prefers_re2=False)
PIECES = [
    "password: ", "token=", "sk-", "eyJ", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "://", "@", ".co",
    "DOB ", "born on ", "passport no ", "IBAN ", "DE89", "account number ", "MRN ", "0x", "bc1", "::", "+44",
    "00", "(0)",
    "Anna ", "anna bell", "ÜBER-PLAN", "tap", "\n", "\t", "\v", "\u00a0", "\u200b", "1", "12", "4111", "-",
    ".", " ", "_", "é", "K", "\\n",
]  # fmt: skip


@st.composite
def texts(draw):
    rng = random.Random(draw(st.integers(0, 1_000_000)))
    pieces = []
    for what in draw(st.lists(st.sampled_from(["value", "piece", "text", "digits"]), max_size=12)):
        if what == "value":
            made = CHECKED[rng.choice(sorted(CHECKED))](rng)
            value = made[0] if isinstance(made, tuple) else made
            pieces.append(
                rng.choice(BETWEEN).format(value[: rng.randint(1, len(value))] if rng.random() < 0.3 else value)
            )
        elif what == "piece":
            pieces += rng.choices(PIECES, k=rng.randint(1, 4))
        elif what == "digits":
            pieces.append("".join(rng.choices("0123456789 -.AB", k=rng.randint(1, 20))))
        else:
            pieces.append(draw(st.text(max_size=8)))
    return "".join(pieces)


@pytest.mark.skipif(re2 is None, reason="the extra `privacy` is not installed")
@given(texts())
def test_both_engines_find_the_same(text):
    assert fast.find(text) == slow.find(text)


@pytest.mark.skipif(re2 is None, reason="the extra `privacy` is not installed")
@pytest.mark.parametrize("share", [40, pytest.param(2, marks=pytest.mark.long)])
def test_both_engines_find_the_same_in_the_standard_library(share):
    files = sorted(Path(random.__file__).parent.glob("*.py"))[::share]

    for path in files:
        text = path.read_text(encoding="utf-8", errors="replace")
        assert fast.find(text) == slow.find(text), path.name


_FIFTY_MEGABYTES = 50_000_000


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.skipif(re2 is None, reason="the extra `privacy` is not installed")
def test_both_engines_find_the_same_in_fifty_megabytes():
    """Code and prose of the standard library, over and over, each time with other values strewn in."""
    rng = random.Random(50)
    quick, plain = Finder(), Finder(prefers_re2=False)
    files = sorted(Path(random.__file__).parent.rglob("*.py"))
    kinds = sorted(CHECKED)
    size = 0
    while size < _FIFTY_MEGABYTES:
        text = rng.choice(files).read_text(encoding="utf-8", errors="replace")
        pieces = [text[at : at + 1500] for at in range(0, len(text), 1500)]
        for index, piece in enumerate(pieces):
            made = CHECKED[rng.choice(kinds)](rng)
            pieces[index] = piece + rng.choice(BETWEEN).format(made[0] if isinstance(made, tuple) else made)
        text = "".join(pieces)
        size += len(text)
        assert quick.find(text) == plain.find(text), text[:80]


TABLES = st.lists(
    st.sampled_from(["4111", "1111", "4222", "2024", "5500", "0004", "378282246310005", "4111111111111111", "123", "12"]
                    ) | st.integers(0, 9999).map("{:04}".format), min_size=4, max_size=60,
)  # fmt: skip


@given(TABLES, st.sampled_from([" ", "\n", "-", ". ", ""]))
def test_what_is_passed_over_in_a_table_of_numbers_holds_no_card(groups, between):
    text = between.join(groups)

    assert plain.find(text) == eager.find(text)


@given(
    st.lists(
        st.sampled_from(["DE89", "DE16 ", "GB82 WEST", "GB", "3704 0044 0532 0130 00", "0532", "12345698765432", " ",
                         "-", "a", "FR14 2004 1010 0505 0001 3M02 606"]), max_size=12,
    )
)  # fmt: skip
def test_what_is_passed_over_behind_a_number_holds_no_account(pieces):
    text = "".join(pieces)

    assert plain.find(text) == eager.find(text)


@pytest.mark.skipif(re2 is None, reason="the extra `privacy` is not installed")
def test_where_matches_are_dense_both_engines_find_the_same():
    rng = random.Random(9)
    for kind in sorted(CHECKED)[::2]:
        values = [CHECKED[kind](rng) for _ in range(30)]
        text = " ".join(value[0] if isinstance(value, tuple) else value for value in values) + " x" * 3000 + " 1 "
        text += "\n".join(f"{kind} {value[0] if isinstance(value, tuple) else value}" for value in values)

        assert fast.find(text) == slow.find(text), kind


def test_no_built_in_pattern_matches_more_than_is_searched_at_once():
    for pattern in BUILT_IN:
        if not pattern.is_long:
            assert parse(pattern.source).getwidth()[1] <= MOST_NEAR, pattern.source


REACHING = [pattern for pattern in BUILT_IN if pattern.reach]


@pytest.mark.uncounted
@pytest.mark.parametrize("pattern", REACHING, ids=range(len(REACHING)))
@given(st.data())
def test_no_match_is_longer_than_a_pattern_says_nor_its_first_needle_further_in(pattern, data):
    width, before = pattern.reach
    assert parse(pattern.source).getwidth()[1] <= width

    match = data.draw(st.from_regex(re.compile(pattern.source.encode("latin-1")), fullmatch=True)).lower()

    assert any(0 <= match.find(needle) <= before for needle in pattern.needles)


GATED = [index for index, pattern in enumerate(BUILT_IN) if not pattern.needles or pattern.reach]
ENGINES = [PythonEngine(BUILT_IN)] if re2 is None else [PythonEngine(BUILT_IN), Re2Engine(BUILT_IN)]


@pytest.mark.parametrize("index", GATED)
@settings(max_examples=25)
@given(st.data())
def test_whatever_a_pattern_matches_passes_its_gates_unless_its_judge_refuses_it(index, data):
    pattern = BUILT_IN[index]
    match = data.draw(st.from_regex(re.compile(pattern.source.encode("latin-1")), fullmatch=True))

    if pattern.judge(match, *_span(pattern, match)) is not None:
        assert all(index in engine.matching(match) for engine in ENGINES)


def _span(pattern, text):
    found = re.match(pattern.source.encode("latin-1"), text)
    return found.span(1 if found.re.groups else 0)


@pytest.mark.skipif(re2 is None, reason="the extra `privacy` is not installed")
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (
            "api_key",
            "use github_pat_11ABCDEFG0aBcDeFgHiJkL_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVW",
        ),
        ("passport", "Mon passeport 12AB34567, merci."),
        ("passport", "passeport n° 12AB34567"),
        ("driving_licence", "permis de conduire № 123456789012"),
        ("health_insurance", "member id: A1B2C3D4E5F6"),
        ("it_codice_fiscale", "il codice RSSMRALMALNHRLNW"),
    ],
)
def test_what_has_an_unusual_form_passes_the_gates_of_both_engines(kind, text):
    assert [one.kind for one in fast.find(text)] == [one.kind for one in slow.find(text)] == [kind]


SHAPED = [pattern for pattern in BUILT_IN if pattern.shape_first]


@given(st.data())
def test_every_match_of_a_pattern_whose_shape_comes_first_begins_with_it(data):
    pattern = data.draw(st.sampled_from(SHAPED))
    match = data.draw(st.from_regex(re.compile(pattern.source.encode("latin-1")), fullmatch=True))

    assert re.sub(b"[0-9]", b"0", re.sub(b"[A-Za-z]", b"a", match)).startswith(pattern.shapes)


@pytest.mark.skipif(re2 is None, reason="the extra `privacy` is not installed")
@given(st.text("ab12 -", max_size=40), st.sampled_from(["a", "[a-z]+([0-9]{1,2})", "b?", r"\b(?:1|2)"]))
def test_the_quick_call_of_re2_says_what_its_public_one_says(text, source):
    class Public:
        groups = re2.compile(source).groups
        search = re2.compile(source.encode()).search

    data = text.encode()
    quick, public = _re2_search(re2.compile(source.encode())), _re2_search(Public)

    for start in range(len(data) + 1):
        said, expected = list(quick(data, start, len(data))), list(public(data, start, len(data)))
        assert said == expected or said[0] == expected[0] == (-1, -1)


@given(texts())
def test_findings_are_in_order_and_do_not_overlap(text):
    findings = fast.find(text)

    assert all(0 <= one.start < one.end <= len(text) for one in findings)
    assert all(one.end <= two.start for one, two in pairwise(findings))


HOSTILE = [
    "1", "1 ", "12 ", "123-", "@", "a@", "a.", "a-", "a", "é", "4111 ", "4111111111111112 ", "GB82",
    "GB82 WEST ", "-", "a:", "1.",
    "1.2.3.4.", "-----BEGIN PRIVATE KEY-----", "password=", "password is ", "token: ", "sk-", "eyJ",
    "eyJabcdefghi.", "http://a:",
    "+1", "(", "born on ", "0x", "0xaB", "1A", "_", "1_", " ", "\n", "{", "account number ",
    "driver license ", "123456789 ",
    "member id ", "aws secret ", "-----BEGIN ", "a1", "Ann ", "A1B2", "AB-12-", "bc1q", "2a01:", "aa:bb:", "passport ",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("finder", [fast, slow], ids=["re2", "python"])
def test_time_grows_with_the_text_and_not_faster(finder, piece):
    def taken(size):
        text = (piece * (size // len(piece) + 1))[:size]
        best = 1e9
        for _ in range(2):
            start = time.process_time()
            finder.find(text)
            best = min(best, time.process_time() - start)
        return best

    short = max(taken(2_000), 0.0005)

    assert taken(16_000) < 8 * 3 * short  # eight times the text; a square would be eight times that


@pytest.mark.parametrize(
    ("regex", "is_bounded"),
    [
        ("[A-Z]{2,3}-[0-9]{4}", True),
        ("(?:EMP|STAFF)-?[0-9]{5,8}", True),
        (r"\bX[^ ]{1,20}\b", True),
        (r"[]a-z]{1,3}\{", True),
        ("a+", False),
        ("a*", False),
        ("a{2,}", False),
        ("(a?){5}(a{1,3}){2,3}", False),
        ("(a{0,9}){2}", True),
        ("(?=a)b", False),
        (r"(a)\1", False),
        ("a{0,99}a{0,99}a{0,99}", False),
    ],
)
def test_what_pythons_engine_takes_has_a_bound(regex, is_bounded):
    assert (why_unbounded(regex) == "") is is_bounded


@pytest.mark.skipif(re2 is None, reason="the extra `privacy` is not installed")
def test_contracts_share_the_automata_of_built_in_patterns_and_have_their_own_for_themselves():
    def automata(finder):
        return [match.__self__ for _, match, *_ in finder._engine._sets]

    bare, own, again = Finder(), Finder(OWN), Finder(OWN)

    assert len(automata(own)) == len(automata(bare)) + 1
    assert all(one is other for one, other in zip(automata(bare), automata(own), strict=False))
    assert automata(own)[-1] is not automata(again)[-1]
