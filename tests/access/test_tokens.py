import hashlib
import hmac
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.access.key_sets import read_key_set
from headworks.access.tokens import MOST_BYTES, ClaimNames, Issuer, UnknownKey, issuer_in, verify
from headworks.calls import NO_LIMITS, Endpoint
from tests.access.token_maker import NOW_S, SigningKey, claims, encode, key_set, token

KEYS = {algorithm: SigningKey(algorithm, algorithm.lower()) for algorithm in ("RS256", "ES256", "EdDSA")}
PUBLISHED = key_set(*KEYS.values())
SET = read_key_set(PUBLISHED)
KEY = KEYS["EdDSA"]
ISSUER = Issuer("https://id.example", ("headworks", "other"))


def found(text, issuer=ISSUER, keys=SET, now_s=NOW_S):
    return verify(text, issuer, keys, now_s)


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_good_token_says_who_calls_until_when(algorithm):
    identity = found(token(KEYS[algorithm]))

    assert (identity.caller.owner, identity.caller.team, identity.ends_s) == ("ann", "", NOW_S + 630)
    assert identity.caller.key_id.startswith("token_")
    grant = identity.grant(ISSUER)
    assert (grant.expires_at, grant.has_all_models, grant.limits is NO_LIMITS) == (NOW_S + 630, True, True)


def test_a_subject_has_one_name_for_all_its_tokens_and_another_at_another_issuer():
    one, again, other = (
        found(token(KEY, claims(**said))).caller.key_id for said in ({}, {"exp": NOW_S + 9}, {"sub": "bob"})
    )
    elsewhere = found(token(KEY, claims(iss="https://b.example")), Issuer("https://b.example", ("headworks",)))

    assert one == again
    assert len({one, other, elsewhere.caller.key_id}) == 3


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": NOW_S - 30},
        {"exp": None},
        {"exp": str(NOW_S + 600)},
        {"exp": True},
        {"exp": 10**400},
        {"nbf": NOW_S + 31},
        {"nbf": "now"},
        {"iat": NOW_S + 31},
        {"aud": "someone-else"},
        {"aud": None},
        {"aud": []},
        {"aud": ["someone-else", 5]},
        {"aud": {"headworks": 1}},
        {"iss": "https://id.example/"},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 5},
        {"sub": "x" * 256},
        {"sub": "a\nb"},
    ],
)
def test_a_token_whose_claims_do_not_hold_is_not_good(changed):
    assert found(token(KEY, claims(**changed))) is None


@pytest.mark.parametrize(
    "changed",
    [{"exp": NOW_S - 29}, {"nbf": NOW_S + 30}, {"iat": NOW_S + 29.5}, {"aud": ["x", "other"]}, {"exp": NOW_S + 0.5}],
)
def test_clocks_may_differ_a_little_and_a_token_may_be_for_several(changed):
    assert found(token(KEY, claims(**changed))) is not None


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "RS256"},
        {"alg": "ES256"},
        {"alg": "EdDSA", "kid": "rs256"},
        {"alg": "HS256"},
        {"alg": "PS256"},
        {"alg": None},
        {"crit": ["exp"]},
        {"crit": None, "typ": "logout+jwt"},
        {"typ": "secevent+jwt"},
        {"kid": 5},
    ],
)
def test_a_header_that_does_not_fit_the_key_is_not_good(header):
    text = token(KEY, **header)
    try:
        assert found(text) is None
    except UnknownKey:
        assert header.get("kid") != "eddsa"


def test_a_token_without_a_signature_or_signed_with_a_public_key_as_a_secret_is_not_good():
    body = encode(json.dumps(claims()).encode())
    unsigned = f"{encode(json.dumps({'alg': 'none'}).encode())}.{body}."
    symmetric = f"{encode(json.dumps({'alg': 'HS256', 'kid': 'rs256'}).encode())}.{body}"
    forged = [hmac.digest(secret, symmetric.encode(), hashlib.sha256) for secret in (PUBLISHED, b"", b"secret")]

    assert found(unsigned.encode()) is None
    assert not any(found(f"{symmetric}.{encode(mac)}".encode()) for mac in forged)


