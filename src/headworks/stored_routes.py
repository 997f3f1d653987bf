"""Paths of what providers store: files, uploads, batches, conversations, vector stores, fine-tuning jobs, evals; and
the caches of Google's Gemini API.

The tables are of the OpenAI API reference (2026-11) and of Google's ("Caching", 2026-11). What is not in them does not
exist here: administration and permissions stay with the provider.
"""

import enum
import re

import msgspec

from headworks.calls import Endpoint


class Act(enum.Enum):
    """What a request does with an object."""

    CREATE = "create"  # a JSON body
    UPLOAD = "upload"  # a form with a file, which goes through piece by piece
    LIST = "list"
    USE = "use"  # whatever the provider does with one object, or with what is in it
    FILL = "fill"  # a form with a file, for one object
    READ = "read"  # the bytes of one object
    DELETE = "delete"


class StoredRoute(msgspec.Struct, frozen=True):
    """What a path and a method mean. `kind` is the API's word for such objects; `object_id` is "" where none is named.

    `label` names the query parameter that the list is filtered by, as it is noted of an object.
    """

    method: str
    endpoint: Endpoint
    kind: str
    act: Act
    object_id: str = ""
    label: str = ""


FILE = "file"
UPLOAD = "upload"
BATCH = "batch"
CONVERSATION = "conversation"
VECTOR_STORE = "vector_store"
JOB = "fine_tuning.job"
EVAL = "eval"
MODEL = "model"
"""A model that a fine-tuning job has made."""

CACHE = "cached_content"
"""What Google keeps of a prompt's beginning, under a name that says its kind, too."""

_ID = r"([A-Za-z0-9][A-Za-z0-9_.:-]{0,255})"
_PART = r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,255}"
_Methods = dict[str, Act]
_USE: _Methods = {"GET": Act.USE}
_DO: _Methods = {"POST": Act.USE}
_ONE: _Methods = {"GET": Act.USE, "DELETE": Act.DELETE}
_CHANGEABLE: _Methods = {**_ONE, "POST": Act.USE}
_SUB: _Methods = {"GET": Act.USE, "POST": Act.USE, "DELETE": Act.USE}

