from hypothesis import given
from hypothesis import strategies as st

from headworks.caching import BLOCK_BYTES, SeenCall, partings

paths = st.lists(st.text("ab", max_size=5), min_size=1, max_size=8)


def call(path, *, tail=0, n=0):
    blocks = tuple(path[: place + 1].encode() for place in range(len(path)))
    whole = len(path) * BLOCK_BYTES + tail
    return SeenCall(n, blocks, whole, whole // 4)


def test_calls_part_where_their_hashes_do():
    found = partings([call("aaab"), call("aaac"), call("aaac"), call("aaac")])

    assert [(one.blocks, one.calls, one.branches, one.examples) for one in found] == [(3, 4, 2, (0, 3))]
    assert found[0].tokens_behind == 4 * 128


def test_the_place_with_most_tokens_behind_it_stands_first():
    found = partings([call("abbb"), call("abba"), call("baaa"), call("baab")])

    assert [(one.blocks, one.calls) for one in found] == [(0, 4), (3, 2), (3, 2)]


def test_calls_that_are_the_same_part_nowhere():
    assert partings([call("abc")] * 5) == []
    assert partings([]) == []


def test_calls_that_go_on_within_a_block_are_told_apart_by_their_length():
    (one,) = partings([call("ab", tail=10), call("ab", tail=20), call("ab", tail=20)])

    assert (one.blocks, one.calls, one.branches) == (2, 3, 2)


@given(paths)
def test_every_place_is_one_that_its_examples_share_and_leave(drawn):
    calls = [call(path, n=n) for n, path in enumerate(drawn)]

    for one in partings(calls):
        first, second = (calls[place].blocks for place in one.examples)
        assert first[: one.blocks] == second[: one.blocks]
        assert first[: one.blocks + 1] != second[: one.blocks + 1]
        assert 2 <= one.branches <= one.calls <= len(calls)


@given(paths)
def test_calls_that_are_not_all_the_same_part_somewhere(drawn):
    calls = [call(path) for path in drawn]

    assert bool(partings(calls)) == (len(set(drawn)) > 1)
