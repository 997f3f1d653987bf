"""What one drainer has read, handed on to another one that has a store of its own: so that journals are read once.

Each store has its own word on how far it is, in its own transactions. What is handed on is taken only by who stands
exactly where its reader stood; whoever does not reads the journals itself, up to where that one is now.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from headworks.calls import Opened, Settled
from headworks.records.stores import Batch, Progress


class Handover(msgspec.Struct, frozen=True):
    """A batch that is durable in its reader's store.

    Attributes:
        before: how far each segment was read before it, by name.
        after: how far each is read with it.
        batch: what was read in between; None where it was not kept.
        entries, size: how many entries that is, and how many bytes of journal.
    """

    before: Mapping[str, Progress]
    after: Mapping[str, Progress]
    batch: Batch | None
    entries: int
    size: int


HandOn = Callable[[Handover], None]
"""Is told of each batch, in order, once it is durable."""


def without_batch(handover: Handover) -> Handover:
    """Only how far it goes: for who has no room to keep what was read."""
    return Handover(handover.before, handover.after, None, 0, 0)


def joined(handovers: Sequence[Handover]) -> Handover:
    """One for several of one reader, in order. At least one."""
    first, last = handovers[0], handovers[-1]
    if len(handovers) == 1:
        return first
    batches = [one.batch for one in handovers if one.batch is not None]
    if len(batches) < len(handovers):
        return Handover(first.before, last.after, None, 0, 0)
    settled: list[Settled] = []
    opened: dict[str, tuple[str, Opened]] = {}
    moved: dict[str, Progress] = {}
    closing: list[str] = []
    for batch in batches:
        # What was open at the end of one batch may be settled in a later one.
        closing += [call_id for call_id in batch.closed if opened.pop(call_id, None) is None]
        settled += batch.settled
        opened |= {entry[1].call_id: entry for entry in batch.opened}
        moved |= batch.progress
    joint = Batch(
        settled,
        list(opened.values()),
        [writer for batch in batches for writer in batch.ended_writers],
        moved,
        outcomes=[report for batch in batches for report in batch.outcomes],
        objects=[note for batch in batches for note in batch.objects],
        events=[event for batch in batches for event in batch.events],
        prefixes={call: prefix for batch in batches for call, prefix in batch.prefixes.items()},
        cached={call: saved for batch in batches for call, saved in batch.cached.items()},
        closing=closing,
    )
    return Handover(
        first.before, last.after, joint, sum(one.entries for one in handovers), sum(one.size for one in handovers)
    )
