"""The provider's error answers, in the shapes and with the codes of the OpenAI API."""

from collections.abc import Mapping

import msgspec

from headworks.errors import HeadworksError
from headworks.simulator.script import Script, plain

_KEYS_PAGE = "https://platform.openai.com/account/api-keys"
_SHORTEST_SHOWN_KEY = 13
"""Characters; the ends of a shorter key would show most of it."""
_LIMITS_PAGE = "https://platform.openai.com/account/rate-limits"


class Rejection(HeadworksError):
    """The simulated provider refuses a request: status, error object and headers of its answer."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
        headers: Mapping[bytes, bytes] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.kind = kind
        self.headers = dict(headers or {})

    def error_object(self) -> dict[str, str | None]:
        """What stands under `error` in the body."""
        return {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}

    def script(self) -> Script:
        """The whole answer."""
        return plain(self.status, msgspec.json.encode({"error": self.error_object()}), headers=self.headers)


def no_such_path(method: str, path: str) -> Rejection:
    return Rejection(404, f"Invalid URL ({method} {path})")


def wrong_method(method: str, path: str, allowed: str) -> Rejection:
    return Rejection(
        405,
        f"Invalid method for URL ({method} {path})",
        code="method_not_supported",
        headers={b"allow": allowed.encode()},
    )


def no_key() -> Rejection:
    return Rejection(
        401,
        "You didn't provide an API key. Send it in an Authorization header with Bearer auth "
        f"(Authorization: Bearer YOUR_KEY). You can obtain an API key from {_KEYS_PAGE}.",
    )


def wrong_key(key: str) -> Rejection:
    """As the real API does, the message shows only the ends of the key."""
    shown = f"{key[:3]}***{key[-4:]}" if len(key) >= _SHORTEST_SHOWN_KEY else "***"
    return Rejection(
        401,
        f"Incorrect API key provided: {shown}. You can find your API key at {_KEYS_PAGE}.",
        code="invalid_api_key",
    )


def not_json() -> Rejection:
    return Rejection(400, "We could not parse the JSON body of your request. The API expects a JSON payload.")


def no_such_model(model: str) -> Rejection:
    return Rejection(
        404, f"The model `{model}` does not exist or you do not have access to it.", code="model_not_found"
    )


def retired_model(model: str) -> Rejection:
    return Rejection(
        404,
        f"The model `{model}` has been deprecated, learn more here: https://platform.openai.com/docs/deprecations",
        code="model_not_found",
    )


def wrong_model_kind(model: str, endpoint: str) -> Rejection:
    return Rejection(
        400, f"The requested model '{model}' cannot be used with {endpoint}.", code="unsupported_model", param="model"
    )


def missing(param: str) -> Rejection:
    return Rejection(400, f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param)


def invalid_value(param: str, message: str) -> Rejection:
    return Rejection(400, message, code="invalid_value", param=param)


def unsupported(param: str, message: str) -> Rejection:
    return Rejection(400, message, code="unsupported_parameter", param=param)


def quota_exhausted() -> Rejection:
    return Rejection(
        429,
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
        code="insufficient_quota",
        kind="insufficient_quota",
    )


def rate_limited(
    model: str,
    organization: str,
    *,
    kind: str,
    window: str,
    detail: str,
    wait: str,
    headers: Mapping[bytes, bytes],
) -> Rejection:
    """The 429 of a limit. `kind` is "requests" or "tokens", `window` such as "tokens per min (TPM)"."""
    return Rejection(
        429,
        f"Rate limit reached for {model} in organization {organization} on {window}: {detail}. "
        f"Please try again in {wait}. Visit {_LIMITS_PAGE} to learn more.",
        code="rate_limit_exceeded",
        kind=kind,
        headers=headers,
    )


def request_too_large(
    model: str, organization: str, window: str, limit: int, requested: int, headers: Mapping[bytes, bytes]
) -> Rejection:
    return Rejection(
        429,
        f"Request too large for {model} in organization {organization} on {window}: Limit {limit}, "
        f"Requested {requested}. The input or output tokens must be reduced in order to run successfully. "
        f"Visit {_LIMITS_PAGE} to learn more.",
        code="rate_limit_exceeded",
        kind="tokens",
        headers=headers,
    )
