"""Trees of RFC 9162, against the definition written out and a proof's every bit."""

from hashlib import sha256

from hypothesis import given, strategies

from headworks.audit.merkle import EMPTY_ROOT, Tree, inclusion_proof, leaf_hash, proves_inclusion, root_of


def defined(entries: list[bytes]) -> bytes:
    """RFC 9162 §2.1.1, word for word."""
    if not entries:
        return sha256(b"").digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return sha256(b"\x01" + defined(entries[:k]) + defined(entries[k:])).digest()


def entries_of(count: int) -> list[bytes]:
    return [b"entry %d" % number for number in range(count)]


def test_roots_are_those_of_the_definition():
    for count in range(70):
        assert root_of([leaf_hash(one) for one in entries_of(count)]) == defined(entries_of(count))
    assert root_of([]) == EMPTY_ROOT


def test_a_tree_that_grows_has_at_each_size_the_root_of_its_leaves():
    tree, leaves = Tree(), []
    for one in entries_of(40):
        leaves.append(leaf_hash(one))
        tree.add(leaves[-1])
        assert tree.root() == root_of(leaves)
        assert tree.size == len(leaves)


@given(strategies.integers(1, 60), strategies.data())
def test_a_proof_holds_for_its_leaf_and_place_only(size, data):
    index = data.draw(strategies.integers(0, size - 1))
    leaves = [leaf_hash(one) for one in entries_of(size)]
    proof, root = inclusion_proof(leaves, index), root_of(leaves)

    assert proves_inclusion(leaves[index], index, size, proof, root)
    assert not proves_inclusion(leaf_hash(b"other"), index, size, proof, root)
    assert not proves_inclusion(leaves[index], index, size, (*proof, root), root)
    assert not proves_inclusion(leaves[index], size, size, proof, root)
    other = data.draw(strategies.integers(0, size - 1))
    if other != index:
        assert not proves_inclusion(leaves[index], other, size, proof, root)
    if proof:
        assert not proves_inclusion(leaves[index], index, size, proof[:-1], root)
