"""The answer is the expected text, character by character."""

from headworks.evals.golden import GoldenCase
from headworks.evals.scorers.scoring import NOT_SAID, RIGHT, Answer, Comparison, Score, alternatives, as_text, wrong


class Exact(Comparison):
    """White space around the answer does not count. Of a list of expected texts, each is right."""

    def __init__(self) -> None:
        super().__init__("exact", {})

    def compare(self, case: GoldenCase, answer: Answer) -> Score:
        """How good the answer is."""
        if not case.has_expected:
            return NOT_SAID
        said = answer.text.strip()
        if any(said == as_text(one).strip() for one in alternatives(case.expected_value())):
            return RIGHT
        return wrong("is not the expected text")
