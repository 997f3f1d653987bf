"""Reading one segment line by line, as far as it is what was written. Pure; the archive and `verify` both go by it."""

from collections.abc import Iterator, Sequence

import msgspec

from headworks.audit.keys import Signer
from headworks.audit.lines import (
    Checkpoint,
    Entry,
    Head,
    Signed,
    continues,
    line_hash,
    read_line,
    signed_bytes,
)
from headworks.audit.merkle import Tree, leaf_hash

START = bytes(32)
"""The chain before a segment's first entry."""

CHECKPOINT = b'{"checkpoint":'
"""How the line of a checkpoint begins."""


class Good(msgspec.Struct):
    """Where a segment stands after a checkpoint that is as it was written.

    Attributes:
        head: of the segment.
        tree: over its leaves so far.
        chain: of its last entry.
        previous: the hash of that checkpoint's line.
        next: the number of the entry to come.
        end: how many bytes of the segment are good.
        line: the checkpoint's line.
    """

    head: Head
    tree: Tree
    chain: bytes
    previous: str
    next: int
    end: int
    line: bytes


class Scan(msgspec.Struct, frozen=True):
    """What is to be said of one segment.

    Attributes:
        head: None if the first line is none.
        good: after the last good checkpoint; None if there is none.
        checkpoints: the lines of all good checkpoints, in order.
        fault: what is wrong behind `good`; "" if nothing is, and the segment ends there.
        fault_line: the number of the line where that is, from 1.
        is_unfinished: the fault is that the end is missing, as it is for a moment while a batch is written.
    """

    head: Head | None
    good: Good | None
    checkpoints: tuple[bytes, ...]
    fault: str = ""
    fault_line: int = 0
    is_unfinished: bool = False


def scan(data: bytes, signers: Sequence[Signer]) -> Scan:
    """Read a segment's bytes up to the first that are not as they were written."""
    lines = data.split(b"\n")
    rest = lines.pop()
    head = read_line(lines[0], Head) if lines else None
    if head is None or head.audit != 1:
        return Scan(None, None, (), "this is not the head of a segment", 1)
    reading = _Reading(head, lines[0], {signer.name: signer for signer in signers})
    for number, line in enumerate(lines[1:], 2):
        fault = reading.take(line)
        if fault:
            return Scan(head, reading.good, tuple(reading.checkpoints), fault, number)
    good = reading.good
    if rest or good is None or good.end != len(data):
        fault = "the end is missing: what stands last is not followed by a checkpoint"
        return Scan(head, good, tuple(reading.checkpoints), fault, len(lines) + bool(rest), is_unfinished=True)
    return Scan(head, good, tuple(reading.checkpoints))


class _Reading:
    """State: the tree, chain and numbers of what was read so far, and where it was last good."""

    def __init__(self, head: Head, line: bytes, signers: dict[str, Signer]) -> None:
        self._head = head
        self._signers = signers
        self._tree = Tree()
        self._tree.add(leaf_hash(line))
        self._chain = START
        self._next = head.first
        self._previous = head.previous
        self._end = len(line) + 1
        self.good: Good | None = None
        self.checkpoints: list[bytes] = []

    def take(self, line: bytes) -> str:
        """Take in a line; what is wrong with it, if anything is."""
        self._end += len(line) + 1
        if line.startswith(CHECKPOINT):
            return self._checkpoint(line)
        entry = read_line(line, Entry)
        if entry is None:
            return "this is not an entry as it is written"
        if entry.n != self._next:
            return f"entry {entry.n} stands where entry {self._next} should: entries were removed, added or moved"
        chain = continues(line, self._chain)
        if chain is None:
            return f"entry {entry.n} was changed: it does not go on from the chain before it"
        self._chain = chain
        self._next += 1
        self._tree.add(leaf_hash(line))
        return ""

    def _checkpoint(self, line: bytes) -> str:
        signed = read_line(line, Signed)
        if signed is None:
            return "this is not a checkpoint as it is written"
        fault = self._fault_of(signed.checkpoint)
        if fault:
            return fault
        signer = self._signers.get(signed.checkpoint.signer)
        if signer is None:
            return f"the checkpoint was signed by {signed.checkpoint.signer}, which is none of the known signers"
        if not signer.has_signed(*signed_bytes(signed)):
            return "the checkpoint's signature is not that of its signer"
        self._previous = line_hash(line)
        self.checkpoints.append(line)
        tree = self._tree.copy()
        self.good = Good(self._head, tree, self._chain, self._previous, self._next, self._end, line)
        return ""

    def _fault_of(self, checkpoint: Checkpoint) -> str:
        head = self._head
        if (checkpoint.log, checkpoint.segment) != (head.log, head.segment):
            return "the checkpoint is one of another segment"
        if checkpoint.previous != self._previous:
            return "the checkpoint does not follow the one before it: one was removed, added or moved"
        if (checkpoint.size, checkpoint.next) != (self._tree.size, self._next):
            return f"the checkpoint is about {checkpoint.size} leaves, and there are {self._tree.size}"
        if checkpoint.root != self._tree.root().hex():
            return "the checkpoint has another root: what stands before it was changed"
        return ""


def has_checkpoint(data: bytes) -> bool:
    """Whether a segment holds a whole checkpoint, whoever signed it."""
    lines = data.split(b"\n")[:-1]
    return any(line.startswith(CHECKPOINT) and read_line(line, Signed) is not None for line in lines)


def leaves_of(data: bytes) -> Iterator[bytes]:
    """The lines of a segment that are leaves of its tree: the head and the entries."""
    return (line for line in data.split(b"\n") if line and not line.startswith(CHECKPOINT))


def checkpoint_of(line: bytes) -> Checkpoint | None:
    """What a checkpoint's line says; None if it is none."""
    signed = read_line(line, Signed)
    return None if signed is None else signed.checkpoint
