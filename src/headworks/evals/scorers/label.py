"""The answer is the expected label, however it is written: case, punctuation, quotes and white space do not count."""

import re
import unicodedata
from collections.abc import Mapping, Sequence

from headworks.evals.golden import GoldenCase
from headworks.evals.scorers.scoring import NOT_SAID, RIGHT, Answer, Comparison, Score, alternatives, as_text, wrong

_SPACE = re.compile(r"[\s_]+")


def normalised(text: str) -> str:
    """A label in the one form in which labels are compared."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(" " if unicodedata.category(one)[0] in "PZ" and one not in "+%" else one for one in folded)
    return _SPACE.sub(" ", kept).strip()


class Label(Comparison):
    """Of a list of expected labels, each is right.

    Arguments:
        aliases: for a label, what else means it.
    """

    def __init__(self, aliases: Mapping[str, Sequence[str]] | None = None) -> None:
        given = {name: list(others) for name, others in (aliases or {}).items()}
        super().__init__("label", {"aliases": given})
        self._meanings = {normalised(one): normalised(name) for name, others in given.items() for one in others}

    def compare(self, case: GoldenCase, answer: Answer) -> Score:
        """How good the answer is."""
        if not case.has_expected:
            return NOT_SAID
        wanted = {self._meaning(as_text(one)) for one in alternatives(case.expected_value())}
        return RIGHT if self._meaning(answer.text) in wanted else wrong("is another label than expected")

    def _meaning(self, text: str) -> str:
        plain = normalised(text)
        return self._meanings.get(plain, plain)
