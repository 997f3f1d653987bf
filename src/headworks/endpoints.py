"""Which method and path means what: the one table that routing, authorisation and documentation read.

Default deny: a route needs a key unless it says otherwise, and what is not in the table does not exist.
Paths are those of the OpenAI API reference (2026-10), and `/v1/messages` that of Anthropic's (2026-11),
`/v1beta/models/{model}:generateContent` that of Google's (2026-11).
"""

import enum
import re

import msgspec

from headworks.calls import Endpoint
from headworks.errors import Refusal
from headworks.stored_routes import StoredRoute, is_of_caches, stored_routes


class Manner(enum.Enum):
    """How a route is served."""

    CALL = "call"  # a model call with a JSON body
    COUNT = "count"  # how many tokens a model call would take
    FORM = "form"  # a model call with a multipart body (or JSON)
    OBJECT = "object"  # something that an upstream has stored
    STORED = "stored"  # what providers store at an account: files, batches, ...
    MODELS = "models"
    MODEL = "model"
    OUTCOMES = "outcomes"  # what an application found out about its calls
    TRACES = "traces"  # what an agent's SDK tells of its runs
    HELD = "held"  # an answer of ours that waits for a person
    APPROVALS = "approvals"  # what is to be decided
    APPROVAL = "approval"
    SESSION = "session"  # a conversation over a WebSocket
    UNMETERED = "unmetered"  # what would lead around this gateway
    PULSE = "pulse"  # a stream by which is measured what proxies do to streams
    LIVE = "live"
    READY = "ready"
    METRICS = "metrics"


class Route(msgspec.Struct, frozen=True):
    """One row.

    Attributes:
        upstream_path: the path below the provider's base URL.
        default_model: what the API takes when the caller names none; "" where it must.
        is_raw: the answer is relayed as it comes, whatever it is.
        is_model_call: the body names a model that answers.
        stored: which of the things that providers store it is about, and what it does with them.
    """

    method: str
    path: str
    manner: Manner
    endpoint: Endpoint
    upstream_path: str = ""
    needs_key: bool = True
    default_model: str = ""
    is_raw: bool = False
    is_model_call: bool = False
    stored: StoredRoute | None = None


def _call(path: str, endpoint: Endpoint, *, manner: Manner = Manner.CALL, **details: object) -> Route:
    return msgspec.structs.replace(
        Route("POST", f"/v1{path}", manner, endpoint, upstream_path=path, is_model_call=True),
        **details,
    )


ROUTES = (
    _call("/responses", Endpoint.RESPONSES),
    _call("/responses/input_tokens", Endpoint.RESPONSES),
    _call("/responses/compact", Endpoint.RESPONSES),
    _call("/chat/completions", Endpoint.CHAT),
    _call("/completions", Endpoint.COMPLETIONS),
    _call("/messages", Endpoint.MESSAGES),
    _call("/messages/count_tokens", Endpoint.MESSAGES, manner=Manner.COUNT, is_model_call=False),
    _call("/embeddings", Endpoint.EMBEDDINGS),
    _call("/moderations", Endpoint.MODERATIONS, default_model="omni-moderation-latest"),
    _call("/images/generations", Endpoint.IMAGES, default_model="gpt-image-1"),
    _call("/images/edits", Endpoint.IMAGES, manner=Manner.FORM, default_model="gpt-image-1"),
    _call("/images/variations", Endpoint.IMAGES, manner=Manner.FORM, default_model="dall-e-2"),
    _call("/audio/speech", Endpoint.AUDIO, is_raw=True),
    _call("/audio/transcriptions", Endpoint.AUDIO, manner=Manner.FORM),
    _call("/audio/translations", Endpoint.AUDIO, manner=Manner.FORM),
    Route("GET", "/v1/realtime", Manner.SESSION, Endpoint.REALTIME, upstream_path="/realtime"),
    Route("GET", "/v1/realtime/translations", Manner.UNMETERED, Endpoint.REALTIME),
    Route("POST", "/v1/realtime/client_secrets", Manner.UNMETERED, Endpoint.REALTIME),
    Route("POST", "/v1/realtime/sessions", Manner.UNMETERED, Endpoint.REALTIME),
    Route("POST", "/v1/realtime/transcription_sessions", Manner.UNMETERED, Endpoint.REALTIME),
    Route("POST", "/v1/realtime/calls", Manner.UNMETERED, Endpoint.REALTIME),
    Route("POST", "/v1/realtime/translations/client_secrets", Manner.UNMETERED, Endpoint.REALTIME),
    Route("POST", "/v1/realtime/translations/calls", Manner.UNMETERED, Endpoint.REALTIME),
    Route("POST", "/v1/outcomes", Manner.OUTCOMES, Endpoint.OUTCOMES),
    Route("POST", "/v1/traces/ingest", Manner.TRACES, Endpoint.TRACES),
    Route("GET", "/v1/approvals", Manner.APPROVALS, Endpoint.APPROVALS),
    Route("GET", "/v1/models", Manner.MODELS, Endpoint.MODELS),
    Route("GET", "/v1/diagnostics/stream", Manner.PULSE, Endpoint.MODELS),
    Route("GET", "/health/live", Manner.LIVE, Endpoint.MODELS, needs_key=False),
    Route("GET", "/health/ready", Manner.READY, Endpoint.MODELS, needs_key=False),
    Route("GET", "/metrics", Manner.METRICS, Endpoint.MODELS, needs_key=False),
)

