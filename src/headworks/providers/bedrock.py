"""AWS Bedrock: every maker's models by one API, Converse, with a Bedrock API key or signed as AWS signs; those that
embed by InvokeModel.

    https://bedrock-runtime.REGION.amazonaws.com/model/MODEL/converse

Sources: Amazon Bedrock API reference, "Converse", "ConverseStream" and "InvokeModel", and "Troubleshooting Amazon
Bedrock API Error Codes" (2026-11); the service model of the SDK, `botocore/data/bedrock-runtime`, 1.44. The kind of an
error stands in the header `x-amzn-errortype`, the request's id in `x-amzn-requestid`.
"""

import re
import time
from collections.abc import Callable, Mapping
from urllib.parse import quote

import msgspec

from headworks._version import __version__
from headworks.calls import Endpoint, Failure, FailureKind
from headworks.errors import Refusal
from headworks.exchange import UpstreamRequest, request_line
from headworks.providers.base import ProviderSettings, as_told, header_block
from headworks.providers.refusals import refined
from headworks.sigv4 import Signer, unpacked

FRESH_S = 120.0
"""A signature older than this is made anew before it is sent: AWS takes none that is more than five minutes off."""

_DATE = b"x-amz-date: "
_INVOKED = "/invoke"
_KINDS = {
    "AccessDeniedException": FailureKind.UNAUTHORIZED,
    "ExpiredTokenException": FailureKind.UNAUTHORIZED,
    "IncompleteSignatureException": FailureKind.UNAUTHORIZED,
    "InternalServerException": FailureKind.ERROR,
    "InvalidSignatureException": FailureKind.UNAUTHORIZED,
    "MissingAuthenticationTokenException": FailureKind.UNAUTHORIZED,
    "ModelErrorException": FailureKind.ERROR,
    "ModelNotReadyException": FailureKind.OVERLOADED,
    "ModelStreamErrorException": FailureKind.ERROR,
    "ModelTimeoutException": FailureKind.TIMEOUT,
    "RequestExpired": FailureKind.UNAUTHORIZED,
    "ResourceNotFoundException": FailureKind.GONE,
    "ServiceQuotaExceededException": FailureKind.QUOTA,
    "ServiceUnavailableException": FailureKind.OVERLOADED,
    "ThrottlingException": FailureKind.RATE_LIMITED,
    "UnrecognizedClientException": FailureKind.UNAUTHORIZED,
    "ValidationException": FailureKind.REJECTED,
}
_STATUS_KINDS = {
    401: FailureKind.UNAUTHORIZED,
    403: FailureKind.UNAUTHORIZED,
    404: FailureKind.GONE,
    408: FailureKind.TIMEOUT,
    424: FailureKind.ERROR,
    429: FailureKind.RATE_LIMITED,
    503: FailureKind.OVERLOADED,
    504: FailureKind.TIMEOUT,
}
_CLOCK = re.compile(r"Signature (?:expired|not yet current)|difference between the request time", re.IGNORECASE)
_OF_THE_DAY = re.compile(r"too many tokens per day|daily", re.IGNORECASE)
_NO_MODEL = re.compile(r"model identifier is invalid|reached the end of its life", re.IGNORECASE)
_SHAPE = re.compile(r"[A-Za-z]{1,80}")
_LOOK_AT = 2_000


class _Error(msgspec.Struct, frozen=True):
    message: str = ""
    capital: str = msgspec.field(default="", name="Message")
    kind: str = msgspec.field(default="", name="__type")


_decode_error = msgspec.json.Decoder(_Error).decode


