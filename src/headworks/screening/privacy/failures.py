"""How screening stops a call. Both are refusals, so that a caller of this room that forgets them still fails closed."""

from collections.abc import Iterable

from headworks.errors import Refusal


class ScreeningFailed(Refusal):
    """Screening could not be done; the text must not go on. Says which step failed, never on what text."""

    def __init__(self, step: str) -> None:
        super().__init__(
            500,
            "screening_failed",
            f"The call was not sent: screening for personal data failed in {step}. Tell the operator of this gateway.",
            kind="server_error",
        )
        self.step = step


class PersonalDataBlocked(Refusal):
    """The contract forbids what was found.

    Attributes:
        kinds: the names of the kinds, in order.
    """

    def __init__(self, kinds: Iterable[str], *, where: str = "request") -> None:
        self.kinds = tuple(sorted(set(kinds)))
        super().__init__(
            400,
            "personal_data_blocked",
            f"The {where} holds data that is not allowed here: {', '.join(self.kinds)}. Leave it out.",
        )