_TABLE: tuple[tuple[str, Endpoint, str, _Methods], ...] = (
    ("files", Endpoint.FILES, FILE, {"POST": Act.UPLOAD, "GET": Act.LIST}),
    (f"files/{_ID}", Endpoint.FILES, FILE, _ONE),
    (f"files/{_ID}/content", Endpoint.FILES, FILE, {"GET": Act.READ}),
    ("uploads", Endpoint.FILES, UPLOAD, {"POST": Act.CREATE}),
    (f"uploads/{_ID}/parts", Endpoint.FILES, UPLOAD, {"POST": Act.FILL}),
    (f"uploads/{_ID}/(?:complete|cancel)", Endpoint.FILES, UPLOAD, _DO),
    ("batches", Endpoint.BATCHES, BATCH, {"POST": Act.CREATE, "GET": Act.LIST}),
    (f"batches/{_ID}", Endpoint.BATCHES, BATCH, _USE),
    (f"batches/{_ID}/cancel", Endpoint.BATCHES, BATCH, _DO),
    ("conversations", Endpoint.CONVERSATIONS, CONVERSATION, {"POST": Act.CREATE}),
    (f"conversations/{_ID}", Endpoint.CONVERSATIONS, CONVERSATION, _CHANGEABLE),
    (f"conversations/{_ID}/items", Endpoint.CONVERSATIONS, CONVERSATION, {"GET": Act.USE, "POST": Act.USE}),
    (f"conversations/{_ID}/items/{_PART}", Endpoint.CONVERSATIONS, CONVERSATION, {"GET": Act.USE, "DELETE": Act.USE}),
    ("vector_stores", Endpoint.VECTOR_STORES, VECTOR_STORE, {"POST": Act.CREATE, "GET": Act.LIST}),
    (f"vector_stores/{_ID}", Endpoint.VECTOR_STORES, VECTOR_STORE, _CHANGEABLE),
    (f"vector_stores/{_ID}/search", Endpoint.VECTOR_STORES, VECTOR_STORE, _DO),
    (f"vector_stores/{_ID}/files", Endpoint.VECTOR_STORES, VECTOR_STORE, {"GET": Act.USE, "POST": Act.USE}),
    (f"vector_stores/{_ID}/files/{_PART}", Endpoint.VECTOR_STORES, VECTOR_STORE, _SUB),
    (f"vector_stores/{_ID}/files/{_PART}/content", Endpoint.VECTOR_STORES, VECTOR_STORE, _USE),
    (f"vector_stores/{_ID}/file_batches", Endpoint.VECTOR_STORES, VECTOR_STORE, _DO),
    (f"vector_stores/{_ID}/file_batches/{_PART}", Endpoint.VECTOR_STORES, VECTOR_STORE, _USE),
    (f"vector_stores/{_ID}/file_batches/{_PART}/cancel", Endpoint.VECTOR_STORES, VECTOR_STORE, _DO),
    (f"vector_stores/{_ID}/file_batches/{_PART}/files", Endpoint.VECTOR_STORES, VECTOR_STORE, _USE),
    ("fine_tuning/jobs", Endpoint.FINE_TUNING, JOB, {"POST": Act.CREATE, "GET": Act.LIST}),
    (f"fine_tuning/jobs/{_ID}", Endpoint.FINE_TUNING, JOB, _USE),
    (f"fine_tuning/jobs/{_ID}/(?:cancel|pause|resume)", Endpoint.FINE_TUNING, JOB, _DO),
    (f"fine_tuning/jobs/{_ID}/(?:events|checkpoints)", Endpoint.FINE_TUNING, JOB, _USE),
    (r"models/(ft:[A-Za-z0-9_.:-]{1,250})", Endpoint.FINE_TUNING, MODEL, {"DELETE": Act.DELETE}),
    ("evals", Endpoint.EVALS, EVAL, {"POST": Act.CREATE, "GET": Act.LIST}),
    (f"evals/{_ID}", Endpoint.EVALS, EVAL, _CHANGEABLE),
    (f"evals/{_ID}/runs", Endpoint.EVALS, EVAL, {"GET": Act.USE, "POST": Act.USE}),
    (f"evals/{_ID}/runs/{_PART}", Endpoint.EVALS, EVAL, _SUB),
    (f"evals/{_ID}/runs/{_PART}/output_items(?:/{_PART})?", Endpoint.EVALS, EVAL, _USE),
)

_OF_GOOGLES = (
    ("cachedContents", {"POST": Act.CREATE, "GET": Act.LIST}),
    (f"(cachedContents/{_PART})", {"GET": Act.USE, "PATCH": Act.USE, "DELETE": Act.DELETE}),
)
"""Its client asks for `/v1` since 3.0, for `/v1beta` if it is told to."""

_ROWS = (
    *((re.compile(f"/v1/{path}"), endpoint, kind, methods) for path, endpoint, kind, methods in _TABLE),
    *((re.compile(f"/v1(?:beta)?/{path}"), Endpoint.CACHED_CONTENTS, CACHE, does) for path, does in _OF_GOOGLES),
)
_OF_CACHES = ("/v1/cachedContents", "/v1beta/cachedContents")
_BEGINNINGS = (*(f"/v1/{name}" for name in sorted({path.split("/")[0] for path, *_ in _TABLE})), *_OF_CACHES)

KINDS_OF_LABELS = {FILE: "purpose"}
"""Which query parameter a list is filtered by, of kinds whose lists are."""


def is_of_caches(path: str) -> bool:
    """Whether a path is one of Google's caches."""
    return path.startswith(_OF_CACHES)


def stored_routes(path: str) -> list[StoredRoute]:
    """What a path means, one row a method; none if it is no path of these."""
    if not path.startswith(_BEGINNINGS):
        return []
    rows = []
    for pattern, endpoint, kind, methods in _ROWS:
        found = pattern.fullmatch(path)
        if found is not None:
            object_id = found[1] if found.groups() else ""
            label = KINDS_OF_LABELS.get(kind, "")
            rows += [StoredRoute(method, endpoint, kind, act, object_id, label) for method, act in methods.items()]
    return rows
