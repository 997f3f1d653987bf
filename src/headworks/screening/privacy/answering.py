"""Personal data that the model brings up itself: the same detectors, on the way out, before tokens are restored.

A stream may be screened without waiting for its end: what has gone by is released where no value can reach across,
which in ordinary text is two words back. Where findings are only reported nothing is held back at all.
"""

import re
from collections.abc import Sequence

from headworks.errors import Refusal
from headworks.screening.privacy.books import TokenBook
from headworks.screening.privacy.failures import PersonalDataBlocked, ScreeningFailed
from headworks.screening.privacy.findings import Finding
from headworks.screening.privacy.policy import PrivacyPolicy, masked
from headworks.screening.privacy.redacting import known_tokens
from headworks.screening.privacy.spreading import apart

_CONTEXT = 96
"""Characters of what has gone by that are read with what comes: more than any judge looks back."""

_OWN_REACH = 128
"""Characters that are held back where patterns of the contract or a model could find something in any words."""

_MOST_HELD = 2048
_FORCED = 1024
"""Characters that are held back at most where there are no such words (tables, JSON, capitals), and of those that are
held on to then. No value is longer before it is known to be one; from then on it is held back up to its end."""

_QUIET_REACH = 160
"""Characters that are looked at again for two such words: they, and some space."""

_MONTH = (
    "jan|feb|mar|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez|dic|ene|gen|fev|mei|maj|juin|avr|lug|ago|set|ott|out"
)
_PARTICLE = r"(?:van|von|der|den|bin|dos|del)\s"
_WORD = rf"(?!{_MONTH}|{_PARTICLE})[^\W\d_A-Z]{{3,24}}[,.;:!?)]{{0,2}}\s+"
_QUIET = re.compile(rf"(?:(?<=\s)|^)(?=({_WORD}{_WORD}))|(?=([\u3040-\u9fff\uac00-\ud7af]{{2}}))")
"""Two words without digits or capitals, and of no date or name: no value reaches across the space after them. Nor into
an ideograph."""


class AnswerScreen:
    """Screens one answer as its policy's `answer` says.

    Arguments:
        book: the call's: its tokens stand for what the caller said, not the model.

    Attributes:
        counts: how many values of each kind were found, by its name.
        has_failed: whether something could not be screened, and goes out all the same (`on_failure: open`).
        reach: how many characters a stream holds back at least.
    """

    __slots__ = ("_book", "_policy", "counts", "has_failed", "reach")

    def __init__(self, policy: PrivacyPolicy, book: TokenBook) -> None:
        self._policy = policy
        self._book = book
        self.counts: dict[str, int] = {}
        self.has_failed = False
        settings = policy.settings
        longest = max((len(word) for words in settings.words.values() for word in words.words), default=0)
        is_open = bool(settings.patterns) or policy.finder.has_recognisers
        self.reach = max(2 * longest, _OWN_REACH if is_open else 0)

    @property
    def is_off(self) -> bool:
        """Whether nothing is looked for."""
        return self._policy.settings.answer == "allow"

    @property
    def only_reports(self) -> bool:
        """Whether what is found goes out all the same."""
        return self._policy.settings.answer in ("allow", "report")

    @property
    def blocks(self) -> bool:
        """Whether an answer with anything in it must not go out."""
        return self._policy.settings.answer == "block"

    def text(self, text: str) -> str:
        """A whole text, as it may go out.

        Raises:
            PersonalDataBlocked: it holds something, and the contract blocks that.
            ScreeningFailed: it could not be screened.
        """
        return text if self.is_off else self.judged(text, self.found(text))

    def arguments(self, text: str) -> str:
        """The arguments of a call: found and blocked as in a text, but never cut: a tool would get something else than
        what was meant.

        Raises:
            PersonalDataBlocked, ScreeningFailed: as `text`.
        """
        found = [] if self.is_off else self.found(text)
        if self.blocks:
            return self.judged(text, found)
        for finding in found:
            self.counts[finding.kind] = self.counts.get(finding.kind, 0) + 1
        return text

    def found(self, text: str) -> list[Finding]:
        """What there is in a text; for `AnswerStream`.

        Raises:
            ScreeningFailed: it could not be screened, and the contract does not say `on_failure: open`.
        """
        try:
            found = self._policy.finder.find(text)
            if found:
                # A token beside an @ is no mailbox.
                found = apart(found, known_tokens(self._policy.form, text, self._book))
        except Refusal:
            raise
        except Exception as error:  # noqa: BLE001  (the door closes; the error's text may hold the answer)
            if self._policy.fails_closed:
                raise ScreeningFailed(f"the answer ({type(error).__name__})") from None
            self.has_failed = True
            return []
        return found

    def judged(self, text: str, found: Sequence[Finding], offset: int = 0) -> str:
        """A text with its findings treated, their places counted from `offset` before it; for `AnswerStream`.

        Raises:
            PersonalDataBlocked: there are any, and the contract blocks that.
        """
        for finding in found:
            self.counts[finding.kind] = self.counts.get(finding.kind, 0) + 1
        if not found or self.only_reports:
            return text
        action = self._policy.settings.answer
        if action == "block":
            raise PersonalDataBlocked((one.kind for one in found), where="answer")
        pieces = []
        place = 0
        for finding in found:
            start, end = max(0, finding.start - offset), finding.end - offset
            pieces.append(text[place:start])
            if action == "mask":
                pieces.append(masked(self._policy.kind(finding.kind), text[start:end]))
            place = end
        pieces.append(text[place:])
        return "".join(pieces)

    def stream(self, *, in_call: bool = False) -> "AnswerStream":
        """For one text that comes in pieces.

        Arguments:
            in_call: it is the arguments of a call (see `arguments`).
        """
        return AnswerStream(self, in_call=in_call)


