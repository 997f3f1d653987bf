"""Azure OpenAI: the v1 surface, whose paths are OpenAI's own, and the older one of deployments and API versions.

    https://NAME.openai.azure.com/openai/v1/chat/completions
    https://NAME.openai.azure.com/openai/deployments/DEPLOYMENT/chat/completions?api-version=2024-10-21

Sources: Azure OpenAI, "API version lifecycle", "Data plane inference reference", "Content filtering" (2026-11); the
paths with a deployment in them are those of `AzureOpenAI` in OpenAI's own client. Its limits' headers, request ids
(`x-request-id`, else `apim-request-id`) and `retry-after-ms` are read where OpenAI's are.
"""

import re
from urllib.parse import quote

import msgspec

from headworks.errors import Refusal
from headworks.exchange import UpstreamRequest, request_line
from headworks.providers.base import ProviderSettings
from headworks.providers.openai import OpenAIProvider

_OF_DEPLOYMENT = frozenset(
    {
        "/completions",
        "/chat/completions",
        "/embeddings",
        "/audio/transcriptions",
        "/audio/translations",
        "/audio/speech",
        "/images/generations",
        "/images/edits",
    }
)
_DATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:-preview)?")
_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
"""A JSON Web Token, which every token of Entra ID is; no key of Azure's has a dot."""


class _Named(msgspec.Struct):
    model: str = ""


_decode = msgspec.json.Decoder(_Named).decode


class AzureProvider(OpenAIProvider):
    """Requests to a resource of Azure OpenAI; a model is the name of one of its deployments.

    A dated `api_version` asks for the older surface; another one (`preview`) goes along with the newer. The base URL
    may be the resource's alone, or end where either surface begins. A key is sent as `api-key`, a token of Entra ID as
    `authorization`.
    """

    def __init__(self, settings: ProviderSettings) -> None:
        is_token = _TOKEN.fullmatch(settings.api_key) is not None
        version = settings.api_version
        self._is_dated = _DATED.fullmatch(version) is not None
        root = settings.base_path.removesuffix("/v1").removesuffix("/openai")
        own = msgspec.structs.replace(
            settings,
            base_path=f"{root}/openai" if self._is_dated else f"{root}/openai/v1",
            api_key=settings.api_key if is_token else "",
            headers=settings.headers if is_token else (("api-key", settings.api_key), *settings.headers),
        )
        super().__init__(own)
        self._query = f"api-version={quote(version, safe='')}" if version else ""

    def request(self, method: str, path: str, body: bytes, content_type: bytes, forwarded: bytes) -> UpstreamRequest:
        """As every provider's.

        Raises:
            Refusal: 400 `endpoint_not_supported`, for a form that the older surface has a deployment's path for.
        """
        if self._is_dated and path.partition("?")[0] in _OF_DEPLOYMENT:
            raise Refusal(
                400,
                "endpoint_not_supported",
                f"/v1{path} takes a form, which {self.name} cannot be sent with a dated `api_version`: its "
                "operator can leave the version out.",
                param="model",
            )
        return super().request(method, self._versioned(path), body, content_type, forwarded)

    def json_request(self, path: str, body: bytes, forwarded: bytes) -> UpstreamRequest:
        """As every provider's.

        Raises:
            Refusal: 404 `model_not_found`, for what can be no deployment's name.
        """
        if not self._query:
            return super().json_request(path, body, forwarded)
        if self._is_dated and path in _OF_DEPLOYMENT:
            path = f"/deployments/{self._deployment(body)}{path}"
        line = request_line("POST", self._base_path + self._versioned(path))
        return UpstreamRequest(line, self._json_headers + forwarded, body)

    def session_path(self, model: str) -> str:
        """The older surface calls the model a deployment (Azure OpenAI, "Realtime API", 2026-11)."""
        return f"/realtime?deployment={quote(model, safe='')}" if self._is_dated else super().session_path(model)

    def _deployment(self, body: bytes) -> str:
        """The deployment that a body asks for, as a part of a path: callers may name models, and no name leads to
        another path."""
        try:
            name = _decode(body).model
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            name = ""
        if not name.strip("."):
            raise Refusal(404, "model_not_found", f"{self.name} has no deployment of this name.", param="model")
        return quote(name, safe="")

    def _versioned(self, path: str) -> str:
        if not self._query:
            return path
        return f"{path}{'&' if '?' in path else '?'}{self._query}"
