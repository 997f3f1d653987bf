import asyncio
import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs

import msgspec
import pytest

from headworks.access.discovery import Document
from headworks.admin.authenticating import TRIES
from headworks.admin.serving import THREADS
from headworks.admin.sessions import SESSION_COOKIE, SIGNING_IN_COOKIE
from headworks.admin.signing_in import PATIENCE_S, SignInFlow
from headworks.config import parse
from headworks.exchange import Request
from headworks.secrets import Heard
from tests.access.token_maker import SigningKey, claims, token
from tests.admin.conftest import NOW_S
from tests.admin.conftest import Heard as Answered
from tests.admin.sign_in_stage import (
    ISSUER,
    KEY,
    ORIGIN,
    TEXT_WITH_SIGN_IN,
    Provider,
    begin,
    come_back,
    cookie,
    cookies_of,
    make_api,
    me,
    sign_in,
)


@pytest.fixture
def provider():
    return Provider()


@pytest.fixture
def api(tmp_path, provider):
    api = make_api(tmp_path, provider)
    yield api
    api.close()


def test_who_signs_in_is_known_from_then_on_with_the_roles_that_follow(api, provider):
    session = sign_in(api, provider, email="ann@a.example", email_verified=True)
    found = me(api, session).json

    assert (found["name"], found["way"]) == ("ann@a.example", "session")
    assert found["roles"] == [{"role": "admin", "organisation": None}]
    assert api.call("GET", "/keys", headers=cookie(SESSION_COOKIE, session)).status == 200
    told = [one for one in api.recorded if one[0] == "admin.signed_in"]
    assert told == [
        ("admin.signed_in", found["who"], "10.0.0.1", ISSUER, {"by": "session", "by_name": "ann@a.example"}, "done")
    ]


def test_the_code_is_exchanged_with_the_clients_secret_and_the_verifier(api, provider):
    sign_in(api, provider)
    (ask,) = provider.asked
    headers, form = dict(ask.headers), parse_qs(ask.body.decode())

    assert base64.b64decode(headers["authorization"].removeprefix("Basic ")) == b"headworks+admin:pass+word"
    assert (form["grant_type"], form["redirect_uri"]) == (["authorization_code"], [f"{ORIGIN}/callback"])
    assert "client_secret" not in form


def test_where_the_identity_provider_is_may_be_found_out_by_its_name(api, provider, tmp_path):
    named = api.project.config.admin.sign_in
    bare = msgspec.structs.replace(named, authorization_url=None, token_url=None)
    known = []

    def flow():
        return SignInFlow(bare, None, api.seals, provider, api.now, lambda: known[-1] if known else None)

    api.application._flow = flow()
    early = api.call("GET", "/login")
    assert (early.status, early.code) == (503, "sign_in_unavailable")
    known.append(Document(ISSUER, f"{ISSUER}/keys", f"{ISSUER}/authorize", f"{ISSUER}/there"))
    assert me(api, sign_in(api, provider)).status == 200
    assert [one.url for one in provider.asked] == [f"{ISSUER}/there"]
    known.append(Document(ISSUER, f"{ISSUER}/keys", f"{ISSUER}/authorize"))
    assert come_back(api, *begin(api, provider)).code == "sign_in_unavailable"


def test_cookies_are_out_of_reach_of_scripts_clear_text_and_other_sites(api, provider):
    query, signing_in = begin(api, provider)
    begun = cookies_of(api.call("GET", "/login"))[SIGNING_IN_COOKIE][1]
    kept = cookies_of(come_back(api, query, signing_in))

    assert set(begun.split("; ")) == {"Path=/", "Max-Age=600", "Secure", "HttpOnly", "SameSite=Lax"}
    assert set(kept[SESSION_COOKIE][1].split("; ")) == {
        "Path=/",
        "Max-Age=28800",
        "Secure",
        "HttpOnly",
        "SameSite=Strict",
    }
    assert kept[SIGNING_IN_COOKIE] == ("", "Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax")


