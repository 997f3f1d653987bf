"""What is raised when an upstream's answer is not what its dialect promises."""

from headworks.calls import Failure, FailureKind
from headworks.errors import HeadworksError


class UnreadableAnswer(HeadworksError):
    """An upstream answered something that is not its dialect: not JSON, not the shape, or past a bound.

    `failure` is the classified form, for routing; the text names the place and never the content.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.failure = Failure(FailureKind.INVALID, detail)
