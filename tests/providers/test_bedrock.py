"""AWS Bedrock: asked as AWS's own SDK asks it, and its refusals understood."""

import datetime as dt
import json
from unittest import mock

import boto3
import botocore.config
import pytest
from botocore.awsrequest import AWSResponse

from headworks.calls import Endpoint, FailureKind
from headworks.errors import Refusal
from headworks.exchange import UpstreamRequest
from headworks.providers import ProviderSettings
from headworks.providers.bedrock import BedrockProvider
from headworks.sigv4 import Credentials, packed

REGION = "eu-west-1"
HOST = f"bedrock-runtime.{REGION}.amazonaws.com"
KEY = Credentials("AKIDEXAMPLE", "secret-key-0815", "session-token")
LINE = packed(KEY)
NOW = dt.datetime(2026, 11, 26, 1, 2, 3, tzinfo=dt.UTC)
NOW_S = NOW.timestamp()
MODELS = [
    "eu.anthropic.claude-sonnet-5-v1:0",
    "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc123",
]


def provider(key=LINE, now_s=NOW_S, **settings):
    made = ProviderSettings("aws", **{"base_path": "", "api_key": key, "region": REGION, "host": HOST} | settings)
    return BedrockProvider(made, now=lambda: now_s)


def sent_by_the_sdk(model, *, is_streamed=False, bearer=""):
    """What the SDK sends for a short call."""
    config = botocore.config.Config(retries={"max_attempts": 0})
    sent = []

    def take(request, **_):
        sent.append(request)
        return AWSResponse(request.url, 400, {}, mock.Mock(stream=lambda: iter([b"{}"]), read=lambda *_: b"{}"))

    own = () if bearer else (KEY.key_id, KEY.key, KEY.token)
    with (
        mock.patch.dict("os.environ", {"AWS_BEARER_TOKEN_BEDROCK": bearer} if bearer else {}),
        mock.patch("botocore.auth.get_current_datetime", return_value=NOW.replace(tzinfo=None)),
    ):
        client = boto3.Session(*own, region_name=REGION).client("bedrock-runtime", config=config)
        client.meta.events.register("before-send.bedrock-runtime.*", take)
        call = client.converse_stream if is_streamed else client.converse
        with pytest.raises(client.exceptions.ClientError):
            call(modelId=model, messages=[{"role": "user", "content": [{"text": "x"}]}])
    return sent[0]


def headers_of(request: UpstreamRequest):
    lines = request.headers.decode().split("\r\n")
    return dict(line.split(": ", 1) for line in lines if line)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("is_streamed", [False, True])
def test_it_is_asked_and_signed_as_the_sdk_does(model, is_streamed):
    theirs = sent_by_the_sdk(model, is_streamed=is_streamed)
    asked = provider()
    path = asked.call_path(Endpoint.CONVERSE, model, is_streamed=is_streamed)
    ours = asked.json_request(path, theirs.body, b"")
    assert ours.line.decode() == f"POST {theirs.url.removeprefix(f'https://{HOST}')} HTTP/1.1\r\n"
    told = headers_of(ours)
    assert told["content-type"] == theirs.headers["Content-Type"].decode()
    assert told["x-amz-security-token"] == theirs.headers["X-Amz-Security-Token"].decode()
    assert told["authorization"] == theirs.headers["Authorization"].decode()


def test_a_key_is_sent_as_the_sdk_sends_it():
    theirs = sent_by_the_sdk(MODELS[0], bearer="bedrock-api-key-4711")
    asked = provider("bedrock-api-key-4711")
    told = headers_of(asked.json_request("/model/m/converse", b"{}", b""))
    assert told["authorization"] == theirs.headers["Authorization"].decode()
    assert "x-amz-date" not in told
    assert not asked.is_signed


def test_what_signs_is_never_sent():
    asked = provider()
    sent = asked.json_request("/model/m/converse", b"{}", b"")
    assert KEY.key.encode() not in sent.headers
    assert asked.fixed_headers == packed(KEY).encode()
    assert not sent.headers.startswith(asked.fixed_headers)


def test_json_that_cannot_sign_is_never_sent_as_a_key():
    with pytest.raises(ValueError, match="JSON") as caught:
        provider('{"AccessKeyId":"AKIDEXAMPLE","SecretAccessKey":"secret-key-0815"}')
    assert "0815" not in str(caught.value)


def test_a_signature_is_made_anew_when_it_is_old_or_of_another_key():
    later = provider(now_s=NOW.timestamp() + 121)
    sent = provider().json_request("/model/m/converse", b"{}", b"")
    assert provider(now_s=NOW.timestamp() + 119).is_fresh(sent)
    assert not later.is_fresh(sent)
    assert later.signed_anew(sent, packed(KEY).encode()) == later.json_request("/model/m/converse", b"{}", b"")

    other = packed(Credentials("AKIDOTHER", "x"))
    assert provider().signed_anew(sent, other.encode()) == provider(other).json_request("/model/m/converse", b"{}", b"")
    asked = provider()
    asked.sign_with(other.encode())
    asked.sign_with(b"no key to sign with")
    assert asked.json_request("/model/m/converse", b"{}", b"") == provider(other).json_request(
        "/model/m/converse", b"{}", b""
    )


