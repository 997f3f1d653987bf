"""Who asks: from a request to a principal. A key with a role, a bearer token of an identity provider, or a session.

Whatever is wrong with any of them, who asks hears the same. What has shown who somebody is, they may not do: that is
the desk's to say.
"""

import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import msgspec

from headworks.access import KEYS_FILE, Door, KeyRecord, KeyStore, Principal, Right, Role, RoleGrant, is_well_formed
from headworks.access.hosts import Hosts
from headworks.access.issuers import Issuers, Source, key_set_file
from headworks.access.networks import Address, Networks, client_address, site_of
from headworks.access.tokens import Claims, Issuer, claim_of, name_of, subject_id
from headworks.admin.desk import organisations_of
from headworks.admin.mapping import grants_of, may_count, rules_of, texts_for
from headworks.admin.memory import Memory
from headworks.admin.renewing import Renewals
from headworks.admin.sessions import SESSION_COOKIE, Seals, Session, cookie_in
from headworks.admin.signing_in import unasked
from headworks.config import Project
from headworks.config.sections.administration import Admin, AdminTokens, SignIn
from headworks.errors import Refusal, StorageError
from headworks.exchange import Request

TRIES = 10
WINDOW_S = 60.0
LOCKOUT_S = 300.0
"""Bad credentials from one address: fewer than callers may send, and longer kept out, for here are few callers."""

_MOST_PACED = 10_000
_CHALLENGE = (("www-authenticate", 'Bearer realm="headworks admin"'),)  # RFC 9110 §11.6.1
_SAFE = frozenset({"GET", "HEAD"})


class Known(msgspec.Struct, frozen=True):
    """Who asks. `session` is what a browser has, None for others."""

    principal: Principal
    session: Session | None = None


