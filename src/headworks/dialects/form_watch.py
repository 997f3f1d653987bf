"""Looking at a form while it goes by: its short fields, and the bytes of its file. Pure; holds no more than a part's
head and the short fields."""

from collections.abc import Callable

from headworks.dialects.multipart import BOUNDARY, FILE, MAX_FIELD_BYTES, MAX_HEADER_BYTES, NAME
from headworks.errors import Refusal


class FormWatch:
    """Reads a `multipart/form-data` body in pieces of any size. State: the part that is under way.

    What cannot be read is passed over: the provider judges the form, and gets it byte for byte.

    Arguments:
        content_type: the header, which names the boundary.
        on_file: called with the file's bytes as they come.

    Attributes:
        fields: the short fields so far, by name.
        is_doubtful: it holds more than one file, or a part that another reader might take for one.

    Raises:
        Refusal: 400, the header names no boundary.
    """

    def __init__(self, content_type: str, on_file: Callable[[bytes], None]) -> None:
        found = BOUNDARY.match(content_type.strip())
        if found is None:
            raise Refusal(
                400, "invalid_multipart", "The content-type header must be multipart/form-data with a boundary."
            )
        self._delimiter = b"\r\n--" + (found[1] or found[2]).encode("latin-1", "replace")
        self._on_file = on_file
        self._rest = b"\r\n"  # the first delimiter has no line before it
        self._is_in_head = False
        self._is_file = False
        self._name: str | None = None
        self._value = b""
        self._files = 0
        self.is_doubtful = False
        self.fields: dict[str, str] = {}

    def feed(self, data: bytes) -> None:
        """The next piece."""
        self._rest += data
        while self._step():
            pass

    def _step(self) -> bool:
        if self._is_in_head:
            return self._take_head()
        at = self._rest.find(self._delimiter)
        if at < 0:
            keep = len(self._delimiter) - 1
            self._take_body(self._rest[:-keep])
            self._rest = self._rest[-keep:]
            return False
        self._take_body(self._rest[:at])
        self._end_part()
        self._rest = self._rest[at + len(self._delimiter) :]
        self._is_in_head = True
        return True

    def _take_head(self) -> bool:
        end = self._rest.find(b"\r\n\r\n")
        if end < 0:
            if len(self._rest) > MAX_HEADER_BYTES:
                self._is_in_head = False  # no head of a part is so long: what follows is passed over
                self.is_doubtful = True
                return True
            return False
        head, self._rest = self._rest[:end], self._rest[end + 4 :]
        self._is_in_head = False
        self._is_file = FILE.search(head) is not None
        name = NAME.search(head)
        self._name = None if name is None or self._is_file else name[1].decode("utf-8", "replace")
        self._files += self._is_file
        self.is_doubtful |= end > MAX_HEADER_BYTES
        self.is_doubtful |= self._files > 1 or name is None or self._name == "file"
        return True

    def _take_body(self, data: bytes) -> None:
        if not data:
            return
        if self._is_file:
            self._on_file(data)
        elif self._name is not None and len(self._value) + len(data) <= MAX_FIELD_BYTES:
            self._value += data

    def _end_part(self) -> None:
        if self._name is not None:
            self.fields[self._name] = self._value.decode("utf-8", "replace")
        self._name, self._value, self._is_file = None, b"", False