class AnswerStream:
    """One text in pieces. State: what is held back, with the places where it may be cut and how far it was searched for
    them; and what went out just before it."""

    __slots__ = ("_context", "_cuts", "_held", "_only_reports", "_screen", "_searched")

    def __init__(self, screen: AnswerScreen, *, in_call: bool = False) -> None:
        self._screen = screen
        self._only_reports = screen.only_reports or (in_call and not screen.blocks)
        self._held = ""
        self._context = ""
        self._cuts: list[int] = []
        self._searched = 0

    def feed(self, piece: str) -> str:
        """What can go out now.

        Raises:
            PersonalDataBlocked, ScreeningFailed: as `AnswerScreen.text`.
        """
        if self._screen.is_off:
            return piece
        self._held += piece
        released = self._release(self._cut(), is_last=False)
        return piece if self._only_reports else released

    def end(self) -> str:
        """The rest.

        Raises:
            PersonalDataBlocked, ScreeningFailed: as `AnswerScreen.text`.
        """
        released = self._release(len(self._held), is_last=True)
        return "" if self._only_reports else released

    def _release(self, cut: int, *, is_last: bool) -> str:
        if not cut:
            return ""
        seen = len(self._context)
        found = [one for one in self._screen.found(self._context + self._held) if one.end > seen]
        whole = seen + len(self._held)
        for finding in found:
            reaches_across = finding.end > cut + seen or (finding.end == whole and not is_last)
            if finding.start < cut + seen and reaches_across:
                cut = max(0, finding.start - seen)
        text, self._held = self._held[:cut], self._held[cut:]
        self._cuts, self._searched = [], 0
        judged = self._screen.judged(text, [one for one in found if one.end <= cut + seen], seen)
        self._context = (self._context + text)[-_CONTEXT:]
        return judged

    def _cut(self) -> int:
        """Up to where values are complete, but for those that are found to reach across (see `_release`)."""
        held, cuts = self._held, self._cuts
        last = cuts[-1] if cuts else 0
        for match in _QUIET.finditer(held, max(0, self._searched - _QUIET_REACH)):
            end = match.end(1 if match[1] else 2)
            if end > last:
                cuts.append(end)
        self._searched = len(held)
        least = len(held) - self._screen.reach
        cut = next((end for end in reversed(cuts) if end <= least), 0)
        return len(held) - _FORCED if not cut and len(held) > _MOST_HELD else cut
