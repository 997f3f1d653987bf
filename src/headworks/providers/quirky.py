"""A server that speaks OpenAI's API with quirks: what it calls otherwise is renamed, what it cannot do is refused.

The quirks themselves are data of configuration; here they are applied, to Chat requests and to nothing else. A body
that has none of the fields goes on as it came, byte for byte.
"""

from collections.abc import Mapping

import msgspec

from headworks.calls import Endpoint, Failure, FailureKind
from headworks.errors import Refusal
from headworks.exchange import UpstreamRequest
from headworks.providers.base import CALL_PATHS, ProviderSettings
from headworks.providers.openai import OpenAIProvider

_CHAT = CALL_PATHS[Endpoint.CHAT]
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode

_NOTHING = frozenset({b"null", b"false", b"0", b"{}", b"[]"})
_DEFAULTS = {"n": b"1", "service_tier": b'"auto"'}
"""Values by which a field asks for nothing that is not done anyway."""

_NO_CAPACITY = 498
"""Groq's status for a flex call when there is no room ("Flex Processing", 2026-11)."""


class QuirkyProvider(OpenAIProvider):
    """Requests to a server with quirks: see `ProviderSettings` for what they are."""

    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings)
        self._renamed = dict(settings.renamed)
        self._refused = frozenset(settings.refused)
        self._concerned = frozenset({*self._renamed, *self._refused, *settings.unsent})

    def json_request(self, path: str, body: bytes, forwarded: bytes) -> UpstreamRequest:
        """As every provider's.

        Raises:
            Refusal: 400 `unsupported_parameter`, for a field that this server has nothing for.
        """
        return super().json_request(path, self._fitted(body) if path == _CHAT else body, forwarded)

    def classify(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Failure:
        failure = super().classify(status, headers, body)
        if status != _NO_CAPACITY:
            return failure
        return msgspec.structs.replace(failure, kind=FailureKind.OVERLOADED)

    def _fitted(self, body: bytes) -> bytes:
        try:
            fields = _decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return body  # it was read before: whatever is wrong with it, the server judges
        if self._concerned.isdisjoint(fields):
            return body
        fitted: dict[str, msgspec.Raw] = {}
        for name, value in fields.items():
            if name in self._renamed:
                if fields.get(self._renamed[name], value) != value:
                    raise self._not_both(name)
                fitted[self._renamed[name]] = value
            elif name not in self._concerned:
                fitted[name] = value
            elif name in self._refused and not _asks_for_nothing(name, bytes(value)):
                raise self._refusal(name)
        return _encode(fitted)

    def _refusal(self, name: str) -> Refusal:
        return Refusal(
            400,
            "unsupported_parameter",
            f"`{name}` is not supported by {self.name}, the provider of this model: leave it out, or ask another.",
            param=name,
        )

    def _not_both(self, name: str) -> Refusal:
        other = self._renamed[name]
        return Refusal(
            400, "invalid_value", f"`{name}` and `{other}` say different things: leave one of them out.", param=name
        )


def _asks_for_nothing(name: str, value: bytes) -> bool:
    return value in _NOTHING or value == _DEFAULTS.get(name)
