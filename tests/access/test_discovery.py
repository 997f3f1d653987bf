"""Of an identity provider only its name is known."""

import json

import pytest

from headworks.access.discovery import MOST_BYTES, discovery_url, document_file, read_document, read_found
from headworks.access.fetching import LEAST_S, REFRESH_S, KeySetFetcher, wanted_of
from headworks.access.issuers import key_set_file, wish_file
from tests.access.token_maker import SigningKey, key_set

ISSUER = "https://id.example/realms/staff"
KEYS = "https://keys.example/certs"
OLD, NEW = SigningKey("ES256", "old"), SigningKey("ES256", "new")


def document(**changed):
    said = {
        "issuer": ISSUER,
        "jwks_uri": KEYS,
        "authorization_endpoint": f"{ISSUER}/auth",
        "scopes": ["openid"],
    }
    return json.dumps(said | changed).encode()


@pytest.mark.parametrize("issuer", [ISSUER, f"{ISSUER}/"])
def test_it_says_so_at_a_known_place(issuer):
    assert discovery_url(issuer) == f"{ISSUER}/.well-known/openid-configuration"


def test_what_it_says_is_read():
    found = read_document(document(), ISSUER)

    assert (found.jwks_uri, found.authorization_endpoint, found.token_endpoint) == (KEYS, f"{ISSUER}/auth", "")


@pytest.mark.parametrize(
    "said",
    [
        document(issuer=f"{ISSUER}/"),
        document(issuer="https://evil.example"),
        document(jwks_uri="http://keys.example/certs"),
        document(jwks_uri="file:///etc/passwd"),
        document(jwks_uri="http://169.254.169.254/latest/meta-data"),
        document(jwks_uri="http://127.0.0.1:8500/v1/kv"),
        document(jwks_uri="https://127.0.0.1:8500/v1/kv"),
        document(token_endpoint="http://localhost/token"),
        document(jwks_uri="https://"),
        document(jwks_uri=""),
        document(jwks_uri=7),
        document(jwks_uri="https://keys.example/a b"),
        document(jwks_uri="https://[keys"),
        document(authorization_endpoint="http://id.example/auth"),
        document(token_endpoint="javascript:alert(1)"),
        document(x="x" * MOST_BYTES),
        b"<html>",
        b"[]",
        b"",
        b"[" * 100_000,
    ],
)
def test_what_is_of_somebody_else_or_leads_into_the_open_is_not_taken(said):
    with pytest.raises(ValueError, match=r"discovery document|says of itself"):
        read_document(said, ISSUER)


def test_an_issuer_on_this_machine_may_say_that_its_keys_are_here():
    here = "http://127.0.0.1:8080"

    found = read_document(document(issuer=here, jwks_uri=f"{here}/keys", authorization_endpoint=f"{here}/a"), here)

    assert found.jwks_uri == f"{here}/keys"


class Provider:
    """Answers at its addresses."""

    def __init__(self):
        self.answers = {discovery_url(ISSUER): document(), KEYS: key_set(OLD)}
        self.asked = []

    def __call__(self, url):
        self.asked.append(url)
        return self.answers[url]


@pytest.fixture
def provider():
    return Provider()


@pytest.fixture
def said():
    return []


@pytest.fixture
def fetcher(tmp_path, provider, clock, said):
    return KeySetFetcher([wanted_of(ISSUER, None)], tmp_path, provider, clock, said.append)


def test_keys_are_fetched_from_where_it_says(fetcher, provider, tmp_path):
    file = key_set_file(tmp_path, ISSUER, None)
    assert read_found(file, ISSUER) is None

    fetcher.tick()

    assert provider.asked == [discovery_url(ISSUER), KEYS]
    assert file.read_bytes() == key_set(OLD)
    assert read_found(file, ISSUER) == read_document(document(), ISSUER)
    assert read_found(file, "https://evil.example") is None
    assert document_file(file).stat().st_mode & 0o777 == 0o600


def test_an_unknown_key_has_it_asked_again_but_not_more_often_than_is_polite(fetcher, provider, clock, tmp_path):
    file = key_set_file(tmp_path, ISSUER, None)
    fetcher.tick()
    provider.answers |= {discovery_url(ISSUER): document(jwks_uri=f"{KEYS}/2"), f"{KEYS}/2": key_set(NEW)}
    wish_file(file).touch()
    fetcher.tick()
    assert len(provider.asked) == 2

    clock.now += LEAST_S
    fetcher.tick()
    assert file.read_bytes() == key_set(NEW)


@pytest.mark.parametrize(
    "answers", [{discovery_url(ISSUER): document(issuer="https://evil.example")}, {KEYS: b'{"keys": []}'}]
)
def test_what_is_not_good_leaves_what_is_there(fetcher, provider, clock, tmp_path, said, answers):
    file = key_set_file(tmp_path, ISSUER, None)
    fetcher.tick()
    provider.answers |= answers
    clock.now += REFRESH_S
    fetcher.tick()

    assert file.read_bytes() == key_set(OLD)
    assert read_found(file, ISSUER) == read_document(document(), ISSUER)
    assert len(said) == 1
    assert said[0].startswith(f"the keys at {discovery_url(ISSUER)} stay as they were: ")