class Pace:
    """How many requests each of many may make in a minute. State: per name a bucket, the most recent ones.

    Arguments:
        per_minute: so many, which may come all at once.
        clock: monotonic seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> None:
        """Count one.

        Raises:
            Refusal: 429, there were too many.
        """
        now_s = self._clock()
        left, seen_s = self._buckets.pop(name, (float(self._per_minute), now_s))
        left = min(float(self._per_minute), left + (now_s - seen_s) * self._per_minute / 60.0)
        if len(self._buckets) >= _MOST_PACED:
            self._buckets.popitem(last=False)
        self._buckets[name] = (left - 1.0 if left >= 1.0 else left, now_s)
        if left < 1.0:
            wait_s = (1.0 - left) * 60.0 / self._per_minute
            raise Refusal(
                429,
                "too_many_requests",
                "You ask too often; `retry-after` says when to go on.",
                kind="rate_limit_error",
                headers=(("retry-after", str(max(1, round(wait_s + 0.5)))),),
            )


class Authenticator:
    """Knows who asks, by one configuration. For one thread. State: the open file of keys.

    Arguments:
        project: the configuration.
        secret: the server secret.
        seals: of cookies.
        memory: knows sessions that were ended.
        renewals: knows what was said last of those who have signed in.
        now: Unix seconds.
        clock: monotonic seconds.
        say: writes a line to the operator's log.
    """

    def __init__(
        self,
        project: Project,
        secret: bytes,
        seals: Seals,
        memory: Memory,
        renewals: Renewals,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        say: Callable[[str], None] = lambda line: None,  # noqa: ARG005
    ) -> None:
        config = project.config
        self._storage = project.storage
        self._secret = secret
        self._keys: KeyStore | None = None
        self._seals = seals
        self._memory = memory
        self._renewals = renewals
        self._now = now
        self._organisations = organisations_of(project)
        self._rules = rules_of(config.access)
        self._hosts = _hosts_of(config.admin)
        self._networks = Networks(config.admin.networks) if config.admin.networks else None
        self._trusted = Networks(config.server.trusted_proxies)
        self._door = Door(
            config.server.trusted_proxies, tries=TRIES, window_s=WINDOW_S, lockout_s=LOCKOUT_S, clock=clock
        )
        self._pace = Pace(config.admin.requests_per_minute, clock)
        sign_in = config.admin.sign_in
        self._origin = "" if sign_in is None else _origin_of(sign_in.url)
        self._vouches = "" if sign_in is None else sign_in.issuer
        self._renew_s = 0.0 if sign_in is None else sign_in.renew_s
        self._bearer = Issuers([_source(project, one) for one in config.admin.tokens], now, clock=clock, say=say)
        self._signing_in = Issuers([] if sign_in is None else [_source(project, sign_in)], now, clock=clock, say=say)

    def close(self) -> None:
        """Let go of the file of keys; the next look-up opens it again."""
        if self._keys is not None:
            self._keys.close()
            self._keys = None

    def refresh(self) -> None:
        """Take over keys of identity providers that have changed. Call it now and then."""
        self._bearer.refresh()
        self._signing_in.refresh()

    def origin(self, request: Request) -> str:
        """The address that a request comes from, for the log; "" where it is not known."""
        return self._door.origin(request.peer, request.headers)

    def check_way(self, request: Request) -> None:
        """Have it come by a name of ours, and from where the admin API is open to.

        Raises:
            Refusal: 421, it is meant for somebody else; 403, not from there.
        """
        if self._hosts is not None:
            self._hosts.check(request.headers)
        if self._networks is not None and not self._networks.has(self._address(request)):
            raise _not_from_there()

    def count_unknown(self, request: Request) -> None:
        """Somebody asks whom nobody knows (yet). Who is known is counted by who they are: behind a proxy all come from
        one address, and who asks too often there keeps out none of the others.

        Raises:
            Refusal: 429, too often from there.
        """
        self._pace.take(f"from {site_of(self._address(request))}")

    def identify(self, request: Request) -> Known:
        """Who asks.

        Raises:
            Refusal: 401, nobody that is known; 403, not from there, or a forged request of a browser; 429, too often;
                503, an identity provider's keys are not known at the moment.
        """
        header = request.headers.get(b"authorization")
        known = self._by_header(header, request) if header is not None else self._by_session(request)
        if known is None:
            self.count_unknown(request)
            # What no program sends by itself is no attempt: a browser whose session is over, or nothing at all.
            if header is not None:
                self._door.note_bad_key(request.peer, request.headers)
            raise _unknown(is_missing=header is None)
        self._pace.take(known.principal.who)
        return known

    def note_bad(self, request: Request) -> None:
        """Something else was bad that opens the door.

        Raises:
            Refusal: 429, too much was that came from there.
        """
        self._door.note_bad_key(request.peer, request.headers)

    def signed_in(self, token: bytes, nonce: str, client_id: str) -> Claims | None:
        """What an ID token says that was got for a sign-in with this nonce; None if it is not good.

        Raises:
            Refusal: 503, the identity provider's keys are not known at the moment.
        """
        claims = self._for_us(token, client_id)
        said = None if claims is None else claims.get("nonce")
        is_answer = isinstance(said, str) and hmac.compare_digest(said.encode("utf-8", "replace"), nonce.encode())
        return claims if is_answer else None  # OpenID Connect Core 1.0 §3.1.3.7

    def session_of(self, claims: Claims, sign_in: SignIn) -> tuple[Session, Principal]:
        """The session of somebody who has signed in, and who they are. Without a role it opens nothing."""
        issuer, subject = sign_in.issuer, str(claims["sub"])
        name = _name(claims, sign_in.name_claim)
        session = Session(
            self._seals.token(),
            issuer,
            subject,
            name,
            texts_for(self._rules, issuer, claims),
            self._seals.token(),
            self._now() + sign_in.session_s,
            self._now(),
        )
        return session, self.principal_of(session)

    def due(self, request: Request) -> Session | None:
        """The session that a request comes with, if it is time to ask the identity provider after who has it, and it
        can be asked."""
        session = None if b"authorization" in request.headers else self._session_in(request)
        if session is None or not self._is_due(session) or self._renewals.token(session.session_id) is None:
            return None
        return None if self._memory.has_ended(session.session_id) else session

    def renewed(self, token: bytes, session: Session, client_id: str) -> Session | None:
        """The session, with what an ID token says now that was got for it; None if that is not good, or of another.

        Raises:
            Refusal: 503, the identity provider's keys are not known at the moment, or not the one that has signed this.
        """
        claims = self._for_us(token, client_id)
        if claims is None and self._signing_in.lacks_key(token):
            raise unasked("it has signed with a new key, which is being fetched")
        if claims is None or claims["sub"] != session.subject:
            return None  # OpenID Connect Core 1.0 §12.2
        texts = texts_for(self._rules, session.issuer, claims)
        return msgspec.structs.replace(session, claims=texts, read_s=self._now())

    def principal_of(self, session: Session) -> Principal:
        """Who has it, and what they may do."""
        grants = grants_of(self._rules, session.issuer, session.claims)
        return Principal(subject_id(session.issuer, session.subject), session.name, "session", grants)

    # -- how they show it ---------------------------------------------------------------------------------------------

    def _by_header(self, header: bytes, request: Request) -> Known | None:
        scheme, _, rest = header.strip(b" \t").partition(b" ")
        token = rest.strip(b" \t")
        if scheme.lower() != b"bearer" or not token:
            return None
        if token.startswith(b"hw-"):
            return self._by_key(token, request)
        found = self._bearer.claims(token)
        if found is None:
            return None
        issuer, claims = found
        subject = str(claims["sub"])
        grants = grants_of(self._rules, issuer.issuer, texts_for(self._rules, issuer.issuer, claims))
        return Known(Principal(subject_id(issuer.issuer, subject), _name(claims, "email"), "token", grants))

    def _by_key(self, key: bytes, request: Request) -> Known | None:
        if not is_well_formed(key.decode("latin-1")):
            return None
        record = self._record_of(key)
        if record is None or not record.is_good(self._now()):
            return None
        if record.networks and not Networks(record.networks).has(self._address(request)):
            raise _not_from_there()
        grants: tuple[RoleGrant, ...] = ()
        if record.role is not Role.CALLER:
            grant = self._organisations.grant_of_key(record.role, record.team, record.organisation)
            grants = () if grant is None else (grant,)
        found = Principal(record.key_id, record.name, "key", grants, record.expires_at, record.networks)
        return Known(found)

    def _record_of(self, key: bytes) -> KeyRecord | None:
        """The record of a key. The file stays open: whoever sends wrong keys must not have it opened for each of them,
        which costs as much as twenty look-ups. Raises StorageError."""
        store = self._keys = self._keys or KeyStore.below(self._storage, KEYS_FILE)
        try:
            store.version()  # opens it anew where another file stands in its place
            return store.of_key(key, self._secret)
        except StorageError:
            self.close()
            raise

    def _by_session(self, request: Request) -> Known | None:
        session = self._session_in(request)
        if session is None or self._is_due(session):
            return None
        if self._memory.has_ended(session.session_id):
            return None
        if request.method not in _SAFE:
            self._check_forgery(session, request.headers)
        return Known(self.principal_of(session), session)

    def _session_in(self, request: Request) -> Session | None:
        """The session of a request's cookie, with what was said of it last. It may be due, and it may have ended."""
        cookie = cookie_in(request.headers.get(b"cookie"), SESSION_COOKIE)
        session = self._seals.open(cookie, Session, self._now())
        if session is None or session.issuer != self._vouches:
            return None  # a rule that names no issuer would hold for whoever an earlier one has vouched for
        return self._renewals.newest(session)

    def _is_due(self, session: Session) -> bool:
        """Whether what was said of it is too old to go by."""
        return self._now() - session.read_s >= self._renew_s

    def _for_us(self, token: bytes, client_id: str) -> Claims | None:
        """What an ID token says that is meant for us and no other client; None if it is not good."""
        found = self._signing_in.claims(token)
        if found is None:
            return None
        claims = found[1]
        audience = claims.get("aud")
        is_shared = isinstance(audience, list) and len(audience) > 1
        is_ours = claims.get("azp") == client_id if is_shared or "azp" in claims else True
        return claims if is_ours else None

    def _check_forgery(self, session: Session, headers: Mapping[bytes, bytes]) -> None:
        """A browser sends cookies along with what other sites have it ask for; they cannot send this header."""
        origin = headers.get(b"origin")
        site = headers.get(b"sec-fetch-site")
        is_ours = (origin is None or origin.decode("latin-1") == self._origin) and site in (None, b"same-origin")
        if not is_ours or not session.is_csrf(headers.get(b"x-csrf-token", b"")):
            raise Refusal(
                403,
                "csrf_token_missing",
                "A change from a browser needs the header `x-csrf-token`, with what GET /admin/v1/me says.",
                kind="permission_error",
            )

    def _address(self, request: Request) -> Address | None:
        return client_address(request.peer, request.headers.get(b"x-forwarded-for"), self._trusted)