_GENERATING = re.compile(r"/v1(?:beta)?/models/([^/].{0,255}):(streamGenerateContent|generateContent)")
"""Google's own client asks for `/v1` since 3.0, for `/v1beta` if it is told to."""

_PATTERNS = (
    (re.compile(r"/v1/responses/resp_call_[0-9a-f]{1,64}"), ("GET",), Manner.HELD, Endpoint.RESPONSES),
    (re.compile(r"/v1/chat/completions/chatcmpl-call_[0-9a-f]{1,64}"), ("GET",), Manner.HELD, Endpoint.CHAT),
    (re.compile(r"/v1/approvals/appr_[0-9a-f]{1,64}"), ("GET", "POST"), Manner.APPROVAL, Endpoint.APPROVALS),
    (re.compile(r"/v1/responses/[A-Za-z0-9_-]{1,256}"), ("GET", "DELETE"), Manner.OBJECT, Endpoint.RESPONSES),
    (re.compile(r"/v1/responses/[A-Za-z0-9_-]{1,256}/cancel"), ("POST",), Manner.OBJECT, Endpoint.RESPONSES),
    (re.compile(r"/v1/responses/[A-Za-z0-9_-]{1,256}/input_items"), ("GET",), Manner.OBJECT, Endpoint.RESPONSES),
    (
        re.compile(r"/v1/realtime/calls/[A-Za-z0-9_-]{1,256}/(?:accept|reject|hangup|refer)"),
        ("POST",),
        Manner.UNMETERED,
        Endpoint.REALTIME,
    ),
    (re.compile(r"/v1/models/[^/].{0,255}"), ("GET",), Manner.MODEL, Endpoint.MODELS),
)

_ANSWERED_HERE = (Manner.MODELS, Manner.MODEL, Manner.LIVE, Manner.READY, Manner.METRICS)
"""What we answer ourselves can be asked for by HEAD, too: load balancers do (RFC 9110 §9.3.2)."""

_BY_METHOD_AND_PATH = {(route.method, route.path): route for route in ROUTES}
GENERATE_PATH = "/models:generateContent"
"""What stands for every path of Google's API that names a model."""

PATHS_BEFORE_A_NAME = ("/v1/models/", "/v1beta/models/")
"""What follows them is one name, in which the SDKs encode a slash (`provider/model`)."""

KNOWN_PATHS = tuple(sorted({route.path for route in ROUTES}))


def find_route(method: str, path: str) -> Route:
    """The row for a request. HEAD is answered from the row of GET where no upstream is asked.

    Raises:
        Refusal: 404 for a path that does not exist, 405 with the methods that do.
    """
    route = _BY_METHOD_AND_PATH.get((method, path))
    if route is not None:
        return route
    rows = [row for row in ROUTES if row.path == path] or _rows_of_a_name(path)
    allowed = {row.method for row in rows}
    for row in rows:
        if row.method == method or (method == "HEAD" and row.method == "GET" and row.manner in _ANSWERED_HERE):
            return row
        if row.method == "GET" and row.manner in _ANSWERED_HERE:
            allowed.add("HEAD")
    if allowed:
        methods_text = ", ".join(sorted(allowed))
        raise Refusal(
            405,
            "method_not_allowed",
            f"{method} is not allowed here; {path} takes {methods_text}.",
            headers=(("allow", methods_text),),
        )
    shown = path if len(path) <= 200 and path.isprintable() else "that path"
    hint = "" if path.startswith("/v1/") else " The API's paths begin with /v1: check the client's base_url."
    raise Refusal(404, "unknown_url", f"Unknown request URL: {method} {shown}.{hint}")


def model_in(path: str) -> tuple[str, bool]:
    """The model that a path of Google's API names, and whether its answer is to be streamed."""
    found = _GENERATING.fullmatch(path)
    assert found is not None, "the route was found by this pattern"
    return found[1].removeprefix("models/"), found[2] == "streamGenerateContent"


def name_of_path(path: str) -> str:
    """What a record calls a request of which only the path is known."""
    if _GENERATING.fullmatch(path) is not None:
        return Endpoint.GENERATE_CONTENT.value
    if is_of_caches(path):
        return Endpoint.CACHED_CONTENTS.value
    return path.removeprefix("/v1/")[:64]


def _rows_of_a_name(path: str) -> list[Route]:
    if _GENERATING.fullmatch(path) is not None:
        return [
            Route(
                "POST",
                path,
                Manner.CALL,
                Endpoint.GENERATE_CONTENT,
                upstream_path=GENERATE_PATH,
                is_model_call=True,
            )
        ]
    below = path.removeprefix("/v1").removeprefix("beta")
    return [
        Route(row.method, path, Manner.STORED, row.endpoint, upstream_path=below, stored=row)
        for row in stored_routes(path)
    ] + [
        Route(method, path, manner, endpoint, upstream_path=below)
        for pattern, methods, manner, endpoint in _PATTERNS
        if pattern.fullmatch(path) is not None
        for method in methods
    ]