@pytest.mark.parametrize(
    ("said", "roles"),
    [
        ({"sub": "bob", "email": "bob@a.example", "email_verified": True}, [("auditor", None)]),
        ({"sub": "cyd", "realm": {"groups": ["staff", "acme-ops"]}}, [("operator", "acme")]),
        ({"realm": {"groups": ["acme-ops"]}}, [("operator", "acme"), ("admin", None)]),
    ],
)
def test_roles_follow_from_subject_verified_address_and_groups(api, provider, said, roles):
    found = me(api, sign_in(api, provider, **said)).json

    assert [(one["role"], one["organisation"]) for one in found["roles"]] == roles


@pytest.mark.parametrize(
    "said",
    [
        {"sub": "bob", "email": "bob@a.example"},
        {"sub": "bob", "email": "bob@a.example", "email_verified": "true"},
        {"sub": "eve"},
        {"sub": "dan", "realm": {"groups": ["acme-ops-not", "x acme-ops"]}},
        {"sub": "dan", "realm": {"groups": "staff acme-ops"}},
        {"sub": "dan", "realm": "acme-ops"},
    ],
)
def test_whoever_has_no_role_gets_no_session(api, provider, said):
    provider.said = said
    answer = come_back(api, *begin(api, provider))

    assert (answer.status, answer.code) == (403, "no_role")
    assert SESSION_COOKIE not in cookies_of(answer)
    assert api.recorded[-1][0::5] == ("admin.signed_in", "refused")


@pytest.mark.parametrize(
    "said",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "admin-api"},
        {"aud": ["headworks admin", "other"]},
        {"aud": ["headworks admin", "other"], "azp": "other"},
        {"azp": "other"},
        {"iss": "https://elsewhere.example"},
        {"exp": NOW_S - 60},
    ],
)
def test_an_id_token_that_is_not_for_this_sign_in_opens_nothing(api, provider, said):
    provider.said = said
    answer = come_back(api, *begin(api, provider))

    assert (answer.status, answer.code) == (502, "sign_in_failed")
    assert cookies_of(answer) == {}


def test_an_id_token_of_another_signer_opens_nothing(api, provider):
    provider.key = SigningKey("RS256", "one")
    assert come_back(api, *begin(api, provider)).status == 502
    provider.key, provider.header = KEY, {"alg": "none"}
    assert come_back(api, *begin(api, provider)).status == 502


def test_an_answer_is_good_for_the_browser_that_has_begun_and_for_some_minutes(api, provider):
    query, signing_in = begin(api, provider)
    _, of_another = begin(api, provider)
    code, state = query.split("&")

    for changed, sealed in (
        (query, of_another),
        (query, ""),
        (f"{code}&state=x", signing_in),
        (code, signing_in),
        (f"{query}&{state}", signing_in),
        (f"{query}&iss=https://evil.example", signing_in),
    ):
        assert come_back(api, changed, sealed).code == "sign_in_unknown"
    assert provider.asked == []
    api.now.now_s += PATIENCE_S
    assert come_back(api, query, signing_in).code == "sign_in_unknown"


def test_who_tries_answers_again_and_again_is_locked_out(api, provider):
    statuses = [come_back(api, "code=c&state=x", "x").status for _ in range(TRIES + 1)]

    assert statuses == [400] * TRIES + [429]


def test_what_the_identity_provider_refuses_or_cannot_do_is_said(api, provider):
    query, signing_in = begin(api, provider)
    _, state = query.split("&")
    refused = come_back(api, f"error=access_denied&{state}", signing_in)
    assert (refused.status, refused.code) == (403, "sign_in_refused")

    provider.is_away = True
    away = come_back(api, *begin(api, provider))
    assert (away.status, away.code) == (502, "sign_in_failed")
    provider.is_away, provider.challenge = False, "another"
    query, signing_in = begin(api, provider)
    provider.challenge = "another"
    assert come_back(api, query, signing_in).status == 502