def demand_somewhere(principal: Principal, right: Right | None) -> None:
    """Go on only if there is anything that they may do this to.

    Raises:
        Refusal: 403.
    """
    if right is not None and not principal.may_somewhere(right):
        raise Refusal(
            403,
            "role_not_allowed",
            f"This needs the right {right.value}, which none of your roles has here; ask an admin for one that has. "
            "GET /admin/v1/me says which roles you have, GET /admin/v1/roles what each may do.",
            kind="permission_error",
        )


def _hosts_of(admin: Admin) -> Hosts | None:
    """The names by which it may be reached; None for any. With TLS the browser sees to that itself."""
    if admin.tls is not None and not admin.hosts:
        return None
    of_sign_in = "" if admin.sign_in is None else urlsplit(admin.sign_in.url).hostname or ""
    return Hosts([*admin.hosts, admin.host, *([of_sign_in] if of_sign_in else [])])


def _name(claims: Claims, claim: str) -> str:
    """What somebody is called. An address that was not verified may be anybody's: their subject stands in for it, or
    its id where that is long or hides something."""
    said, subject = claim_of(claims, claim), str(claims["sub"])
    name = name_of(said) if may_count(claims, claim) else None
    return name or name_of(subject) or subject_id(str(claims["iss"]), subject)


