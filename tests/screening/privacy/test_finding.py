"""How much is found, and how much of what is found is right, on values that others' generators made."""

import ipaddress
import itertools
import random

import pytest
from corpus import BETWEEN, CHECKED, cases
from faker import Faker

from headworks.config.privacy import CustomPattern, Privacy
from headworks.screening.privacy.finding import Finder

finder = Finder()
LOCALES = ("en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pl_PL", "sv_SE", "pt_BR")


def wide(text):
    return "".join(chr(ord(one) + 0xFEE0) if one != " " else one for one in text)


def arabic(text):
    return "".join(chr(0x660 + int(one)) if one.isdigit() else one for one in text)


def measured(kind, count):
    found = right = named = 0
    missed = []
    for text, start, end in cases(kind, count):
        findings = finder.find(text)
        found += len(findings)
        hits = [one for one in findings if one.start == start and one.end == end]
        right += len(hits)
        named += any(one.kind == kind for one in hits)
        if not hits:
            missed.append((text, [(one.kind, text[one.start : one.end]) for one in findings]))
    return right / count, right / max(found, 1), named / count, missed


@pytest.mark.parametrize("kind", sorted(CHECKED))
def test_of_each_kind_nearly_every_value_is_found_whole_and_nothing_beside_it(kind):
    recall, precision, named, missed = measured(kind, 200)

    assert recall >= 0.98, missed[:5]
    assert precision >= 0.99, missed[:5]
    assert named >= 0.97, (named, missed[:5])


@pytest.mark.long
@pytest.mark.parametrize("kind", sorted(CHECKED))
def test_the_same_of_many_more_values(kind):
    recall, precision, _, missed = measured(kind, 5000)

    assert recall >= 0.98, missed[:5]
    assert precision >= 0.99, missed[:5]


def values_of(locale, count):
    fake = Faker(locale)
    fake.seed_instance(7)
    for _ in range(count):
        yield "email", fake.email()
        yield "iban", fake.iban()
        yield "card", fake.credit_card_number(card_type=fake.random_element(["visa", "mastercard", "amex", "discover"]))
        yield "mac", fake.mac_address()


@pytest.mark.parametrize("locale", LOCALES)
def test_what_faker_makes_in_ten_locales_is_found(locale):
    rng = random.Random(3)
    total = hits = 0
    missed = []
    for kind, value in values_of(locale, 60):
        text = rng.choice(BETWEEN).format(value)
        start = text.index(value)
        total += 1
        if any(one.start <= start and one.end >= start + len(value) for one in finder.find(text)):
            hits += 1
        else:
            missed.append((kind, text))

    assert hits / total >= 0.98, missed[:5]


@pytest.mark.parametrize("locale", LOCALES)
def test_telephone_numbers_of_ten_countries_are_found_when_international_or_named(locale):
    fake = Faker(locale)
    fake.seed_instance(7)
    numbers = [fake.phone_number() for _ in range(200)]
    missed = [number for number in numbers if not finder.find(f"Call me: {number} please")]

    assert len(missed) <= 0.05 * len(numbers), missed[:10]


@pytest.mark.parametrize(
    "text",
    [
        wide("4111 1111 1111 1111"),
        "4111\u00a01111\u00a01111\u00a01111",
        "4111\u200b1111\u200b1111\u200b1111",
        "4111 1111\n1111 1111",
        "4111\u20111111\u20111111\u20111111",
        "john\u200b@example.com",
        wide("john@example.com"),
        arabic("078-05-1120"),
        "mail%20john%40example.com",
        "DOB\u00a0: 12\u00a0March\u00a01980",
    ],
)
def test_forms_that_evade_the_eye_of_a_pattern_are_found(text):
    (finding,) = finder.find(text)

    assert finding.end - finding.start >= len(text) - 9


@pytest.mark.parametrize(
    "text",
    [
        "order 4111111111111112 was sent",
        "version 10.2.33.4 of the driver",
        "build 123-45-6789",
        "127.0.0.1 and 192.168.1.20 and ::1",
        "std::vector<int>::iterator",
        "git clone git@github.com:owner/repo.git",
        "the year 2024, chapter 12, 3,500 words and 1.618033988749895",
        "2024-11-22T10:33:00.123456Z",
        "password = read_password(path)",
        "token: str = field(default=None)",
        "api_key = os.environ['API_KEY']",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "123e4567-e89b-12d3-a456-426614174000",
        "icon@2x.png",
        "@pytest.fixture",
        "+1, +20 and -3",
        "The password is required.",
        "https://example.com/path?x=1#frag",
    ],
)
def test_what_only_looks_like_it_is_not_found(text):
    assert finder.find(text) == []


