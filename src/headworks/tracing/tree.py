"""The spans of a trace as a tree."""

from collections.abc import Sequence

import msgspec

from headworks.tracing.reading import Span


class Branch(msgspec.Struct, frozen=True):
    """A span at its depth in the tree; the outermost have 0."""

    depth: int
    span: Span


def tree_of(spans: Sequence[Span]) -> list[Branch]:
    """Each span once, parents before their children, in the order in which they began. A span whose parent has not
    come, or that is its own ancestor, stands outermost."""
    ordered = sorted(spans, key=lambda one: one.started_us)
    known = {one.span_id for one in ordered}
    below: dict[str, list[Span]] = {}
    for one in ordered:
        below.setdefault(one.parent_id if one.parent_id in known else "", []).append(one)
    found: list[Branch] = []
    seen: set[str] = set()
    # What hangs on nothing begins; then whatever is left goes round in a circle.
    for root in [*below.get("", ()), *ordered]:
        waiting = [Branch(0, root)]
        while waiting:
            branch = waiting.pop()
            if branch.span.span_id in seen:
                continue
            seen.add(branch.span.span_id)
            found.append(branch)
            waiting += [Branch(branch.depth + 1, one) for one in reversed(below.get(branch.span.span_id, ()))]
    return found