@pytest.mark.parametrize("model", ["a/../b", "a?b", "../x", "a%2Fb"])
def test_a_models_name_leads_to_no_other_path(model):
    path = provider().call_path(Endpoint.CONVERSE, model, is_streamed=False)
    assert (path.count("/"), path.count("?")) == (3, 0)
    assert ".." not in path.split("/")


@pytest.mark.parametrize("model", ["", ".", ".."])
def test_what_can_be_no_models_name_is_refused(model):
    with pytest.raises(Refusal) as caught:
        provider().call_path(Endpoint.CONVERSE, model, is_streamed=False)
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")


def test_a_guardrail_and_a_latency_are_in_every_body():
    asked = provider(guardrail="arn:aws:bedrock:eu-west-1:123456789012:guardrail/ab1:DRAFT", latency="optimized")
    body = asked.json_request("/model/m/converse", b'{"messages":[]}', b"").body
    assert json.loads(body) == {
        "guardrailConfig": {
            "guardrailIdentifier": "arn:aws:bedrock:eu-west-1:123456789012:guardrail/ab1",
            "guardrailVersion": "DRAFT",
        },
        "performanceConfig": {"latency": "optimized"},
        "messages": [],
    }
    assert asked.json_request("/model/m/converse", b"{}", b"").body == b"{}"


# -- refusals ----------------------------------------------------------------------------------------------------------


def classified(status, name="", message="m", *, in_body=False):
    headers = {} if in_body else {b"x-amzn-errortype": f"{name}:http://internal.amazon.com/".encode()}
    body = {"message": message} | ({"__type": f"com.amazon.coral#{name}"} if in_body else {})
    return provider().classify(status, headers, json.dumps(body).encode())


@pytest.mark.parametrize("in_body", [False, True])
@pytest.mark.parametrize(
    ("status", "name", "message", "kind"),
    [
        (429, "ThrottlingException", "Too many requests, please wait.", FailureKind.RATE_LIMITED),
        (429, "ThrottlingException", "Too many tokens per day, please wait.", FailureKind.QUOTA),
        (429, "ModelNotReadyException", "m", FailureKind.OVERLOADED),
        (400, "ValidationException", "messages.0 is wrong", FailureKind.REJECTED),
        (400, "ValidationException", "Input is too long for requested model.", FailureKind.TOO_LONG),
        (400, "ValidationException", "prompt is too long: 9 tokens > 8 maximum", FailureKind.TOO_LONG),
        (400, "ValidationException", "input length and `max_tokens` exceed context limit: 9 + 1", FailureKind.TOO_LONG),
        (400, "ValidationException", "Number of input tokens exceeds maximum length.", FailureKind.TOO_LONG),
        (400, "ValidationException", "The provided model identifier is invalid.", FailureKind.GONE),
        (400, "ServiceQuotaExceededException", "m", FailureKind.QUOTA),
        (403, "AccessDeniedException", "You don't have access to the model.", FailureKind.UNAUTHORIZED),
        (403, "UnrecognizedClientException", "m", FailureKind.UNAUTHORIZED),
        (403, "ExpiredTokenException", "m", FailureKind.UNAUTHORIZED),
        (404, "ResourceNotFoundException", "This model version has reached the end of its life.", FailureKind.GONE),
        (408, "ModelTimeoutException", "m", FailureKind.TIMEOUT),
        (424, "ModelErrorException", "m", FailureKind.ERROR),
        (500, "InternalServerException", "m", FailureKind.ERROR),
        (503, "ServiceUnavailableException", "m", FailureKind.OVERLOADED),
    ],
)
def test_every_exception_has_its_kind(status, name, message, kind, in_body):
    failure = classified(status, name, message, in_body=in_body)
    assert (failure.kind, failure.status) == (kind, status)
    assert message not in failure.detail or message == "m"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, FailureKind.INVALID),
        (401, FailureKind.UNAUTHORIZED),
        (403, FailureKind.UNAUTHORIZED),
        (404, FailureKind.GONE),
        (408, FailureKind.TIMEOUT),
        (413, FailureKind.REJECTED),
        (424, FailureKind.ERROR),
        (429, FailureKind.RATE_LIMITED),
        (502, FailureKind.ERROR),
        (503, FailureKind.OVERLOADED),
    ],
)
def test_a_status_alone_has_its_kind(status, kind):
    assert provider().classify(status, {}, b"<html>").kind is kind


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("InvalidSignatureException", "Signature expired: 20261126T010203Z is now earlier than 20261126T020203Z"),
        ("InvalidSignatureException", "Signature not yet current: 20261126T030203Z is still later than 2026..."),
        ("RequestExpired", "m"),
    ],
)
def test_a_clock_that_is_off_is_told(name, message):
    failure = classified(403, name, message)
    assert failure.kind is FailureKind.UNAUTHORIZED
    assert "clock" in failure.detail
    assert "clock" not in classified(403, "InvalidSignatureException", "The request signature does not match").detail
