"""Reading the form fields of a multipart/form-data body (audio, image edits), and changing one in place.

Files are skipped over, not read. Source: RFC 7578 (multipart/form-data), RFC 2046 §5.1.1 (boundaries).
"""

import re

import msgspec

from headworks.errors import Refusal

MAX_PARTS = 1000
"""More parts than this are refused; an image edit has at most a few dozen."""

MAX_HEADER_BYTES = 16 * 1024
"""The longest header of one part."""

MAX_FIELD_BYTES = 1024 * 1024
"""The longest value of a field that is not a file; a transcription prompt is far shorter."""

BOUNDARY = re.compile(
    r"""multipart/form-data\s*;(?:[^"]|"[^"]*")*?\bboundary\s*=\s*(?:"([^"\\]{1,70})"|([^\s;",]{1,70}))""",
    re.IGNORECASE,
)

NAME = re.compile(
    rb'^content-disposition:[ \t]*form-data\b.*?;[ \t]*name="((?:[^"\\\r\n]|\\.)*)"', re.IGNORECASE | re.MULTILINE
)
FILE = re.compile(rb"^content-disposition:[^\r\n]*;[ \t]*filename\*?=", re.IGNORECASE | re.MULTILINE)


class FormField(msgspec.Struct, frozen=True):
    """The value of a field, and where it stands in the body."""

    value: str
    start: int
    end: int


class Form(msgspec.Struct, frozen=True):
    """The fields of a form that are not files, by name."""

    body: bytes
    boundary: bytes
    fields: dict[str, FormField]

    @property
    def model(self) -> str:
        """The value of `model`.

        Raises:
            Refusal: there is none, or it is empty.
        """
        field = self.fields.get("model")
        if field is None or not field.value:
            raise Refusal(400, "missing_required_parameter", "Missing required parameter: 'model'.", param="model")
        return field.value

    @property
    def is_streamed(self) -> bool:
        """Whether the form asks for a stream: `stream` is `true` (or `1`, as some clients write it)."""
        field = self.fields.get("stream")
        return field is not None and field.value.strip().lower() in ("true", "1")

    def splice_model(self, model: str) -> bytes:
        """The body with another `model`, everything else byte for byte."""
        field = self.fields["model"]
        if field.value == model:
            return self.body
        value = model.encode()
        if b"\r" in value or b"\n" in value or self.boundary in value:
            raise Refusal(400, "invalid_value", "The name of the model cannot stand in this form.", param="model")
        return b"%b%b%b" % (self.body[: field.start], value, self.body[field.end :])


def read_form(content_type: str, body: bytes) -> Form:
    """The form in a body whose `content-type` header is `content_type`.

    Raises:
        Refusal: 400 `invalid_multipart`, naming what is wrong and where (in bytes), never any content; also when
            `model` or `stream` is given twice, for which of them counts depends on the parser.
    """
    found = BOUNDARY.match(content_type.strip())
    if found is None:
        raise _invalid("the content-type header names no boundary")
    boundary = (found[1] or found[2]).encode("latin-1", "replace")
    delimiter = b"\r\n--" + boundary
    if body.startswith(delimiter[2:]):
        position = len(delimiter) - 2
    else:
        position = body.find(delimiter) + len(delimiter)
        if position < len(delimiter):
            raise _invalid("its boundary does not occur in it")
    fields: dict[str, FormField] = {}
    for _ in range(MAX_PARTS):
        if body.startswith(b"--", position):
            return Form(body, boundary, fields)
        head_start = _after_line_end(body, position)
        head_end = head_start - 2 if body.startswith(b"\r\n", head_start) else body.find(b"\r\n\r\n", head_start)
        if head_end < 0 or head_end - head_start > MAX_HEADER_BYTES:
            raise _invalid(f"the header of the part at byte {head_start} has no end")
        start = head_end + 4
        end = body.find(delimiter, start)
        if end < 0:
            raise _invalid(f"the part at byte {head_start} has no end")
        _take(fields, body, body[head_start:head_end], start, end)
        position = end + len(delimiter)
    raise _invalid(f"it has more than {MAX_PARTS} parts")


def _take(fields: dict[str, FormField], body: bytes, head: bytes, start: int, end: int) -> None:
    name = NAME.search(head)
    if name is None:
        raise _invalid(f"the part before byte {start} has no name")
    if FILE.search(head) is not None:
        return
    if end - start > MAX_FIELD_BYTES:
        raise _invalid(f"the field at byte {start} is over {MAX_FIELD_BYTES} bytes")
    try:
        key = name[1].decode()
        value = body[start:end].decode()
    except UnicodeDecodeError:
        raise _invalid(f"the field at byte {start} is not UTF-8") from None
    before = fields.get(key)
    if before is not None and key in ("model", "stream"):
        raise _invalid(f"the field at byte {start} repeats an earlier one")
    fields[key] = FormField(value, start, end)


def _after_line_end(body: bytes, position: int) -> int:
    end = body.find(b"\r\n", position)
    if end < 0 or body[position:end].strip(b" \t"):
        raise _invalid(f"the boundary at byte {position} is not followed by a line end")
    return end + 2


def _invalid(reason: str) -> Refusal:
    return Refusal(400, "invalid_multipart", f"The body is not valid multipart/form-data: {reason}.")
