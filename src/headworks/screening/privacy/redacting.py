"""What goes up: every string of a body is screened, and what is found is replaced as the policy says.

A body in which nothing is found is given back as the same object. Whatever goes wrong is a `ScreeningFailed`: nothing
that was not screened is ever given back.
"""

from collections.abc import Sequence

import msgspec

from headworks.errors import Refusal
from headworks.screening.privacy.books import TokenBook
from headworks.screening.privacy.entities import NO_ENTITIES, Entities
from headworks.screening.privacy.failures import PersonalDataBlocked, ScreeningFailed
from headworks.screening.privacy.finding import without_overlaps
from headworks.screening.privacy.findings import Finding
from headworks.screening.privacy.policy import QUOTED_KIND, PrivacyPolicy, masked
from headworks.screening.privacy.shadow import Shadow
from headworks.screening.privacy.spreading import apart, occurrences, spread
from headworks.screening.privacy.tokens import QUOTED, TokenForm
from headworks.screening.privacy.walking import Leaf, Walk, encode_json
from headworks.screening.steps import Steps, drained

_FEW_PATTERNS = 4
"""To try so many on a short text takes as long as asking which of all may match in it."""

_SPREADS_FROM = 6
_SPREADS_MOST = 500
"""A value of so many characters is looked for everywhere once it was found, of up to so many values."""


class Redacted(msgspec.Struct, frozen=True):
    """A body that may go up.

    Attributes:
        body: the same object if nothing had to be changed.
        counts: how many values of each kind were found, by its name.
        opaque: how many images, sounds and files were passed unread.
    """

    body: bytes
    counts: dict[str, int]
    opaque: int = 0


