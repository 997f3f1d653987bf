"""Keys that sign, under their calls: fresh signatures, another key when one is refused, new ones without a restart."""

import pytest

from headworks.exchange import Timeouts, UpstreamRequest
from headworks.keying import blocks_of
from headworks.providers import OpenAIProvider, ProviderSettings
from headworks.providers.bedrock import BedrockProvider
from headworks.signed_keys import SignedUpstream, upstream_for
from headworks.sigv4 import Credentials, packed

EXPIRED = (403, {b"x-amzn-errortype": b"ExpiredTokenException"}, b'{"message":"The security token is expired"}')


class Flight:
    def __init__(self, request, sink):
        self.request, self.sink = request, sink

    @property
    def key(self):
        return self.request.headers.partition(b"Credential=")[2].partition(b"/")[0].decode()

    @property
    def moment(self):
        return self.request.headers.partition(b"x-amz-date: ")[2].partition(b"\r\n")[0].decode()

    def cancel(self):
        pass

    def answer(self, status=200, headers=None, body=b"{}"):
        self.sink.on_head(status, headers or {})
        self.sink.on_body(body)
        self.sink.on_end()


class Upstream:
    """State: what was sent, in order."""

    def __init__(self):
        self.flights = []

    def send(self, request, sink, timeouts):
        self.flights.append(Flight(request, sink))
        return self.flights[-1]


class Heard:
    status = 0

    def on_head(self, status, headers):
        self.status = status

    def on_body(self, data):
        pass

    def on_end(self):
        pass


class Stage:
    def __init__(self, *keys):
        self.now_s = 1_790_000_000.0
        self.providers = [self.provider(key) for key in keys]
        self.upstream = Upstream()
        self.keyed = SignedUpstream(
            "aws", self.upstream, self.providers[0], blocks_of(self.providers), say=lambda _: None, refused=lambda: None
        )

    def provider(self, key):
        line = packed(Credentials(key, "secret", f"token-{key}"))
        settings = ProviderSettings("aws", base_path="", api_key=line, region="eu-west-1", host="h")
        return BedrockProvider(settings, now=lambda: self.now_s)

    def ask(self) -> UpstreamRequest:
        return self.providers[0].json_request("/model/m/converse", b"{}", b"")

    def send(self, request=None):
        heard = Heard()
        self.keyed.send(request or self.ask(), heard, Timeouts())
        return heard

    @property
    def last(self):
        return self.upstream.flights[-1]


def test_what_was_just_signed_goes_out_as_it_is():
    stage = Stage("A")
    request = stage.ask()
    stage.send(request)
    assert stage.last.request is request


def test_what_has_waited_is_signed_anew_and_only_once():
    stage = Stage("A")
    request = stage.ask()
    stage.now_s += 200
    stage.send(request)
    assert stage.last.moment == stage.ask().headers.partition(b"x-amz-date: ")[2][:16].decode()
    assert stage.last.request.headers.count(b"authorization:") == 1
    assert stage.last.request.headers.count(b"x-amz-security-token:") == 1


def test_while_a_key_is_refused_calls_are_signed_with_another():
    stage = Stage("A", "B")
    heard = stage.send()
    stage.last.answer(*EXPIRED)
    assert stage.last.key == "B"
    assert b"token-B" in stage.last.request.headers
    assert b"token-A" not in stage.last.request.headers
    stage.last.answer()
    assert heard.status == 200
    stage.send()
    assert stage.last.key == "B"


def test_new_credentials_sign_what_comes_and_the_older_ones_what_they_refuse():
    stage = Stage("A")
    assert stage.keyed.take(blocks_of([stage.provider("B"), stage.provider("A")]))
    request = stage.ask()
    stage.send(request)
    assert stage.last.key == "B"
    assert stage.last.request is request  # the provider signs with them at once: nothing is signed twice
    stage.last.answer(*EXPIRED)
    assert stage.last.key == "A"
    assert not stage.keyed.take(blocks_of([stage.provider("B"), stage.provider("A")]))


def test_what_was_signed_before_new_credentials_came_still_goes_out():
    stage = Stage("A")
    request = stage.ask()
    stage.keyed.take(blocks_of([stage.provider("B")]))
    stage.send(request)
    assert stage.last.key == "A"


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        (BedrockProvider(ProviderSettings("a", api_key="bearer", base_path="")), False),
        (BedrockProvider(ProviderSettings("a", api_key=packed(Credentials("A", "s")), base_path="")), True),
        (OpenAIProvider(ProviderSettings("a", api_key="sk-x")), False),
    ],
)
def test_only_keys_that_sign_need_that(provider, expected):
    assert (upstream_for(provider) is SignedUpstream) is expected
