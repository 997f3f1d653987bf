"""The caches of Google's Gemini API, in that API's own words: what a request for one says, and how a list is
written. Pure.

A cache is what a model has read already: instructions, tools, files and turns that later calls begin with by naming it
(`cachedContent`). It is of one model at one pool's project, lives until a time that its maker says, and costs by the
hour ("Caching", 2026-11).
"""

from collections.abc import Sequence
from urllib.parse import parse_qsl

import msgspec

from headworks.calls import NO_USAGE, Usage
from headworks.dialects import read_fields
from headworks.errors import Refusal
from headworks.object_lists import MOST_A_PAGE, Page
from headworks.providers import Provider, VertexProvider

_USUAL = 50
_MOST_ASKED = 1000
"""The highest `pageSize` of the API."""

_COLLECTIONS = ("models/", "tunedModels/")
_CACHES = "cachedContents/"
_TUNED = "endpoints/"
_PUBLISHED = "publishers/google/models/"


class _Metadata(msgspec.Struct, rename="camel"):
    total_token_count: int = 0


class _Cache(msgspec.Struct, rename="camel"):
    name: str = ""
    usage_metadata: _Metadata | None = None


_decode = msgspec.json.Decoder(_Cache).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def model_of_cache(body: bytes) -> str:
    """The model that a cache is to be made for, as the caller calls it.

    Raises:
        Refusal: 400, there is none.
    """
    raw = read_fields(body).get("model")
    try:
        name = "" if raw is None else _decode_text(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        name = ""
    if not name:
        raise Refusal(400, "missing_required_parameter", "Missing required parameter: 'model'.", param="model")
    return name.removeprefix(_COLLECTIONS[0])


def parent_at(provider: Provider) -> str:
    """With what the names of caches and models begin at a provider: Vertex AI's have the project's and the location's
    before them; "" at AI Studio, whose names callers know."""
    return provider.parent if isinstance(provider, VertexProvider) else ""


def cache_for(body: bytes, model: str, parent: str = "") -> bytes:
    """The body with the provider's name of the model."""
    if parent:
        bare = model.removeprefix(_COLLECTIONS[0])
        named = f"{parent}/{bare}" if bare.startswith(_TUNED) else f"{parent}/{_PUBLISHED}{bare}"
    else:
        named = model if model.startswith(_COLLECTIONS) else _COLLECTIONS[0] + model
    return _encode({**read_fields(body), "model": named})


def shown_cache(body: bytes, parent: str) -> bytes:
    """A cache as its callers know it, by the names that AI Studio has for such things; as it is where it is none."""
    if not parent:
        return body
    try:
        fields = _decode_fields(body)
        name, model = (_decode_text(fields[field]) for field in ("name", "model"))
    except (KeyError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return body
    # The project may stand there by its number.
    short = {"name": f"{_CACHES}{name.rpartition(_CACHES)[2]}"}
    if _PUBLISHED in model:
        short["model"] = _COLLECTIONS[0] + model.rpartition("/")[2]
    return _encode({**fields, **short})


def with_full_name(body: bytes, parent: str) -> bytes:
    """The body of a call that names a cache as its callers know it, with the provider's own name for it."""
    fields = dict(read_fields(body))
    for field in ("cachedContent", "cached_content"):
        if field not in fields:
            continue
        try:
            name = _decode_text(fields[field])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue  # whoever is asked says what is wrong with it
        fields[field] = msgspec.Raw(_encode(f"{parent}/{name}"))
    return _encode(fields)


def cache_in(body: bytes) -> tuple[str, Usage]:
    """The name of a cache, "" where it has none, and the tokens that were read for it."""
    try:
        found = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "", NO_USAGE
    tokens = 0 if found.usage_metadata is None else found.usage_metadata.total_token_count
    return found.name, Usage(input_tokens=tokens, source="provider") if tokens > 0 else NO_USAGE


def read_cache_page(query: str) -> Page:
    """The page that a query asks for; the newest come first.

    Raises:
        Refusal: 400, for a size that is none.
    """
    values = dict(parse_qsl(query, keep_blank_values=True))
    size = values.get("pageSize", "0")
    if not size.isdecimal() or not size.isascii() or int(size[:9]) > _MOST_ASKED:
        raise Refusal(
            400, "invalid_value", f"Invalid 'pageSize': expected a number from 1 to {MOST_A_PAGE}.", param="pageSize"
        )
    return Page(min(int(size) or _USUAL, MOST_A_PAGE), False, values.get("pageToken", ""), "", "", ())


def write_cache_page(found: Sequence[tuple[str, bytes]], *, has_more: bool) -> bytes:
    """A list of these caches, each as the provider has written it.

    Arguments:
        found: names and bodies.
    """
    page: dict[str, object] = {}
    if found:
        page["cachedContents"] = [msgspec.Raw(body) for _, body in found]
    if has_more:
        page["nextPageToken"] = found[-1][0]
    return _encode(page)
