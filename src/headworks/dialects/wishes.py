"""What a caller asks for that the Responses API has no place for, beside a request that was translated into it.

    request, fields = beside(request)     # of a call of Messages: {"top_k": 5, "stop": ["x"]}
    wished, rest = Wishes(Endpoint.MESSAGES, tuple(fields)).apart({**translated, **fields})
    request = wished.added_to(decode_responses_request(rest))      # says all that the caller said

Calls of workloads are made in the words of Responses, whoever asks. Their targets may know more than that API: a call
of Messages for a model of Anthropic's goes there with its `top_k`. So these wishes travel as fields of the request, by
names that Responses does not have, as far as the target that is asked. There they are translated or refused, like
any other field.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from headworks.calls import Endpoint
from headworks.dialects import anthropic_requests, gemini_requests
from headworks.dialects.canonical import Extra, ModelRequest, ToolHints
from headworks.dialects.reading import Fields
from headworks.dialects.responses_requests import decoded, encode_responses_request
from headworks.dialects.unsupported import unsupported

_encode = msgspec.json.Encoder().encode

_VALUES: dict[str, tuple[str, Callable[[msgspec.Raw], Any]]] = {
    "top_k": ("top_k", msgspec.json.Decoder(int | float).decode),
    "seed": ("seed", msgspec.json.Decoder(int).decode),
    "stop": ("stop", msgspec.json.Decoder(tuple[str, ...]).decode),
    "frequency_penalty": ("frequency_penalty", msgspec.json.Decoder(float).decode),
    "presence_penalty": ("presence_penalty", msgspec.json.Decoder(float).decode),
    "cache_control": ("caches_all", msgspec.json.Decoder(Literal["5m", "1h"]).decode),
    "tool_hints": ("tool_hints", msgspec.json.Decoder(dict[str, ToolHints]).decode),
}
"""By the field that it travels in: what it is in the canonical request."""

_FREE = ("cache_control", "tool_hints")
"""What an API that caches by itself need not be told."""

_NOTHING: Mapping[str, object] = {"top_k": None, "seed": None, "stop": (), "caches_all": None, "tool_hints": {}}

_OWN = {
    Endpoint.MESSAGES: anthropic_requests.OWN_FIELDS,
    Endpoint.GENERATE_CONTENT: gemini_requests.OWN_FIELDS,
}
"""Fields of the caller's dialect that travel as they came. What brings instructions or tools along is not among them:
those of a workload are its own."""


class Wishes(msgspec.Struct, frozen=True):
    """The names of the fields that such wishes travel in, and in whose dialect they were made."""

    dialect: Endpoint
    names: tuple[str, ...] = ()

    def apart(self, fields: Fields) -> tuple["Wished", Fields]:
        """What is wished among the fields of a request, and the fields without it."""
        found = {name: fields[name] for name in self.names if name in fields}
        return Wished(self.dialect, found), {name: raw for name, raw in fields.items() if name not in found}


class Wished(msgspec.Struct, frozen=True):
    """The wishes of one request."""

    dialect: Endpoint
    fields: Mapping[str, msgspec.Raw]

    @property
    def needs_more(self) -> bool:
        """Whether the Responses API cannot do what is wished."""
        return any(name not in _FREE for name in self.fields)

    def added_to(self, request: ModelRequest) -> ModelRequest:
        """The request with what is wished.

        Raises:
            Refusal: 400, for a value that has become another kind of value on the way.
        """
        values: dict[str, Any] = {"has_hourly_marks": self.dialect is Endpoint.MESSAGES}
        extras = list(request.extras)
        for name, raw in self.fields.items():
            if name in _VALUES:
                canonical, decode = _VALUES[name]
                values[canonical] = decoded(decode, raw, name)
            else:
                extras.append(Extra(name, self.dialect, raw))
        return msgspec.structs.replace(request, extras=tuple(extras), **values)

    def check_responses(self) -> None:
        """Check that an upstream of the Responses API can do what is wished.

        Raises:
            Refusal: 400, naming what it cannot.
        """
        encode_responses_request(self.added_to(ModelRequest("", ())))


def beside(request: ModelRequest) -> tuple[ModelRequest, dict[str, msgspec.Raw]]:
    """A request without what Responses has no place for, and that as fields of its own.

    Raises:
        Refusal: 400, for what is in no request that is translated twice.
    """
    own = _OWN.get(request.dialect, ())
    for extra in request.extras:
        if extra.name not in own:
            raise unsupported(extra.name, None)
    found: dict[str, msgspec.Raw] = {extra.name: extra.value for extra in request.extras}
    values: dict[str, Any] = {"extras": ()}
    for name, (canonical, _) in _VALUES.items():
        value = getattr(request, canonical)
        if value not in (None, (), {}) and (value or not name.endswith("_penalty")):
            found[name] = msgspec.Raw(_encode(value))
        values[canonical] = _NOTHING.get(canonical)
    return msgspec.structs.replace(request, **values), found
