"""What a request asks an operation: from path, query, body and headers. Pure."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

import msgspec

from headworks.admin.api.operation import Operation, malformed
from headworks.errors import Refusal
from headworks.exchange import Request

_MOST_NAME = 128
_MOST_DIGITS = 18
_decode_body = msgspec.json.Decoder(dict[str, object]).decode


def fields_of(operation: Operation, of_path: Mapping[str, str], request: Request) -> dict[str, object]:
    """What is asked, of path and query or body. Nothing may be said twice.

    Raises:
        Refusal: 400 or 415.
    """
    if operation.method == "GET":
        if request.body:
            raise malformed("GET takes no body")
        fields = _query_fields(operation, request.query)
    else:
        if request.query:
            raise malformed("what is asked goes into the body, not into the query")
        fields = _body_fields(request)
    if fields.keys() & of_path.keys():
        raise malformed("a field of the path stands in the query or the body, too")
    return fields | dict(of_path)


def _body_fields(request: Request) -> dict[str, object]:
    if not request.body:
        return {}
    kind = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != b"application/json":
        raise Refusal(415, "not_json", "A body is JSON: send `content-type: application/json`.")
    try:
        return _decode_body(request.body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise malformed("the body is no JSON object") from None


def _query_fields(operation: Operation, query: str) -> dict[str, object]:
    lists = {
        field.encode_name
        for field in msgspec.structs.fields(operation.asked)
        if getattr(field.type, "__origin__", None) is tuple
        or getattr(getattr(field.type, "__origin__", None), "__origin__", None) is tuple
    }
    fields: dict[str, object] = {}
    try:
        said = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=100)
    except ValueError:
        raise malformed("the query is none") from None
    for name, value in said:
        if name in lists:
            before = fields.setdefault(name, [])
            assert isinstance(before, list), "it was made one"
            before.append(value)
        elif name in fields:
            raise malformed(f"a field of the query stands there twice - at `$.{name}`")
        else:
            fields[name] = value
    return fields


def revision_in(header: bytes | None) -> int | None:
    """What `If-Match` says (RFC 9110 §13.1.1); None where it says nothing, or that anything will do.

    Raises:
        Refusal: 412, it is none of ours, so nothing matches.
    """
    text = (header or b"").strip().decode("latin-1")
    if text in ("", "*"):
        return None
    digits = text.removeprefix('"').removesuffix('"')
    if text != f'"{digits}"' or not digits.isascii() or not digits.isdigit() or len(digits) > _MOST_DIGITS:
        raise Refusal(412, "changed_meanwhile", "`if-match` is no etag of ours: take the one that GET answers with.")
    return int(digits)


def repeat_name(operation: Operation, header: bytes | None) -> str:
    """What `Idempotency-Key` says; "" where it says nothing, or a repeat does no harm.

    Raises:
        Refusal: 400.
    """
    name = (header or b"").strip().decode("latin-1")
    if not name or not operation.is_repeatable:
        return ""
    if len(name) > _MOST_NAME or not name.isascii() or not name.isprintable():
        raise malformed(f"an Idempotency-Key has at most {_MOST_NAME} printable ASCII characters")
    return name