def test_a_browser_is_shown_pages_without_a_script(api, provider):
    html = {b"accept": b"text/html,*/*"}
    provider.said = {"email": "<script>@a.example", "email_verified": True}
    query, signing_in = begin(api, provider)
    page = api.call("GET", f"/callback?{query}", headers=cookie(SIGNING_IN_COOKIE, signing_in) | html)
    trouble = api.call("GET", "/callback?code=1", headers=html)

    assert page.headers["content-type"] == trouble.headers["content-type"] == ["text/html; charset=utf-8"]
    assert b"<script" not in page.body
    assert page.headers["content-security-policy"][0].startswith("default-src 'none'")
    assert trouble.status == 400


def test_a_session_changes_nothing_without_its_csrf_token(api, provider):
    session = sign_in(api, provider)
    csrf = me(api, session).json["csrf_token"].encode()
    good = cookie(SESSION_COOKIE, session) | {b"x-csrf-token": csrf}

    for headers in (
        cookie(SESSION_COOKIE, session),
        good | {b"x-csrf-token": b"x"},
        good | {b"origin": b"https://evil.example"},
        good | {b"sec-fetch-site": b"same-site"},
        good | {b"sec-fetch-site": b"cross-site"},
    ):
        answer = api.call("POST", "/keys", body={"name": "x"}, headers=headers)
        assert (answer.status, answer.code) == (403, "csrf_token_missing")
    ours = good | {b"origin": ORIGIN.encode(), b"sec-fetch-site": b"same-origin"}
    assert api.call("POST", "/keys", body={"name": "x"}, headers=ours).status == 201
    other = sign_in(api, provider)
    assert api.call("POST", "/keys", body={}, headers=good | cookie(SESSION_COOKIE, other)).status == 403


def test_a_session_ends_with_its_time_and_with_signing_out_for_its_copies_too(api, provider):
    session, other = sign_in(api, provider), sign_in(api, provider)
    headers = cookie(SESSION_COOKIE, session) | {b"x-csrf-token": me(api, session).json["csrf_token"].encode()}
    answer = api.call("POST", "/logout", headers=headers)

    assert answer.status == 204
    assert cookies_of(answer)[SESSION_COOKIE][0] == ""
    assert [me(api, one).status for one in (session, other)] == [401, 200]
    assert "admin.signed_out" in [one[0] for one in api.recorded]
    api.now.now_s += 28_800
    assert me(api, other).status == 401


def test_who_loses_a_role_in_the_file_loses_it_in_their_session(api, provider):
    session = sign_in(api, provider)
    text = TEXT_WITH_SIGN_IN.replace("subject: ann, roles: [admin]", "subject: ann, roles: [analyst]")
    api.use(parse(text, file=str(api.project.file), base=api.project.folder))

    assert [one["role"] for one in me(api, session).json["roles"]] == ["analyst"]
    assert api.call("GET", "/keys", headers=cookie(SESSION_COOKIE, session)).status == 403


def test_cookies_of_one_kind_or_another_installation_open_nothing(api, provider):
    session = sign_in(api, provider)
    _, signing_in = begin(api, provider)

    for value in (signing_in, session[:-2], session[2:], "", "x" * 5000, session + "."):
        assert me(api, value).status == 401
    twice = {b"cookie": f"{SESSION_COOKIE}={session}; {SESSION_COOKIE}={session}".encode()}
    assert api.call("GET", "/me", headers=twice).status == 401


