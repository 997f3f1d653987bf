"""Who has signed in is asked after now and then: what the identity provider takes away is gone shortly."""

import json
import os

import pytest

from headworks.access.issuers import fetched_file, wish_file
from headworks.admin.sessions import SESSION_COOKIE
from headworks.config import parse
from headworks.secrets import Heard
from tests.access.token_maker import SigningKey, key_set
from tests.admin.sign_in_stage import KEY, TEXT_WITH_SIGN_IN, Provider, cookie, make_api, me, sign_in

RENEW_S = 600.0
GROUPS = {"realm": {"groups": ["acme-ops"]}}


@pytest.fixture
def provider():
    one = Provider()
    one.refresh_token = "r"
    return one


@pytest.fixture
def api(tmp_path, provider):
    api = make_api(tmp_path, provider)
    yield api
    api.close()


def roles(answer):
    return sorted(one["role"] for one in answer.json["roles"])


def renewals(provider):
    return sum(b"grant_type=refresh_token" in ask.body for ask in provider.asked)


def test_a_group_that_is_taken_away_counts_no_longer_than_a_few_minutes(api, provider):
    session = sign_in(api, provider, **GROUPS)
    assert roles(me(api, session)) == ["admin", "operator"]

    provider.said = {"realm": {"groups": []}}
    api.now.now_s += RENEW_S - 1
    assert roles(me(api, session)) == ["admin", "operator"]
    assert renewals(provider) == 0
    api.now.now_s += 1
    assert [roles(me(api, session)) for _ in range(3)] == [["admin"]] * 3
    assert renewals(provider) == 1

    provider.said = GROUPS
    api.now.now_s += RENEW_S
    assert roles(me(api, session)) == ["admin", "operator"]
    assert provider.refresh_token == "r++"


def test_a_renewal_asks_as_the_sign_in_did(api, provider):
    session = sign_in(api, provider)
    api.now.now_s += RENEW_S
    me(api, session)

    asked = provider.asked[-1]
    assert asked.url.endswith("/token")
    assert dict(asked.headers)["authorization"].startswith("Basic ")
    assert asked.body == b"grant_type=refresh_token&refresh_token=r"


def test_who_the_identity_provider_knows_no_more_is_signed_out(api, provider):
    session = sign_in(api, provider)
    provider.refresh_token = "of somebody else"
    api.now.now_s += RENEW_S

    assert [me(api, session).status for _ in range(2)] == [401, 401]
    assert renewals(provider) == 1
    (told,) = [one for one in api.recorded if one[0] == "admin.signed_out"]  # beside refusals, which are told later
    assert told[4]["why"] == "the identity provider does not vouch for them any more"
    provider.refresh_token = "r"
    assert me(api, session).status == 401


@pytest.mark.parametrize(
    "said", [{"sub": "eve"}, {"aud": "admin-api"}, {"azp": "other"}, {"iss": "https://elsewhere.example"}, {"exp": 1}]
)
def test_a_token_of_somebody_else_renews_nothing(api, provider, said):
    session = sign_in(api, provider)
    provider.said = said
    api.now.now_s += RENEW_S

    assert me(api, session).status == 401


def test_who_cannot_be_asked_after_signs_in_again(api, provider):
    provider.refresh_token = ""
    session = sign_in(api, provider)
    api.now.now_s += RENEW_S - 1
    assert me(api, session).status == 200
    api.now.now_s += 1
    assert me(api, session).status == 401
    assert len(provider.asked) == 1


def test_an_answer_that_does_not_say_who_it_is_renews_nothing(api, provider):
    session = sign_in(api, provider)
    provider.says_who = False
    api.now.now_s += RENEW_S

    assert me(api, session).status == 401


def test_while_the_identity_provider_is_away_nobody_goes_on_and_nobody_is_signed_out(api, provider):
    session = sign_in(api, provider)
    api.now.now_s += RENEW_S
    provider.is_away = True

    answers = [me(api, session) for _ in range(3)]
    assert {(one.status, one.code) for one in answers} == {(503, "sign_in_unavailable")}
    assert len(provider.asked) == 2  # it is not asked with every request
    api.now.now_s += 5
    assert me(api, session).status == 503
    assert len(provider.asked) == 3
    provider.is_away = False
    api.now.now_s += 5
    assert me(api, session).status == 200


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_provider_that_is_in_trouble_is_no_word_about_anybody(api, provider, status):
    session = sign_in(api, provider)
    renew, provider.renew = provider.renew, lambda _: Heard(status)
    api.now.now_s += RENEW_S
    assert me(api, session).status == 503
    provider.renew = renew
    api.now.now_s += 5
    assert me(api, session).status == 200


def test_a_new_key_of_the_identity_provider_signs_nobody_out(tmp_path, provider):
    url = "https://id.example/keys"
    text = TEXT_WITH_SIGN_IN.replace("jwks_file: keys.json", f"jwks_url: {url}", 1)
    api = make_api(tmp_path, provider, text)
    file = fetched_file(api.project.storage, url)

    def publish(key):
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(key_set(key))
        os.utime(file, (api.now(), api.now()))
        api.authenticator.refresh()

    try:
        publish(KEY)
        session = sign_in(api, provider)
        provider.key = SigningKey("RS256", "two")
        api.now.now_s += RENEW_S

        assert (me(api, session).status, provider.refresh_token) == (503, "r+")
        assert wish_file(file).exists()
        publish(provider.key)
        api.now.now_s += 5
        assert me(api, session).status == 200
    finally:
        api.close()


def test_many_requests_at_one_time_renew_once(api, provider):
    session = sign_in(api, provider)
    api.now.now_s += RENEW_S
    answers = api.call_many("GET", "/me", 8, headers=cookie(SESSION_COOKIE, session))

    assert [one.status for one in answers] == [200] * 8
    assert renewals(provider) == 1


def test_what_has_been_taken_away_stays_so_after_a_restart(api, provider):
    session = sign_in(api, provider, **GROUPS)
    api.now.now_s += RENEW_S
    provider.said = {}
    me(api, session)

    api.forget()

    assert me(api, session).status == 401


def test_a_reload_keeps_people_signed_in(api, provider):
    session = sign_in(api, provider)
    api.use(parse(TEXT_WITH_SIGN_IN, file=str(api.project.file), base=api.project.folder))
    api.now.now_s += RENEW_S

    assert me(api, session).status == 200


def test_who_signs_out_is_asked_after_no_more(api, provider):
    session = sign_in(api, provider)
    csrf = me(api, session).json["csrf_token"].encode()
    api.call("POST", "/logout", headers=cookie(SESSION_COOKIE, session) | {b"x-csrf-token": csrf})
    api.now.now_s += RENEW_S

    assert me(api, session).status == 401
    assert renewals(provider) == 0


def test_it_ends_with_its_time_all_the_same(api, provider):
    session = sign_in(api, provider)
    api.now.now_s += 28_800
    assert me(api, session).status == 401
    assert renewals(provider) == 0


def test_what_renews_is_in_no_cookie_and_no_file(api, provider, tmp_path):
    provider.refresh_token = "planted-refresh-token"
    session = sign_in(api, provider)
    api.now.now_s += RENEW_S
    assert me(api, session).status == 200

    assert json.dumps(api.recorded).count("planted") == 0
    assert not [one for one in tmp_path.rglob("*") if one.is_file() and b"planted-refresh" in one.read_bytes()]
    assert "planted" not in "".join(api.log)
