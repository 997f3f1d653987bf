"""The key of a call: the same for calls that are the same, and for no others. Pure.

A key is an HMAC under the installation's secret: who reads a store cannot find out by trying what was asked.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Literal

import msgspec

VOLATILE = frozenset(
    {"metadata", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"}
)
"""Fields of a request that name a call or its user, or say how the provider caches, and change no answer (OpenAI API
reference, 2026-11)."""

KEY_BYTES = 32
"""Of a key: HMAC-SHA256."""

Scope = Literal["key", "team", "user"]

_INFO = b"headworks response cache 2\0"
"""Begins with what no other use of the secret does; the number changes with the form of what is hashed."""

_encode_sorted = msgspec.json.Encoder(order="sorted").encode


class Asked(msgspec.Struct, frozen=True):
    """What makes two calls the same.

    Attributes:
        workload: its name.
        tenant: whose call it is (`tenant_of`).
        endpoint: the dialect that is answered in.
        is_streamed: a whole answer is not the same as a stream.
        models: that could answer, in order: provider and model.
        settings: a hash of the contract and its rules.
        version: of the prompt.
        schema_hash: of what answers must satisfy.
        headers: of the caller that go up.
        fields: of the request that goes up, the prompt's messages among them.
        values: of the prompt's variables; rules may look at those that the prompt does not show.
        metadata: the caller's, where rules may look at it.
        behind: a hash of the values that stand behind tokens in the fields; "" where there are none.
        compared: names the text that is left out because it may be another; "" where nothing is.
    """

    workload: str
    tenant: tuple[str, ...]
    endpoint: str
    is_streamed: bool
    models: tuple[tuple[str, str], ...]
    settings: str
    version: str
    schema_hash: str
    headers: bytes
    fields: Mapping[str, msgspec.Raw]
    values: Mapping[str, object]
    metadata: Mapping[str, str] | None = None
    behind: str = ""
    compared: str = ""


def key_of(asked: Asked, secret: bytes) -> bytes | None:
    """32 bytes that stand for the call; None where a part of it cannot be read, so that nobody can say what it is.

    The order of names in JSON objects, white space, and how characters are escaped make no difference.
    """
    try:
        fields = {name: msgspec.json.decode(raw) for name, raw in asked.fields.items() if name not in VOLATILE}
        written = _encode_sorted(
            (
                asked.workload,
                asked.tenant,
                asked.endpoint,
                asked.is_streamed,
                asked.models,
                asked.settings,
                asked.version,
                asked.schema_hash,
                asked.headers.decode("latin-1"),
                fields,
                asked.values,
                asked.metadata,
                asked.behind,
                asked.compared,
            )
        )
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return hmac.digest(secret, _INFO + written, hashlib.sha256)


def tenant_of(scope: Scope, key_id: str, team: str, user: str) -> tuple[str, ...]:
    """Whose call it is: nothing of one tenant's ever reaches another.

    Arguments:
        scope: `key` keeps virtual keys apart, `team` shares within a team (a key without one stays alone), `user` keeps
            a key's end users apart.
        user: the end user that the caller names; "" for none.
    """
    match scope:
        case "team" if team:
            return ("team", team)
        case "user":
            return ("user", key_id, user)
        case _:
            return ("key", key_id)