def test_a_program_comes_with_a_bearer_token_for_the_api_and_not_with_an_id_token(api):
    said = claims(aud="admin-api", email="ann@a.example")
    found = api.call("GET", "/me", token(KEY, said).decode())

    assert (found.json["way"], found.json["roles"][0]["role"]) == ("token", "admin")
    assert api.call("POST", "/keys", token(KEY, said).decode(), {"name": "x"}).status == 201
    assert api.call("GET", "/me", token(KEY, claims(aud="headworks admin", nonce="n")).decode()).status == 401
    assert api.call("GET", "/keys", token(KEY, claims(aud="admin-api", sub="eve")).decode()).status == 403


def test_nobody_is_called_by_an_address_that_may_be_another_persons(api, provider):
    session = sign_in(api, provider, email="boss@a.example")
    bearer = token(KEY, claims(aud="admin-api", email="boss@a.example")).decode()

    assert me(api, session).json["name"] == api.call("GET", "/me", bearer).json["name"] == "ann"


def test_a_session_of_an_identity_provider_that_is_not_trusted_any_more_is_over(api, provider):
    session = sign_in(api, provider)
    project = api.project
    begun = TEXT_WITH_SIGN_IN.partition("  sign_in:")
    api.use(
        parse(
            begun[0] + begun[1] + begun[2].replace(ISSUER, "https://new.example"),
            file=str(project.file),
            base=project.folder,
        )
    )

    assert me(api, session).status == 401


def test_an_address_that_was_not_verified_brings_no_role_however_the_rule_names_the_claim(api, provider):
    project = api.project
    text = TEXT_WITH_SIGN_IN.replace("claim: /realm/groups, value: acme-ops", "claim: /email, value: cat@a.example")
    api.use(parse(text, file=str(project.file), base=project.folder))
    provider.said = {"sub": "eve", "email": "cat@a.example"}

    assert come_back(api, *begin(api, provider)).code == "no_role"
    provider.said |= {"email_verified": True}
    assert come_back(api, *begin(api, provider)).status == 200


def test_an_answer_is_good_once(api, provider):
    query, signing_in = begin(api, provider)
    assert come_back(api, query, signing_in).status == 200

    again = come_back(api, query, signing_in)
    assert (again.status, again.code) == (400, "sign_in_unknown")
    assert len(provider.asked) == 1


def test_an_identity_provider_that_does_not_answer_keeps_nobody_with_a_key_waiting(api, provider):
    _, admin = api.key("admin")
    begun = [begin(api, provider) for _ in range(60)]
    may_answer, asked = threading.Event(), threading.Semaphore(0)

    def hang(ask):
        asked.release()
        assert may_answer.wait(60)
        return Heard(503, b"")

    flow = api.application._flow
    flow._ask = hang

    async def come():
        heard = [Answered() for _ in begun]
        for (query, signing_in), one in zip(begun, heard, strict=True):
            headers = cookie(SIGNING_IN_COOKIE, signing_in)
            api.application.handle(Request("GET", "/callback", query, headers, b"", peer="10.0.0.1"), one)
        await asyncio.get_running_loop().run_in_executor(None, asked.acquire)
        by_key = Answered()
        headers = {b"authorization": f"Bearer {admin}".encode()}
        api.application.handle(Request("GET", "/admin/v1/roles", "", headers, b"", peer="10.0.0.2"), by_key)
        try:
            await asyncio.wait_for(by_key.done.wait(), 30)
        finally:
            may_answer.set()
        for one in heard:
            await one.done.wait()
        return by_key.status, sorted(one.status for one in heard)

    with ThreadPoolExecutor(THREADS) as executor:
        api.application._executor = executor
        assert api.runner.run(come()) == (200, [502] * 50 + [503] * 10)


@pytest.mark.parametrize("subject", ["ann\x1b[2J", "ann\nheadworks: all is well", "\u202enimda", "x" * 200])
def test_nobody_is_called_what_could_pass_for_something_else_in_a_log(api, provider, subject):
    provider.said = {"sub": subject}
    come_back(api, *begin(api, provider))

    *_, (_, who, _, _, detail, _) = api.recorded
    assert detail["by_name"] == who