def test_a_token_of_a_key_that_is_not_in_the_set_asks_for_the_set_again_only_if_its_claims_hold():
    new = SigningKey("EdDSA", "new")
    with pytest.raises(UnknownKey):
        found(token(new))
    assert found(token(new, claims(exp=1))) is None
    assert found(token(new), keys=read_key_set(key_set(new))) is not None


def test_a_key_with_the_name_of_another_opens_nothing():
    assert found(token(SigningKey("EdDSA", "eddsa"))) is None


@settings(max_examples=150)
@given(st.data())
def test_a_token_with_any_character_changed_is_not_good(data):
    text = bytearray(GOOD)
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] = data.draw(st.sampled_from(b"ABCDwxyz0189-_.=").filter(lambda new: new != GOOD[place]))

    try:
        assert found(bytes(text)) is None
    except UnknownKey:
        assert place < GOOD.index(b".")


GOOD = token(KEY)


@given(st.binary(max_size=200) | st.lists(st.sampled_from([b"e30", b".", b"eyJhIjoxfQ", b"=", b"\xff"])).map(b"".join))
def test_whatever_comes_is_no_token_and_no_error(text):
    assert issuer_in(text) is None
    assert found(text) is None


def test_a_token_that_is_too_long_is_not_looked_at():
    long = token(KEY, claims(note="x" * MOST_BYTES))
    assert (found(long), issuer_in(long)) == (None, None)
    assert issuer_in(GOOD) == "https://id.example"


NAMED = Issuer("https://id.example", ("headworks",), ClaimNames("email", "dept", "scope", "roles"))
SAID = {"email": "ann@a.example", "dept": "search", "scope": "nano sim/*", "roles": ["staff", "caller"]}


def test_claims_say_owner_team_models_and_role():
    identity = found(token(KEY, claims(**SAID)), NAMED)

    assert (identity.caller.owner, identity.caller.team) == ("ann@a.example", "search")
    assert identity.models == ("nano", "sim/*")
    grant = identity.grant(NAMED)
    assert (grant.may_use("sim/x"), grant.may_use("fast")) == (True, False)
    assert (grant.may_call(Endpoint.CHAT), grant.may_call(Endpoint.APPROVALS)) == (True, False)


@pytest.mark.parametrize(
    "changed",
    [
        {"email": None},
        {"dept": None},
        {"dept": ["search"]},
        {"dept": ""},
        {"scope": None},
        {"scope": ""},
        {"scope": []},
        {"scope": [""]},
        {"scope": ["nano", 5]},
        {"roles": None},
        {"roles": "boss"},
        {"roles": ["caller", "admin"]},
        {"roles": "analyst"},
        {"roles": "auditor"},
        {"roles": {"caller": True}},
    ],
)
def test_what_a_claim_should_say_and_does_not_opens_nothing(changed):
    assert found(token(KEY, claims(**(SAID | changed))), NAMED) is None


@pytest.mark.parametrize(
    ("name", "team"),
    [
        ("/org/unit", "search"),
        ("/org/a~1b", "slash"),
        ("/org/a~01b", "tilde"),
        ("https://a.example/team", "named"),
        ("/org", None),
        ("/org/unit/more", None),
        ("/none/unit", None),
        ("/", None),
        ("org/unit", None),
    ],
)
def test_a_claim_may_lie_within_another(name, team):
    said = {"org": {"unit": "search", "a/b": "slash", "a~1b": "tilde"}, "https://a.example/team": "named"}
    identity = found(token(KEY, claims(**said)), Issuer("https://id.example", ("headworks",), ClaimNames(team=name)))

    assert (None if identity is None else identity.caller.team) == team


@pytest.mark.parametrize("role", ["operator", "admin"])
def test_who_decides_approvals_does_nothing_else(role):
    grant = found(token(KEY, claims(**(SAID | {"roles": role}))), NAMED).grant(NAMED)

    assert {endpoint for endpoint in Endpoint if grant.may_call(endpoint)} == {Endpoint.APPROVALS, Endpoint.MODELS}
