"""An identity provider, a browser, and an admin API whose people sign in there."""

import hashlib
import json
from urllib.parse import parse_qsl, urlsplit

from headworks.admin.sessions import SESSION_COOKIE, SIGNING_IN_COOKIE
from headworks.admin.signing_in import SignInFlow
from headworks.config import Secret, parse
from headworks.errors import SecretError
from headworks.secrets import Heard
from tests.access.token_maker import SigningKey, claims, encode, key_set, token
from tests.admin.conftest import NOW_S, TEXT, Api

KEY = SigningKey("RS256", "one")
ISSUER = "https://id.example"
ORIGIN = "https://gw.example:4001"
SIGN_IN = f"""
  users:
    - {{subject: ann, roles: [admin]}}
    - {{email: bob@a.example, roles: [auditor]}}
  roles:
    - {{claim: /realm/groups, value: acme-ops, role: operator, organisation: acme}}
    - {{issuer: "https://elsewhere.example", claim: sub, value: eve, role: admin}}
admin:
  port: 4001
  sign_in:
    url: {ORIGIN}
    issuer: {ISSUER}
    client_id: headworks admin
    authorization_url: {ISSUER}/authorize
    token_url: {ISSUER}/token
    jwks_file: keys.json
  tokens: [{{issuer: {ISSUER}, audience: [admin-api], jwks_file: keys.json}}]
"""
TEXT_WITH_SIGN_IN = TEXT.replace("\nmodels:", SIGN_IN + "models:")


class Provider:
    """An identity provider: remembers what it was asked to vouch for, and vouches as `said` has it."""

    def __init__(self):
        self.said, self.header, self.key, self.asked, self.is_away = {}, {}, KEY, [], False
        self.challenge = self.nonce = self.refresh_token = ""
        self.says_who = True

    def visit(self, location):
        """What a browser does there; returns the query that it comes back with."""
        fields = dict(parse_qsl(urlsplit(location).query))
        assert location.startswith(f"{ISSUER}/authorize?")
        assert (fields["response_type"], fields["code_challenge_method"]) == ("code", "S256")
        self.challenge, self.nonce, self.redirect_uri = (
            fields[name] for name in ("code_challenge", "nonce", "redirect_uri")
        )
        return f"code=c-1&state={fields['state']}"

    def __call__(self, ask):
        self.asked.append(ask)
        if self.is_away:
            raise SecretError("id.example cannot be reached")
        form = dict(parse_qsl(ask.body.decode()))
        if form["grant_type"] == "refresh_token":
            return self.renew(form["refresh_token"])
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if (form["code"], form["redirect_uri"]) != ("c-1", self.redirect_uri) or encode(digest) != self.challenge:
            return Heard(400, b'{"error": "invalid_grant"}')
        return self.vouch(nonce=self.nonce)

    def renew(self, refresh_token):
        """Each is good once, and the next one comes with the answer."""
        if refresh_token != self.refresh_token:
            return Heard(400, b'{"error": "invalid_grant"}')
        self.refresh_token = f"{refresh_token}+"
        return self.vouch()

    def vouch(self, **more):
        said = claims(**({"aud": "headworks admin", "exp": NOW_S + 86_400} | more | self.said))
        signed = token(self.key, said, **self.header).decode()
        tokens = {"access_token": "a", "token_type": "Bearer"}
        tokens |= {"id_token": signed} if self.says_who else {}
        tokens |= {"refresh_token": self.refresh_token} if self.refresh_token else {}
        return Heard(200, json.dumps(tokens).encode())


def make_api(tmp_path, provider, text=TEXT_WITH_SIGN_IN):
    """An admin API whose people sign in at this provider."""
    file = tmp_path / "headworks.yaml"
    (tmp_path / "keys.json").write_bytes(key_set(KEY))

    def flow(project, seals, now):
        return SignInFlow(project.config.admin.sign_in, Secret("pass word"), seals, provider, now)

    return Api(parse(text, file=str(file), base=tmp_path), flow=flow)


def cookies_of(answer):
    """What a browser keeps of an answer: value and attributes by name."""
    found = {}
    for line in answer.headers.get("set-cookie", []):
        pair, _, attributes = line.partition("; ")
        name, _, value = pair.partition("=")
        found[name] = (value, attributes)
    return found


def cookie(name, value):
    return {b"cookie": f"other=1; {name}={value}".encode()}


def begin(api, provider):
    """The query and the cookie of a browser that comes back from the identity provider."""
    answer = api.call("GET", "/login")
    assert answer.status == 302
    return provider.visit(answer.headers["location"][0]), cookies_of(answer)[SIGNING_IN_COOKIE][0]


def come_back(api, query, signing_in):
    return api.call("GET", f"/callback?{query}", headers=cookie(SIGNING_IN_COOKIE, signing_in))


def sign_in(api, provider, **said):
    """The session's cookie."""
    provider.said = said
    answer = come_back(api, *begin(api, provider))
    assert answer.status == 200, answer.body
    return cookies_of(answer)[SESSION_COOKIE][0]


def me(api, session):
    return api.call("GET", "/me", headers=cookie(SESSION_COOKIE, session))
