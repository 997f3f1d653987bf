"""One case of a golden set: a typical input, and what a right answer to it is."""

import hashlib
from collections.abc import Mapping
from typing import Literal

import msgspec

Part = Literal["train", "dev", "test"]
"""*train* cases are examples that a prompt shows or a model is tuned on; *dev* cases are looked at while a prompt is
being written; *test* cases decide, and nobody looks at them before."""

Split = Part | Literal["held-out"]
"""*held-out* is an older word for *test*."""

_NOTHING = msgspec.Raw(b"[]")


class GoldenCase(msgspec.Struct, frozen=True, omit_defaults=True):
    """One case.

    Attributes:
        id: a name of its own in the set.
        variables: of the workload's prompt.
        input: the caller's messages as the Responses API has them: a list of items, or a text.
        expected: what is right: a label, a number, an object, tool calls. Left out where a judge or rules decide alone.
        tags: what the report is divided by.
        cluster: cases with the same one are not independent (of one document, one customer); empty: it stands alone.
        must_pass: a wrong answer to it fails a change, whatever the others say.
        split: what it may be used for; `part` says it in today's words.
    """

    id: str
    variables: Mapping[str, object] = {}
    input: msgspec.Raw = _NOTHING
    expected: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    tags: tuple[str, ...] = ()
    cluster: str = ""
    must_pass: bool = False
    split: Split = "dev"

    @property
    def part(self) -> Part:
        """What the case may be used for."""
        return "test" if self.split == "held-out" else self.split

    @property
    def has_expected(self) -> bool:
        """Whether the case says what is right."""
        return self.expected is not msgspec.UNSET

    def expected_value(self) -> object:
        """What is expected, decoded; None where nothing is."""
        return None if isinstance(self.expected, msgspec.UnsetType) else msgspec.json.decode(self.expected)

    def input_value(self) -> object:
        """The caller's messages, decoded: a list of items, or a text."""
        return msgspec.json.decode(self.input)

    @property
    def asked_hash(self) -> str:
        """What tells apart what is asked: the hash of variables and input, however they are written."""
        asked = msgspec.json.encode([self.variables, self.input_value()], order="deterministic")
        return hashlib.sha256(asked).hexdigest()

    @property
    def belongs_to(self) -> frozenset[str]:
        """What it has in common with cases that are not independent of it: its cluster, and what is asked."""
        asked = f"asked {self.asked_hash}"
        return frozenset((asked, f"cluster {self.cluster}") if self.cluster else (asked,))


FIELDS = frozenset(GoldenCase.__struct_fields__)
"""What a line of a golden set may have. Others are passed over, and told by the lint."""


def case_line(case: GoldenCase) -> bytes:
    """A case as a line of its file, the line's end included."""
    return msgspec.json.encode(case) + b"\n"
