import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.access.keys import (
    KEY_CHARACTERS,
    PREFIX,
    RANDOM_BYTES,
    is_well_formed,
    key_digest,
    make_key,
    make_key_id,
    secret_id,
    without_credentials,
)

ALPHABET = string.ascii_letters + string.digits
KEYS = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES).map(lambda seed: make_key(lambda _: seed))


@given(KEYS)
def test_every_key_has_its_form(key):
    assert len(key) == KEY_CHARACTERS
    assert key.startswith(PREFIX)
    assert set(key[len(PREFIX) :]) <= set(ALPHABET)
    assert is_well_formed(key)


def test_a_key_has_at_least_160_random_bits():
    assert RANDOM_BYTES * 8 >= 160


@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_different_randomness_makes_different_keys(count):
    chance = random.Random(1)
    keys = {make_key(chance.randbytes) for _ in range(count)}

    assert len(keys) == count


def test_a_character_of_randomness_stands_for_all_of_its_bits():
    """A key is as hard to guess as its random bytes are: no two of them, in any bit, make the same one."""
    seed = bytes(range(RANDOM_BYTES))
    flipped = {
        make_key(lambda _, bit=bit: (int.from_bytes(seed, "big") ^ (1 << bit)).to_bytes(RANDOM_BYTES, "big"))
        for bit in range(RANDOM_BYTES * 8)
    }

    assert len(flipped | {make_key(lambda _: seed)}) == RANDOM_BYTES * 8 + 1


@pytest.mark.parametrize(
    "seeds",
    [
        [bytes(24), b"\xff" * 24, bytes(range(24))],
        pytest.param([random.Random(19).randbytes(24) for _ in range(500)], marks=pytest.mark.long),
    ],
    ids=["3", "500"],
)
def test_every_single_wrong_character_is_noticed(seeds):
    """Each wrong character at each place: of five hundred keys, 1.3 million typos."""
    for seed in seeds:
        key = make_key(lambda _, seed=seed: seed)
        typos = {
            key[:place] + wrong + key[place + 1 :]
            for place in range(len(key))
            for wrong in ALPHABET + "-_ .\x00é"
            if wrong != key[place]
        }

        assert len(typos) > 2_000
        assert not any(is_well_formed(typo) for typo in typos)


@given(KEYS, st.data())
def test_cut_longer_and_swapped_keys_are_noticed(key, data):
    place = data.draw(st.integers(0, len(key) - 2))
    swapped = key[:place] + key[place + 1] + key[place] + key[place + 2 :]

    assert swapped == key or not is_well_formed(swapped)
    assert not is_well_formed(key[:place])
    assert not is_well_formed(key + key[place])
    assert not is_well_formed(" " + key)


@given(st.text(max_size=60))
def test_other_text_is_no_key_and_does_no_harm(text):
    assert not is_well_formed(text)


def test_a_digest_depends_on_the_whole_key_and_on_the_secret():
    key = make_key(random.Random(2).randbytes).encode()

    digests = {key_digest(key, b"a"), key_digest(key, b"b"), key_digest(key[:-1], b"a"), key_digest(key + b"x", b"a")}

    assert len(digests) == 4
    assert {len(digest) for digest in digests} == {32}


def test_the_name_of_a_secret_is_short_stable_and_its_own():
    assert secret_id(b"a") == secret_id(b"a") != secret_id(b"b")
    assert len(secret_id(b"a")) == 12


def test_key_ids_have_nothing_that_is_easily_mistaken():
    chance = random.Random(3)
    ids = {make_key_id(chance.randbytes) for _ in range(5_000)}

    assert len(ids) == 5_000
    assert all(len(one) == 16 and one.startswith("key_") for one in ids)
    assert not set("ilou") & set("".join(one[4:] for one in ids))


@given(KEYS, st.text(max_size=20), st.text(max_size=20))
def test_a_key_in_a_text_is_masked_whatever_is_around_it(key, before, after):
    assert key not in without_credentials(before + key + after)


@pytest.mark.parametrize(
    "text", ["/admin/v1/keys/key_0123456789ab", "call_0123456789abcdef0123", "hw-team", "eyesight"]
)
def test_what_is_no_key_stays(text):
    assert without_credentials(text) == text
