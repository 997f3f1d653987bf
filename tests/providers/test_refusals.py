"""What a provider has against a request, by what it says."""

import json

import pytest

from headworks.calls import FailureKind
from headworks.providers.refusals import refined


def body(message="", **fields):
    return json.dumps({"error": {"message": message, **fields}}).encode()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, body("Your input exceeds ...", code="context_length_exceeded")),
        (
            400,
            body("This model's maximum context length is 8192 tokens. However, you requested 9000 tokens.", code=400),
        ),
        (400, body("prompt is too long: 208310 tokens > 200000 maximum", type="invalid_request_error")),
        (413, body("Request exceeds the maximum size", type="request_too_large")),
        (
            400,
            body("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", code=400),
        ),
        (400, body("the request exceeds the available context size", type="exceed_context_size_error")),
        (400, b'{"object": "error", "message": "This model\'s maximum context length is 2048 tokens."}'),
        (422, b'{"error": "Input is too long for requested model."}'),
    ],
)
def test_what_is_too_long_is_known_in_every_providers_words(status, said):
    assert refined(FailureKind.REJECTED, status, said) is FailureKind.TOO_LONG


def test_what_is_larger_than_a_whole_limit_is_told_from_what_is_too_long():
    said = body(
        "Request too large for model `llama-3.1-8b-instant` in organization `org` on tokens per minute (TPM): Limit "
        "6000, Requested 9999, please reduce your message size and try again.",
        type="tokens",
        code="rate_limit_exceeded",
    )
    assert refined(FailureKind.REJECTED, 413, said) is FailureKind.OVERSIZED


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
def test_a_policy_that_forbids_is_told_from_a_request_that_is_wrong(code):
    assert refined(FailureKind.REJECTED, 400, body("No.", code=code)) is FailureKind.REFUSED


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (404, body("The model `gpt-3` has been deprecated.", code="model_not_found")),
        (404, body("model: claude-1", type="not_found_error")),
        (404, body("models/gemini-1 is not found for API version v1beta", code=404)),
        (404, body("The model `x` does not exist.", type="NotFoundError")),
    ],
)
def test_a_model_that_is_gone_is_told_from_another_thing_that_is_not_there(status, said):
    assert refined(FailureKind.REJECTED, status, said) is FailureKind.GONE
    assert refined(FailureKind.REJECTED, status, body("No such response.")) is FailureKind.REJECTED


def test_input_that_was_flagged_is_no_fault_of_the_key():
    flagged = body("Your chosen model requires moderation and your input was flagged", code=403)
    assert refined(FailureKind.UNAUTHORIZED, 403, flagged) is FailureKind.REFUSED
    assert refined(FailureKind.UNAUTHORIZED, 403, body("Country not supported")) is FailureKind.UNAUTHORIZED
    assert refined(FailureKind.UNAUTHORIZED, 401, flagged) is FailureKind.UNAUTHORIZED


@pytest.mark.parametrize(
    ("kind", "status", "said"),
    [
        (FailureKind.REJECTED, 400, body("Unknown parameter: 'x'.", code="unknown_parameter")),
        (FailureKind.REJECTED, 404, body("maximum context length")),
        (FailureKind.REJECTED, 400, b"<html>prompt is too long</html>"),
        (FailureKind.REJECTED, 400, b"null"),
        (FailureKind.ERROR, 500, body("prompt is too long")),
    ],
)
def test_everything_else_stays_what_it_was(kind, status, said):
    assert refined(kind, status, said) is kind