class Redactor:
    """Screens bodies and texts by one policy."""

    __slots__ = ("_finder", "_form", "_policy", "_quotes")

    def __init__(self, policy: PrivacyPolicy) -> None:
        self._policy = policy
        self._finder = policy.finder
        # Where arguments are not restored, the caller's history holds our own tokens: they stay what they are.
        self._form = policy.form
        self._quotes = policy.restores_arguments

    def texts(self, body: bytes) -> list[str]:
        """Every text of a JSON body that `redact` screens: what a model is asked about before.

        Raises:
            ScreeningFailed: it cannot be read.
        """
        walk = Walk()
        try:
            drained(walk.read(body))
        except Exception as error:  # noqa: BLE001  (as in `redact`)
            raise ScreeningFailed(f"the request ({type(error).__name__})") from None
        return [leaf.text for leaf in walk.leaves]

    def redact(self, body: bytes, book: TokenBook, entities: Entities = NO_ENTITIES) -> Redacted:
        """A JSON body, screened.

        Arguments:
            entities: what a model has found in its `texts`.

        A number in which something is found becomes a string, and so it comes back: no token is a number.

        Raises:
            PersonalDataBlocked: it holds what the policy blocks, or a file where those are blocked.
            ScreeningFailed: it could not be screened. If the contract says `open`, who calls may send the body all the
                same, and has to record that.
        """
        return drained(self.steps(body, book, entities))

    def steps(self, body: bytes, book: TokenBook, entities: Entities = NO_ENTITIES) -> Steps[Redacted]:
        """`redact`, step by step.

        Raises:
            PersonalDataBlocked, ScreeningFailed: as `redact`.
        """
        try:
            return (yield from self._redact(body, book, entities))
        except Refusal:
            raise
        except Exception as error:  # noqa: BLE001  (whatever it is, the door closes; its text may hold the prompt)
            raise ScreeningFailed(f"the request ({type(error).__name__})") from None

    def redact_text(self, text: str, book: TokenBook, entities: Entities = NO_ENTITIES) -> tuple[str, dict[str, int]]:
        """A text, screened, with the counts of what was found.

        Raises:
            PersonalDataBlocked, ScreeningFailed: as `redact`.
        """
        return drained(self.text_steps(text, book, entities))

    def text_steps(
        self, text: str, book: TokenBook, entities: Entities = NO_ENTITIES
    ) -> Steps[tuple[str, dict[str, int]]]:
        """`redact_text`, step by step.

        Raises:
            PersonalDataBlocked, ScreeningFailed: as `redact`.
        """
        try:
            leaf = Leaf(text, "")
            counts: dict[str, int] = {}
            yield from self._screen([leaf], book, counts, entities)
        except Refusal:
            raise
        except Exception as error:  # noqa: BLE001  (as above)
            raise ScreeningFailed(f"a text ({type(error).__name__})") from None
        return leaf.becomes, counts

    def _redact(self, body: bytes, book: TokenBook, entities: Entities) -> Steps[Redacted]:
        walk = Walk()
        tree = yield from walk.read(body)
        if walk.opaque and self._policy.settings.opaque == "block":
            raise PersonalDataBlocked(["file"])
        counts: dict[str, int] = {}
        is_changed = yield from self._screen(walk.leaves, book, counts, entities)
        if not is_changed and not walk.has_twins:
            return Redacted(body, counts, walk.opaque)
        walk.rewind()
        written = yield from walk.write(tree)
        return Redacted(encode_json(written), counts, walk.opaque)

    def _screen(
        self, leaves: Sequence[Leaf], book: TokenBook, counts: dict[str, int], entities: Entities
    ) -> Steps[bool]:
        """Fill in what each leaf becomes; whether any is changed."""
        joined = "\n".join([leaf.lead + leaf.text for leaf in leaves])
        yield
        shadow = Shadow(joined)
        yield
        indices = self._finder.may_hold(shadow.data)
        yield
        written = [one for _, _, one in self._form.find(joined)]
        typed = any(book.value_of(one) is not None for one in written)
        reads_all = self._finder.has_recognisers or entities is not NO_ENTITIES
        if not indices and not (typed and self._quotes) and not reads_all:
            for leaf in leaves:
                leaf.becomes = leaf.text
            return False
        is_one_of_many = len(leaves) > 1 and len(indices) > _FEW_PATTERNS
        for leaf in leaves:
            if indices or reads_all:
                leaf.findings = yield from self._find(indices, leaf, entities, asks=is_one_of_many)
            if typed:
                leaf.findings = self._with_typed(leaf, book)
            yield
        yield from self._spread(leaves)
        yield
        self._block([finding for leaf in leaves for finding in leaf.findings])
        if written and not typed:
            # Which tokens are known shows only when every value has its own: a caller may have typed one of those.
            yield from self._give_tokens(leaves, book)
            if any(book.value_of(one) is not None for one in written):
                for leaf in leaves:
                    leaf.findings = self._with_typed(leaf, book)
        changed = False
        for leaf in leaves:
            leaf.becomes = yield from self._replaced(leaf, book, counts)
            changed |= leaf.becomes != leaf.text
            yield
        return changed

    def _find(self, indices: Sequence[int], leaf: Leaf, entities: Entities, *, asks: bool) -> Steps[list[Finding]]:
        """What there is in a leaf.

        Arguments:
            indices: of the patterns that may match in one of the leaves.
            asks: whether it pays to ask which may match in this one.
        """
        lead = len(leaf.lead)
        whole = leaf.lead + leaf.text
        shadow = Shadow(whole)
        if asks:
            indices = self._finder.may_hold(shadow.data)
        found = yield from self._finder.steps(indices, whole, shadow, entities.within(leaf.lead, leaf.text))
        if not lead:
            return found
        return [
            Finding(max(0, one.start - lead), one.end - lead, one.kind, one.confidence)
            for one in found
            if one.end > lead
        ]

    def _with_typed(self, leaf: Leaf, book: TokenBook) -> list[Finding]:
        """What is a token of this conversation is quoted, so that it comes back as it was typed.

        Where tokens are not turned back everywhere, a history holds them rightly: then nothing that a token is part of
        has been found (what stands before the @ of a URL is no mailbox).
        """
        typed = known_tokens(self._form, leaf.text, book)
        if not self._quotes:
            return apart(leaf.findings, typed)
        return without_overlaps(leaf.findings + [Finding(start, end, QUOTED, 0.0) for start, end in typed])

    def _spread(self, leaves: Sequence[Leaf]) -> Steps[None]:
        """What was found once, by the words around it, is the same where no words are around it."""
        models = {
            leaf.text[one.start : one.end]: one
            for leaf in leaves
            for one in leaf.findings
            if one.end - one.start >= _SPREADS_FROM and one.kind != QUOTED
        }
        yield
        if not models or len(models) > _SPREADS_MOST:
            return
        everywhere = yield from occurrences([leaf.text for leaf in leaves], models)
        for leaf, found in zip(leaves, everywhere, strict=True):
            if found:
                leaf.findings = spread(leaf.findings, found, models)

    def _give_tokens(self, leaves: Sequence[Leaf], book: TokenBook) -> Steps[None]:
        for leaf in leaves:
            for one in leaf.findings:
                yield
                if one.kind != QUOTED and self._policy.action(one.kind) == "tokenise":
                    book.token_for(self._policy.kind(one.kind), leaf.text[one.start : one.end])

    def _block(self, findings: Sequence[Finding]) -> None:
        blocked = [one.kind for one in findings if one.kind != QUOTED and self._policy.action(one.kind) == "block"]
        if blocked:
            raise PersonalDataBlocked(blocked)

    def _replaced(self, leaf: Leaf, book: TokenBook, counts: dict[str, int]) -> Steps[str]:
        if not leaf.findings:
            return leaf.text
        pieces = []
        place = 0
        for finding in leaf.findings:
            yield
            pieces.append(leaf.text[place : finding.start])
            pieces.append(self._stand_in(finding, leaf.text[finding.start : finding.end], book))
            if finding.kind != QUOTED:
                counts[finding.kind] = counts.get(finding.kind, 0) + 1
            place = finding.end
        pieces.append(leaf.text[place:])
        return "".join(pieces)

    def _stand_in(self, finding: Finding, value: str, book: TokenBook) -> str:
        if finding.kind == QUOTED:
            return book.token_for(QUOTED_KIND, value)
        kind = self._policy.kind(finding.kind)
        match self._policy.action(finding.kind):
            case "tokenise":
                return book.token_for(kind, value)
            case "mask":
                return masked(kind, value)
            case "hash":
                return book.hash_of(kind, value)
            case "remove":
                return ""
            case "allow" | "block":
                raise AssertionError("the finder leaves out what is allowed, and what is blocked has been refused")


def known_tokens(form: TokenForm, text: str, book: TokenBook) -> list[tuple[int, int]]:
    """Where in a text the tokens of a book are."""
    return [(start, end) for start, end, written in form.find(text) if book.value_of(written) is not None]
