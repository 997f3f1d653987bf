"""The tree of prefixes: which calls begin alike, and where they part. Pure.

A block's hash covers all that lies before it, so the hashes are the tree's nodes: a node's children are the hashes
that come next.
"""

from collections.abc import Sequence

import msgspec

from headworks.caching.replaying import SeenCall

_ROOT = b""


class Parting(msgspec.Struct, frozen=True):
    """A place at which calls that began alike go on differently.

    Attributes:
        blocks: how many blocks they share.
        calls: how many calls these are.
        branches: into how many they part, those that end here included.
        tokens_behind: how many tokens of input they have behind it, all together.
        examples: places of calls in two branches, the latest of each.
    """

    blocks: int
    calls: int
    branches: int
    tokens_behind: int
    examples: tuple[int, int]


class _Node:
    """State: the calls through this node, counted; the latest call of each branch."""

    __slots__ = ("branches", "calls", "tokens_behind")

    def __init__(self) -> None:
        self.calls = 0
        self.tokens_behind = 0
        self.branches: dict[bytes, int] = {}


def partings(calls: Sequence[SeenCall]) -> list[Parting]:
    """Where these calls part, the place with the most tokens behind it first.

    Behind its last whole block, a call is told from others by its length: of those with the same length nobody knows
    whether they part.
    """
    nodes: dict[bytes, tuple[int, _Node]] = {}
    for place, call in enumerate(calls):
        parent = _ROOT
        for depth in range(len(call.blocks) + 1):
            _, node = nodes.setdefault(parent, (depth, _Node()))
            node.calls += 1
            node.tokens_behind += max(0, call.input_tokens - call.tokens_in(depth))
            following = call.blocks[depth] if depth < len(call.blocks) else b"end %d" % call.whole_bytes
            node.branches[following] = place
            parent = following
    found = [
        Parting(depth, node.calls, len(node.branches), node.tokens_behind, _two(node))
        for depth, node in nodes.values()
        if len(node.branches) > 1
    ]
    return sorted(found, key=lambda one: (-one.tokens_behind, one.blocks))


def _two(node: _Node) -> tuple[int, int]:
    latest = sorted(node.branches.values())
    return latest[-2], latest[-1]


def shared_depths(calls: Sequence[SeenCall], most: int) -> list[int]:
    """Lengths in blocks at which a marked prefix might end: where calls part, and where the shortest ends; those that
    most calls reach first, at most so many."""
    counts: dict[int, int] = {}
    for one in partings(calls):
        if one.blocks:
            counts[one.blocks] = counts.get(one.blocks, 0) + one.calls
    shortest = min((len(call.blocks) for call in calls), default=0)
    if shortest:
        counts[shortest] = counts.get(shortest, 0) + len(calls)
    return sorted(sorted(counts, key=lambda depth: (-counts[depth], -depth))[:most])
