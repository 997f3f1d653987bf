"""Sign-in in a browser: OpenID Connect's authorization code flow with PKCE, state and nonce.

    GET /login      to the identity provider, with what it has to say back sealed in a cookie
    GET /callback   back from there: the code is exchanged, the ID token verified, a session begun
    POST /logout    the session is over, here and for whoever has copied its cookie

Sources: OpenID Connect Core 1.0 §3.1, RFC 7636 (PKCE, S256), RFC 9207 (`iss` in the answer), RFC 9700 (best practice).
"""

import hmac
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import NoReturn
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

import msgspec

from headworks.access.discovery import Document
from headworks.access.tokens import MOST_BYTES
from headworks.admin.sessions import SIGNING_IN_COOKIE, Seals, SigningIn, cookie_in
from headworks.config import Secret
from headworks.config.sections.administration import SignIn
from headworks.errors import Refusal, SecretError
from headworks.exchange import Request
from headworks.secrets import Ask, Asker, Heard

PATIENCE_S = 600.0
"""From `/login` to `/callback`, in seconds: people look for their second factor."""

_OK = 200


class Tokens(msgspec.Struct, frozen=True):
    """What an identity provider gives for a code, or a refresh token: who somebody is, and what asks again.

    `id_token` may be empty where it was renewed, `refresh` None where there is none."""

    id_token: bytes
    refresh: Secret | None


class _Tokens(msgspec.Struct):
    id_token: str = ""
    refresh_token: str = ""


class _Trouble(msgspec.Struct):
    error: str = ""


_decode_trouble = msgspec.json.Decoder(_Trouble).decode
_decode_tokens = msgspec.json.Decoder(_Tokens).decode


