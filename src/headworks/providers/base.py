"""What every provider offers to routing, and what they share."""

from collections.abc import Mapping
from typing import Literal, NoReturn, Protocol

import msgspec

from headworks.calls import Endpoint, Failure, FailureKind
from headworks.exchange import UpstreamRequest

StructuredOutput = Literal["json_schema", "grammar", "tool", "json_object"]


CALL_PATHS = {
    Endpoint.RESPONSES: "/responses",
    Endpoint.CHAT: "/chat/completions",
    Endpoint.MESSAGES: "/messages",
}
"""Where calls go that are the same whatever model they ask."""


class ProviderSettings(msgspec.Struct, frozen=True):
    """What configuration says of one provider, secrets already read.

    `base_path` is the path of its base URL, without a slash at the end. `headers` are further static headers.
    `limit_name` is what its Chat API calls the bound on output tokens: OpenAI has deprecated `max_tokens` and refuses
    it for models that reason, other servers know no other name. `structured_output` is how it is asked for an answer
    that satisfies a JSON Schema: `json_schema` is the API's own way, the others are `dialects.structured.SchemaMode`.
    `caches_by_key` says that it knows `prompt_cache_key`, by which equal prefixes meet in one cache (OpenAI
    prompt-caching guide, 2026-11); other servers may refuse a field that they do not know.

    `renamed`, `refused` and `unsent` are a server's quirks: fields of Chat that it has under another name, that it has
    nothing for, and that it does not know because it does unasked what they ask for. `says_cost`: its usage says what
    it has charged. `api_version` is Azure's. AWS's are `region`, `host` (the value of the `host` header, which is
    signed), `guardrail` and `latency`.
    """

    name: str
    base_path: str = "/v1"
    api_key: str = ""
    organization: str = ""
    project: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    limit_name: str = "max_completion_tokens"
    structured_output: StructuredOutput = "json_schema"
    caches_by_key: bool = False
    renamed: tuple[tuple[str, str], ...] = ()
    refused: tuple[str, ...] = ()
    unsent: tuple[str, ...] = ()
    says_cost: bool = False
    api_version: str = ""
    region: str = ""
    host: str = ""
    guardrail: str = ""
    latency: str = ""

    def __repr__(self) -> str:
        return f"ProviderSettings(name={self.name!r})"  # the key stays out of logs and tracebacks

    def __reduce__(self) -> NoReturn:
        raise TypeError("the settings of a provider hold its key: they cannot be pickled or copied")


def header_block(provider: str, *lines: tuple[str, str]) -> bytes:
    """The lines as a header block; those without a value are left out.

    Raises:
        ValueError: a value would end one header and begin another. Also a key read from a file may.
    """
    for name, value in lines:
        if any(character in value for character in "\r\n\0"):
            raise ValueError(f"the {name} header for provider {provider} holds a line break or a NUL")
    return "".join(f"{name}: {value}\r\n" for name, value in lines if value).encode("latin-1")


SHOULD_RETRY = b"x-should-retry"
"""With this header OpenAI and Anthropic say of an error whether it passes; their own clients go by it before they look
at the status (`_should_retry` of their `_base_client.py`, 2026-10)."""


def as_told(failure: Failure, headers: Mapping[bytes, bytes]) -> Failure:
    """The failure with what the provider says of asking again. Where it wants to be asked again although it refused the
    request, as for a lock that somebody else has, the request is not at fault."""
    said = headers.get(SHOULD_RETRY, b"").strip().lower()
    if said == b"false":
        return msgspec.structs.replace(failure, may_retry=False)
    if said == b"true" and failure.kind is FailureKind.REJECTED:
        return msgspec.structs.replace(failure, kind=FailureKind.ERROR)
    return failure


class Provider(Protocol):
    """Requests out, failures classified. `limit_name`, `structured_output`, `caches_by_key` and `says_cost` as in
    `ProviderSettings`; `fixed_headers` is what the headers of every request begin with, the key among them."""

    fixed_headers: bytes
    limit_name: str
    structured_output: StructuredOutput
    caches_by_key: bool
    says_cost: bool

    def request(self, method: str, path: str, body: bytes, content_type: bytes, forwarded: bytes) -> UpstreamRequest:
        """A request to send. `path` is that of the OpenAI API without `/v1`; `forwarded` a header block of the
        caller's that may be passed on."""
        ...

    def call_path(self, spoken: Endpoint, model: str, *, is_streamed: bool) -> str:
        """Where a call goes that has been translated to the dialect `spoken`: what `json_request` takes."""
        ...

    def json_request(self, path: str, body: bytes, forwarded: bytes) -> UpstreamRequest:
        """A POST of a JSON body to one of the API's fixed paths: what nearly every call is."""
        ...

    def classify(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Failure:
        """What an answer that is not a success (its status is 300 or more) means for the attempt."""
        ...
