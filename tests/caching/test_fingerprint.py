from hashlib import blake2b

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from headworks.caching import BLOCK_BYTES, MOST_BLOCKS, fingerprint, hash_key, prefix_of, read_fingerprint
from headworks.caching.fingerprint import first_difference, part_at

KEY = hash_key(b"s" * 32, "triage")


def request(**fields):
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}


texts = st.builds(lambda unit, times: unit * times, st.sampled_from(["a", "b", "ab"]), st.integers(0, 3_000))


@given(texts, texts)
def test_requests_share_as_many_hashes_as_whole_blocks(one, other):
    first, second = request(input=one), request(input=other)
    shared = first_difference([prefix_of(first), prefix_of(second)]) // BLOCK_BYTES

    hashes = [read_fingerprint(fingerprint(fields, KEY)).blocks for fields in (first, second)]

    assert sum(a == b for a, b in zip(*hashes, strict=False)) == min(shared, *map(len, hashes))


@given(texts)
def test_a_fingerprint_has_the_length_and_a_hash_for_each_whole_block(text):
    fields = request(input=text, tools=[])

    found = read_fingerprint(fingerprint(fields, KEY))

    assert found.whole_bytes == len(prefix_of(fields))
    assert len(found.blocks) == min(MOST_BLOCKS, found.whole_bytes // BLOCK_BYTES)
    assert len(set(found.blocks)) == len(found.blocks)


@given(st.lists(st.integers(0, 40_000), min_size=3, max_size=3))
def test_a_fingerprint_covers_all_parts_as_one_text(sizes):
    fields = request(tools="t" * sizes[0], instructions="i" * sizes[1], input="u" * sizes[2])
    whole = prefix_of(fields)

    found = read_fingerprint(fingerprint(fields, KEY))

    assert found.whole_bytes == len(whole)
    for n in (1, len(found.blocks)):
        if found.blocks:
            assert found.blocks[n - 1] == blake2b(whole[: n * BLOCK_BYTES], key=KEY, digest_size=8).digest()


def test_what_is_behind_the_last_block_that_is_hashed_is_not_told():
    fields = request(input="x" * (MOST_BLOCKS + 5) * BLOCK_BYTES)

    assert len(fingerprint(fields, KEY)) == 13 + 8 * MOST_BLOCKS


def test_another_secret_or_workload_makes_other_hashes_of_the_same_text():
    fields = request(input="x" * 5_000, prompt_cache_key="mine")
    keys = [hash_key(secret, name) for secret in (b"s" * 32, b"t" * 32) for name in ("triage", "invoices")]

    found = [read_fingerprint(fingerprint(fields, key)) for key in keys]

    assert len({one.blocks for one in found}) == len({one.key for one in found}) == 4


def test_no_text_is_in_a_fingerprint():
    fields = request(input="Ann Example, 12 Elm Street. " * 200, prompt_cache_key="ann@example.com")

    made = fingerprint(fields, KEY)

    assert not any(text in made for text in (b"Ann", b"Elm", b"example"))


def test_parts_stand_in_the_order_in_which_they_are_cached():
    fields = request(input="i", model="m", tools=["t"], text={"v": 1}, instructions="n", temperature=1)

    assert prefix_of(fields) == b'["t"]\0{"v":1}\0"n"\0"i"'
    assert part_at(fields, 0) == ("tools", 0)
    assert part_at(fields, 7) == ("text", 1)
    assert part_at(fields, 18) == ("input", 0)
    assert part_at(fields, 99) == ("", 0)


def test_a_callers_own_cache_key_is_told_apart_from_none_and_from_others():
    keys = [read_fingerprint(fingerprint(request(input="x", **extra), KEY)).key for extra in (
        {}, {"prompt_cache_key": "one"}, {"prompt_cache_key": "two"}, {"prompt_cache_key": "one"},
    )]  # fmt: skip

    assert keys[0] == b""
    assert keys[1] == keys[3] != keys[2]


@given(st.binary(max_size=60))
def test_what_is_no_fingerprint_is_none_or_read_without_failing(data):
    found = read_fingerprint(data)

    assert found is None or data[:1] == b"\x01"


@given(st.lists(st.binary(max_size=12), min_size=1, max_size=4))
def test_the_first_difference_is_where_it_is(blobs):
    place = first_difference(blobs)

    assert len({one[:place] for one in blobs}) == 1
    assert place == min(map(len, blobs)) or len({one[: place + 1] for one in blobs}) > 1