class SignInFlow:
    """One identity provider's.

    Arguments:
        sign_in: the configuration.
        client_secret: None for a public client.
        seals: of cookies.
        ask: how the identity provider is asked; blocking.
        now: Unix seconds.
        find: what the identity provider has said of itself, where the configuration does not say where it is.
    """

    def __init__(
        self,
        sign_in: SignIn,
        client_secret: Secret | None,
        seals: Seals,
        ask: Asker,
        now: Callable[[], float],
        find: Callable[[], Document | None] = lambda: None,
    ) -> None:
        self.sign_in = sign_in
        self._client_secret = client_secret
        self._seals = seals
        self._ask = ask
        self._now = now
        self._find = find

    @property
    def _redirect_url(self) -> str:
        return f"{self.sign_in.url.rstrip('/')}/callback"

    def begin(self) -> tuple[str, str]:
        """Where to send the browser, and the cookie to come back with.

        Raises:
            Refusal: 503, the identity provider has not said yet where that is.
        """
        seals, sign_in = self._seals, self.sign_in
        there = sign_in.authorization_url or self._found().authorization_endpoint or _unfound()
        begun = SigningIn(seals.token(), seals.token(), seals.token(), self._now() + PATIENCE_S)
        challenge = urlsafe_b64encode(sha256(begun.verifier.encode()).digest()).rstrip(b"=").decode()
        question = urlencode(
            {
                "response_type": "code",
                "client_id": sign_in.client_id,
                "redirect_uri": self._redirect_url,
                "scope": " ".join(sign_in.scopes),
                "state": begun.state,
                "nonce": begun.nonce,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            }
        )
        mark = "&" if urlsplit(there).query else "?"
        return f"{there}{mark}{question}", seals.seal(begun)

    def answered(self, request: Request) -> tuple[SigningIn, str]:
        """What the identity provider has sent the browser back with: the sign-in that it belongs to, and the code.

        Raises:
            Refusal: 400, it belongs to none, or is none; 403, the identity provider refuses.
        """
        begun = self._seals.open(cookie_in(request.headers.get(b"cookie"), SIGNING_IN_COOKIE), SigningIn, self._now())
        said = parse_qsl(request.query, keep_blank_values=True)
        fields = dict(said)
        if len(fields) != len(said):
            raise unknown_sign_in()  # said twice: somebody else may have read the other one (RFC 6749 §3.1)
        if begun is None or not hmac.compare_digest(begun.state.encode(), fields.get("state", "").encode()):
            raise unknown_sign_in()
        if fields.get("iss", self.sign_in.issuer) != self.sign_in.issuer:
            raise unknown_sign_in()
        if "error" in fields or not fields.get("code"):
            raise Refusal(
                403,
                "sign_in_refused",
                "The identity provider has not let you in. Begin again at /login.",
                kind="permission_error",
            )
        return begun, fields["code"]

    def exchange(self, begun: SigningIn, code: str) -> Tokens:
        """What the code stands for. Blocking.

        Raises:
            Refusal: 502, the identity provider does not give it; 503, it has not said yet where to ask.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_url,
            "code_verifier": begun.verifier,
        }
        try:
            heard = self._ask_for_tokens(form)
        except SecretError as error:
            raise _no_token(str(error)) from None
        if heard.status != _OK:
            raise _no_token(f"it answers with {heard.status}")
        found = _tokens_in(heard)
        if found is None or not found.id_token:
            raise _no_token("it answers without an ID token")
        if len(found.id_token) > MOST_BYTES:
            raise _no_token(f"its ID token has more than {MOST_BYTES} bytes: ask for fewer claims")
        return found

    def renew(self, token: Secret) -> Tokens | None:
        """What a refresh token stands for now; None where the identity provider does not vouch for them any more
        (RFC 6749 §5.2 and §6). Blocking.

        Raises:
            Refusal: 503, it says nothing of it at the moment.
        """
        try:
            heard = self._ask_for_tokens({"grant_type": "refresh_token", "refresh_token": token.reveal()})
        except SecretError as error:
            raise unasked(str(error)) from None
        if heard.status == _OK:
            return _tokens_in(heard)
        try:
            trouble = _decode_trouble(heard.body).error
        except (msgspec.MsgspecError, ValueError, RecursionError):
            trouble = ""
        if trouble == "invalid_grant":
            return None
        raise unasked(f"it answers with {heard.status}")

    def _ask_for_tokens(self, form: dict[str, str]) -> Heard:
        """Raises SecretError, and Refusal where it is not known where to ask."""
        sign_in = self.sign_in
        there = sign_in.token_url or self._found().token_endpoint or _unfound()
        headers = [("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json")]
        if self._client_secret is None:
            form["client_id"] = sign_in.client_id
        else:
            # RFC 6749 §2.3.1: each half is form-encoded before the two are joined.
            pair = f"{quote_plus(sign_in.client_id)}:{quote_plus(self._client_secret.reveal())}"
            headers.append(("authorization", f"Basic {b64encode(pair.encode()).decode()}"))
        return self._ask(Ask("POST", there, tuple(headers), urlencode(form).encode()))

    def _found(self) -> Document:
        return self._find() or _unfound()


def _tokens_in(heard: Heard) -> Tokens | None:
    """The tokens of a good answer; None where there are none."""
    try:
        found = _decode_tokens(heard.body)
        return Tokens(found.id_token.encode("ascii"), Secret(found.refresh_token) if found.refresh_token else None)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def unasked(why: str) -> Refusal:
    """What is said to who has signed in while the identity provider cannot be asked after them."""
    return Refusal(
        503,
        "sign_in_unavailable",
        f"The identity provider does not say whether your roles are still yours: {why}. Try again shortly.",
        kind="server_error",
        headers=(("retry-after", "5"),),
    )


def _unfound() -> NoReturn:
    raise Refusal(
        503,
        "sign_in_unavailable",
        "Where the identity provider is to be reached is not known yet. Try again shortly; the gateway's log says if "
        "its discovery document cannot be had.",
        kind="server_error",
        headers=(("retry-after", "2"),),
    )


def bad_id_token() -> Refusal:
    """What is said where the identity provider's ID token is not good for this sign-in."""
    return _no_token("its ID token is not good for this sign-in: see issuer, client_id and the clocks")


def unknown_sign_in() -> Refusal:
    """What is said to an answer that belongs to no sign-in, or to one that was answered."""
    return Refusal(
        400,
        "sign_in_unknown",
        "This is no answer to a sign-in that began in this browser, it came twice, or too late. Begin again at /login.",
    )


def _no_token(why: str) -> Refusal:
    return Refusal(
        502,
        "sign_in_failed",
        f"The identity provider does not say who you are: {why}. Try again, or tell who runs this gateway.",
        kind="server_error",
    )
