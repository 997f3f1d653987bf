"""What comes down: tokens become the values that they stand for, in texts, in streams, and within JSON.

A stream holds back only what may still become a token, and never looks again at what it has put in.
"""

from headworks.screening.privacy.books import TokenBook
from headworks.screening.privacy.nesting import Nesting
from headworks.screening.privacy.tokens import TokenForm


class Restorer:
    """Restores what one call's answer says, from the call's book.

    Attributes:
        unknown: tokens that are none of this book, in the form that they should have. They stay as they are: a model
            invented them, or somebody typed another's.
        restored: how many were turned back.
    """

    __slots__ = ("_book", "_form", "restored", "unknown")

    def __init__(self, book: TokenBook, form: TokenForm) -> None:
        self._book = book
        self._form = form
        self.unknown: set[str] = set()
        self.restored = 0

    def text(self, text: str) -> str:
        """A whole text. Where it is JSON, or has JSON in it, values are escaped there."""
        return self.restored_piece(text, self.nesting(in_json=False))

    def json(self, text: str) -> str:
        """The text of a JSON document, such as a tool call's arguments: values are escaped as its strings need, and as
        those of a document within a string do."""
        return self.restored_piece(text, self.nesting(in_json=True))

    def stream(self, *, in_json: bool = False) -> "RestoringStream":
        """For one text that comes in pieces: one for each choice, each field and each tool call of an answer.

        Arguments:
            in_json: whether the text is a JSON document, as arguments are.
        """
        return RestoringStream(self, self._form, in_json=in_json)

    def nesting(self, *, in_json: bool) -> Nesting | None:
        """Follows a text; None where no value is written otherwise in JSON than elsewhere."""
        return Nesting(in_json=in_json) if self._book.needs_escapes else None

    def restored_piece(self, text: str, nesting: Nesting | None) -> str:
        """A piece of a text that is followed by `nesting`; for `RestoringStream`."""
        pieces = []
        place = followed = 0
        for start, end, written in self._form.find(text):
            value = self._book.value_of(written)
            if value is None:
                self.unknown.add(written)
                continue
            self.restored += 1
            pieces.append(text[place:start])
            if nesting is not None:
                nesting.feed(text[followed:start])
                followed = start
                value = nesting.escaped(value)
            pieces.append(value)
            place = end
        if nesting is not None:
            nesting.feed(text[followed:])
        if not pieces:
            return text
        pieces.append(text[place:])
        return "".join(pieces)


class RestoringStream:
    """One text in pieces. State: what is held back."""

    __slots__ = ("_form", "_held", "_nesting", "_restorer")

    def __init__(self, restorer: Restorer, form: TokenForm, *, in_json: bool) -> None:
        self._restorer = restorer
        self._form = form
        self._nesting = restorer.nesting(in_json=in_json)
        self._held = ""

    def feed(self, piece: str) -> str:
        """What can go out now."""
        text = self._held + piece
        # A whole token is never cut: what may still become one begins after the last that is complete.
        last = max((end for _, end, _ in self._form.find(text)), default=0)
        cut = max(last, self._form.open_end(text))
        self._held = text[cut:]
        return self._change(text[:cut])

    def end(self) -> str:
        """The rest: the text is over, or the stream has broken."""
        held, self._held = self._held, ""
        return self._change(held)

    def _change(self, text: str) -> str:
        return self._restorer.restored_piece(text, self._nesting)