def _source(project: Project, one: AdminTokens | SignIn) -> Source:
    audience = (one.client_id,) if isinstance(one, SignIn) else one.audience
    issuer = Issuer(one.issuer, audience, leeway_s=one.leeway_s)
    if one.jwks_file is not None:
        return Source(issuer, project.path(one.jwks_file), is_fetched=False)
    return Source(issuer, key_set_file(project.storage, one.issuer, one.jwks_url), is_fetched=True)


def _origin_of(url: str) -> str:
    """As a browser writes it (RFC 6454 §6.2): without the scheme's own port."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else (parts.hostname or "")
    is_usual = parts.port is None or (parts.scheme, parts.port) in (("https", 443), ("http", 80))
    return f"{parts.scheme}://{host}" if is_usual else f"{parts.scheme}://{host}:{parts.port}"


def _not_from_there() -> Refusal:
    return Refusal(
        403, "address_not_allowed", "The admin API may not be used from your address.", kind="permission_error"
    )


def _unknown(*, is_missing: bool) -> Refusal:
    if is_missing:
        message = (
            "Nobody knows who you are. Send a key that has a role, or your identity provider's token, as "
            "`Authorization: Bearer ...`; a browser begins at /login."
        )
    else:
        message = "This key or token is not good here. `headworks keys create --role` makes a key that is."
    return Refusal(401, "not_authenticated", message, kind="authentication_error", headers=_CHALLENGE)
