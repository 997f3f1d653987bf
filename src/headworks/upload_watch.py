"""What is read of an upload's form while it goes by."""

from headworks.batch_lines import BatchLines, ModelLines, TokenBound, write_models
from headworks.dialects.form_watch import FormWatch
from headworks.errors import Refusal
from headworks.exchange import Request

MOST_LABEL = 64
"""Characters of a purpose; the API's longest has 17."""


class UploadWatch:
    """Looks at the form of an upload while it goes by: only a batch's input is read, but its purpose may come behind.
    State: what was read of it, and how long it is.

    Arguments:
        bound: what one line of a batch can take at most.

    Raises:
        Refusal: 400 or 415, it is no form.
    """

    def __init__(self, request: Request, bound: TokenBound) -> None:
        check_form(request)
        self._lines = BatchLines(bound)
        self._bytes = 0
        content_type = request.headers.get(b"content-type", b"").decode("latin-1")
        self.form = FormWatch(content_type, self._take)

    def found(self) -> tuple[str, str]:
        """The purpose, and what is kept of the file."""
        purpose = self.form.fields.get("purpose", "")[:MOST_LABEL]
        if purpose == "batch":
            return purpose, write_models([] if self.form.is_doubtful else self._lines.models())
        if purpose == "fine-tune" and not self.form.is_doubtful:  # a token is a byte at least
            return purpose, write_models([ModelLines("", 0, self._bytes, 0, 0)])
        return purpose, ""

    def _take(self, data: bytes) -> None:
        self._bytes += len(data)
        if self.form.fields.get("purpose", "batch") == "batch":
            self._lines.feed(data)


def check_form(request: Request) -> None:
    """Whether it is a form.

    Raises:
        Refusal: 415, it is none.
    """
    if not request.headers.get(b"content-type", b"").lower().startswith(b"multipart/form-data"):
        raise Refusal(
            415, "unsupported_content_type", "The body must be multipart/form-data, and content-type must say so."
        )


__all__ = ["MOST_LABEL", "UploadWatch", "check_form"]