class BedrockProvider:
    """Requests to Bedrock's runtime. What is the same for every call is rendered once.

    State: what requests are signed with, where the key is one to sign with (`sigv4.packed`). Such a key is never sent,
    so that `fixed_headers` has the key for whoever tells keys apart, and requests begin with the rest.

    Arguments:
        now: Unix seconds.

    Raises:
        ValueError: the key is JSON and not one to sign with: it must not be sent as it is.
    """

    limit_name = "max_tokens"
    caches_by_key = False
    says_cost = False

    def __init__(self, settings: ProviderSettings, now: Callable[[], float] = time.time) -> None:
        self.name = settings.name
        self.structured_output = settings.structured_output
        self._base_path = settings.base_path
        self._settings = settings
        self._now = now
        self._signer = self._signer_of(settings.api_key)
        if self._signer is None and settings.api_key.startswith("{"):
            raise ValueError(f"the key of provider {settings.name} is JSON, and none that requests can be signed with")
        self.is_signed = self._signer is not None
        bearer = "" if self.is_signed or not settings.api_key else f"Bearer {settings.api_key}"
        headers = header_block(
            settings.name,
            ("user-agent", f"headworks/{__version__}"),
            ("accept-encoding", "identity"),
            ("authorization", bearer),
            *settings.headers,
        )
        self.fixed_headers = settings.api_key.encode() if self.is_signed else headers
        self._headers = headers + b"content-type: application/json\r\n"
        self._more = _more_of(settings)

    def call_path(self, spoken: Endpoint, model: str, *, is_streamed: bool) -> str:
        """The path has the model in it, as one name: what a caller calls a model leads to no other path.

        Raises:
            Refusal: 404 `model_not_found`, for what can be no model's name.
        """
        if not model.strip("."):
            raise Refusal(404, "model_not_found", f"{self.name} has no model of this name.", param="model")
        if spoken is Endpoint.INVOKE_MODEL:
            return f"/model/{quote(model, safe='')}{_INVOKED}"
        return f"/model/{quote(model, safe='')}/{'converse-stream' if is_streamed else 'converse'}"

    def request(self, method: str, path: str, body: bytes, content_type: bytes, forwarded: bytes) -> UpstreamRequest:  # noqa: ARG002 - every body is JSON
        return self._sent(method, path, body, forwarded)

    def json_request(self, path: str, body: bytes, forwarded: bytes) -> UpstreamRequest:
        # What embeds takes neither a guardrail nor a latency, and its bodies are each maker's own.
        if self._more and body.startswith(b'{"') and not path.endswith(_INVOKED):
            body = b"{%b%b" % (self._more, body[1:])
        return self._sent("POST", path, body, forwarded)

    def classify(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Failure:
        if status < 400:
            return Failure(FailureKind.INVALID, f"{self.name} answered with a redirect, which is not followed", status)
        error = _error_in(body)
        name, message = _name_of(headers, error), (error.message or error.capital)[:_LOOK_AT]
        kind = _KINDS.get(name) or _STATUS_KINDS.get(status)
        if kind is None:
            kind = FailureKind.ERROR if status >= 500 else FailureKind.REJECTED
        if kind is FailureKind.RATE_LIMITED and _OF_THE_DAY.search(message):
            kind = FailureKind.QUOTA
        if kind is FailureKind.REJECTED and _NO_MODEL.search(message):
            kind = FailureKind.GONE
        detail = f"{self.name} answered {status}{f' {name}' if name else ''}"
        if kind is FailureKind.UNAUTHORIZED and (name == "RequestExpired" or _CLOCK.search(message)):
            detail += ": this machine's clock is more than five minutes off AWS's, so that its signatures do not hold"
        return as_told(Failure(refined(kind, status, body), detail, status), headers)

    def sign_with(self, key: bytes) -> None:
        """Sign with another key from now on; one that is none to sign with changes nothing."""
        self._signer = self._signer_of(key.decode()) or self._signer

    def signed_anew(self, request: UpstreamRequest, key: bytes) -> UpstreamRequest:
        """The same request, signed now, with this key."""
        method, target, _ = request.line.decode("ascii").split(" ", 2)
        signer = self._signer_of(key.decode())
        assert signer is not None, "who asks has one to sign with"
        unsigned = request.headers.rpartition(_DATE)[0]
        return UpstreamRequest(request.line, unsigned + self._lines(signer, method, target, request.body), request.body)

    def is_fresh(self, request: UpstreamRequest) -> bool:
        """Whether a request was signed so short a time ago that it can be sent as it is."""
        moment = request.headers.rpartition(_DATE)[2][:16]
        return moment > time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._now() - FRESH_S)).encode()

    def _sent(self, method: str, path: str, body: bytes, forwarded: bytes) -> UpstreamRequest:
        target = self._base_path + path
        headers = self._headers + forwarded
        if self._signer is not None:
            headers += self._lines(self._signer, method, target, body)
        # Models' names are in the paths, and callers may name models: no line is kept.
        return UpstreamRequest(request_line(method, target), headers, body)

    def _lines(self, signer: Signer, method: str, target: str, body: bytes) -> bytes:
        path, _, query = target.partition("?")
        return signer.lines(method, path, query, body, now_s=self._now())

    def _signer_of(self, key: str) -> Signer | None:
        credentials = unpacked(key)
        if credentials is None:
            return None
        return Signer(credentials, region=self._settings.region, service="bedrock", host=self._settings.host)


def _more_of(settings: ProviderSettings) -> bytes:
    """What configuration adds to every body."""
    more: dict[str, object] = {}
    if settings.guardrail:
        name, _, version = settings.guardrail.rpartition(":")
        more["guardrailConfig"] = {"guardrailIdentifier": name, "guardrailVersion": version}
    if settings.latency:
        more["performanceConfig"] = {"latency": settings.latency}
    return msgspec.json.encode(more)[1:-1] + b"," if more else b""


def _error_in(body: bytes) -> _Error:
    try:
        return _decode_error(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Error()


def _name_of(headers: Mapping[bytes, bytes], error: _Error) -> str:
    """The name of an exception: `ValidationException:http://...` in a header, `com.amazon...#Name` in a body."""
    said = headers.get(b"x-amzn-errortype", b"").decode("latin-1").partition(":")[0] or error.kind.rpartition("#")[2]
    return said if _SHAPE.fullmatch(said) else ""