def test_check_digits_decide():
    assert finder.find("4111 1111 1111 1111")
    assert not finder.find("4111 1111 1111 1112")
    assert finder.find("DE89 3704 0044 0532 0130 00")
    assert not finder.find("DE88 3704 0044 0532 0130 00")


def test_words_nearby_raise_and_lower_confidence():
    assert not finder.find("It is 219099998 indeed")
    assert [one.kind for one in finder.find("SSN 219099998")] == ["us_ssn"]
    assert not finder.find("order no. 219-09-9998")


def test_where_two_findings_overlap_nothing_of_either_is_left():
    (finding,) = finder.find("postgres://bob:s3cr3t@db.example.com/x")

    assert finding.kind == "url_credentials"


def test_a_card_is_found_whatever_number_stands_around_it():
    finders = [Finder(prefers_re2=prefers_re2) for prefers_re2 in (True, False)]
    cards = ["4111 1111 1111 1111", "5555-5555-5555-4444", "4111111111111111", "6011000990139424"]
    behind = ["123", "737 12/27", "536-90-4399", "100 EUR"]  # a security code, as often as not
    for card, apart, other in itertools.product(cards, [" ", "  ", "\n", "\r\n", "- "], behind):
        for text in (f"{card}{apart}{other}", f"in 2026 {card}{apart}{other}", f"{other} {card}."):
            for one in finders:
                covered = "".join(text[found.start : found.end] for found in one.find(text))
                assert card in covered, text


AROUND = [
    ("", " 123"),
    ("", " 12345"),
    ("2026 ", ""),
    ("12 ", ""),
    ("", ", 4"),
    ("", "\n17 apples"),
    ("x1 ", ""),
    ("", " A"),
]


@pytest.mark.parametrize("kind", sorted(CHECKED))
def test_what_is_found_alone_is_found_beside_other_numbers(kind):
    rng = random.Random(7)
    for _ in range(25):
        made = CHECKED[kind](rng)
        phrase, value = made if isinstance(made, tuple) else (made, made)
        if not is_covered(f"Hello {phrase}, bye", phrase, value):
            continue
        for before, after in AROUND:
            text = f"Hello {before}{phrase}{after}"
            # A group beside it may make a number with a good check digit too, by one chance in ten.
            assert is_covered(text, phrase, value, all_but=5), text


def is_covered(text, phrase, value, all_but=0):
    """Whether nothing of the value is left between what is found, but so many characters."""
    start = text.index(value, text.index(phrase))
    found = {place for one in finder.find(text) for place in range(one.start, one.end)}
    return len(set(range(start, start + len(value))) - found) <= all_but


@pytest.mark.parametrize("word", ["badge", "a|b", "(no", "no)", "x*", "ab?", "c\\d", "1st", "[id]", ".nr"])
def test_whatever_signs_a_word_of_a_contract_has_it_is_looked_for_as_it_is(word):
    pattern = CustomPattern(regex="[0-9]{4}", context=("other", word, "more"))
    own = Finder(Privacy(patterns={"own": pattern}))

    for before in (word, "other", "more"):
        assert [one.kind for one in own.find(f"{before} 1234 ")] == ["own"], before
    assert own.find("nothing 1234 ") == []


def test_an_address_of_the_public_net_is_told_from_the_others_as_the_registry_has_them():
    chance = random.Random(6)
    firsts = [*range(256)] * 40 + [100, 169, 172, 192, 198, 203] * 400
    for first in firsts:
        second = chance.choice([0, 16, 18, 19, 31, 32, 51, 64, 88, 127, 128, 168, 254, chance.randrange(256)])
        text = f"{first}.{second}.{chance.randrange(256)}.{chance.randrange(64, 256)}"
        address = ipaddress.IPv4Address(text)
        is_public = address.is_global and not address.is_multicast

        assert bool(finder.find(f"client {text}")) == is_public, text
