"""The admin API as an application that a server can serve: who asks, what for, is it theirs to ask, who is told.

What is asked is done in threads, for it reads disks; who asks is found out in the event loop.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from typing import TypeVar

import msgspec

from headworks.access import Principal, without_credentials
from headworks.admin.answering import Answer, refusal_of, refused
from headworks.admin.api.openapi import document
from headworks.admin.api.operation import Levers, Operation, Visit
from headworks.admin.api.table import find_operation
from headworks.admin.asking import fields_of, repeat_name, revision_in
from headworks.admin.authenticating import Authenticator, Known, demand_somewhere
from headworks.admin.desk import Desk
from headworks.admin.exchanging import Exchanges
from headworks.admin.memory import Memory, Repeat
from headworks.admin.pages import signed_in_page, trouble_page
from headworks.admin.renewing import Renewals
from headworks.admin.sessions import (
    MOST_BYTES,
    SESSION_COOKIE,
    SIGNING_IN_COOKIE,
    Seals,
    Session,
    clear_cookie,
    set_cookie,
)
from headworks.admin.signing_in import PATIENCE_S, SignInFlow, bad_id_token, unasked
from headworks.calls import AuditEvent
from headworks.config import Project
from headworks.errors import HeadworksError, Refusal, StorageError
from headworks.exchange import Reply, Request, Running
from headworks.sightings import Sightings

Result = TypeVar("Result")

_STRICT = b"strict-transport-security: max-age=31536000\r\n"
"""Once a browser has come by TLS, it comes by nothing else for a year (RFC 6797)."""

_MOST_PATH = 200
"""Characters of a path that stand in the audit log: it is of who asks."""

_encode = msgspec.json.Encoder().encode
_decode_body = msgspec.json.Decoder(dict[str, object]).decode

Record = Callable[[str, str, str, str, Mapping[str, str | int], str], None]
"""Has the audit log know: action, actor, origin, target, detail, outcome. From any thread; raises StorageError."""


class AdminApplication:
    """Answers the requests of one configuration. An `exchange.Application`.

    Arguments:
        project: the configuration in force.
        levers: what reaches beyond the state folder.
        authenticator: knows who asks.
        flow: sign-in in a browser; None where there is none.
        seals, memory, renewals: of cookies, of what is remembered, and of who has signed in.
        record: tells the audit log.
        executor: where work is done.
        say: writes a line to the operator's log.
    """

    def __init__(
        self,
        project: Project,
        levers: Levers,
        authenticator: Authenticator,
        flow: SignInFlow | None,
        seals: Seals,
        memory: Memory,
        renewals: Renewals,
        record: Record,
        executor: ThreadPoolExecutor,
        say: Callable[[str], None],
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._project = project
        self._levers = levers
        self._authenticator = authenticator
        self._flow = flow
        self._seals = seals
        self._memory = memory
        self._renewals = renewals
        self._record = record
        self._executor = executor
        self._say = say
        self._now = now
        self._is_tls = project.config.admin.tls is not None
        self._exchanges = Exchanges(memory, self._in_thread, now)
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._sightings = Sightings(self._append, lambda: True, time.monotonic)

    # -- an exchange.Application --------------------------------------------------------------------------------------

    def admit(self, request: Request) -> None:
        """Every head is welcome so far: who asks is looked at when all is there, once. One that has come over the same
        connection before brings along no address, but what was noted of it then."""
        if isinstance(request.admission, _Origin):
            request.peer = request.peer or request.admission.peer
        else:
            request.admission = _Origin(request.peer)

    def refuse(self, refusal: Refusal, request: Request | None, reply: Reply) -> None:  # noqa: ARG002
        """Answer what the server refused."""
        self._send(reply, refused(refusal))

    def handle(self, request: Request, reply: Reply) -> Running | None:
        """Answer a request, when what it asks for is done."""
        return _Working(asyncio.get_running_loop().create_task(self._answer(request, reply)))

    async def _answer(self, request: Request, reply: Reply) -> None:
        try:
            answer = await self._find_answer(request)
        except HeadworksError as error:
            refusal = refusal_of(error)
            if refusal.status >= 500 and refusal is not error:
                self._say(f"{request.method} {_shown_path(request)}: {error}")
            is_page = request.path in ("/login", "/callback") and b"text/html" in request.headers.get(b"accept", b"")
            answer = (
                _page(refusal.status, trouble_page(refusal.message), refusal.headers) if is_page else refused(refusal)
            )
        except Exception as error:  # noqa: BLE001 - the server goes on; who asked is told, and so is the operator
            self._say(f"{request.method} {_shown_path(request)}: {type(error).__name__}")
            answer = refused(refusal_of(HeadworksError()))
        self._send(reply, answer)

    async def _find_answer(self, request: Request) -> Answer:
        try:
            self._authenticator.check_way(request)
            if request.path in ("/login", "/callback"):
                self._authenticator.count_unknown(request)
        except Refusal as refusal:
            self._tell_unknown(request, refusal)
            raise
        match request.method, request.path:
            case "GET", "/login":
                return self._login()
            case "GET", "/callback":
                return await self._callback(request)
            case _, "/login" | "/callback":
                raise Refusal(405, "method_not_allowed", f"{request.path} takes GET.", headers=(("allow", "GET"),))
            case _:
                pass
        known = await self._identify(request)
        match request.method, request.path:
            case "POST", "/logout":
                return await self._logout(known, request)
            case "GET", "/admin/v1/openapi.json":
                return Answer(200, document())
            case _:
                return await self._operate(known, request)

    async def _identify(self, request: Request) -> Known:
        try:
            due = self._authenticator.due(request)
            if due is not None:
                await self._renew(due, request)
            return self._authenticator.identify(request)
        except Refusal as refusal:
            self._tell_unknown(request, refusal)
            raise

    def _send(self, reply: Reply, answer: Answer) -> None:
        headers = answer.header_block()
        reply.respond(answer.status, headers + _STRICT if self._is_tls else headers, answer.body)

    # -- operations ---------------------------------------------------------------------------------------------------

    async def _operate(self, known: Known, request: Request) -> Answer:
        origin, path = self._authenticator.origin(request), _shown_path(request)
        action = "admin.unknown"
        try:
            operation, of_path = find_operation(request.method, request.path)
            action = f"admin.{operation.name}"
            demand_somewhere(known.principal, operation.right)
            fields = fields_of(operation, of_path, request)
            revision = revision_in(request.headers.get(b"if-match"))
            name = repeat_name(operation, request.headers.get(b"idempotency-key"))
        except Refusal as refusal:
            outcome = "refused" if refusal.status == 403 else "failed"
            told = partial(self._tell, known.principal, origin, action, path, {"code": refusal.code}, outcome)
            await self._in_thread(partial(told, is_done=True))
            raise
        work = _Work(operation, known.principal, origin, path, fields, revision, known.session)
        if not name:
            return await self._in_thread(lambda: self._do(work))
        digest = sha256(b"\0".join((request.method.encode(), request.path.encode(), request.body))).digest()
        return await self._in_thread(lambda: self._do_once(work, name, digest))

    def _do_once(self, work: "_Work", name: str, digest: bytes) -> Answer:
        who = work.principal.who
        known = self._memory.begin(who, name, digest, self._now())
        if known is not None:
            refusal = _no_repeat(known)
            detail: dict[str, str | int] = {"is_repeat": 1} if refusal is None else {"code": refusal.code}
            outcome = "done" if refusal is None else "failed"
            action = f"admin.{work.operation.name}"
            self._tell(work.principal, work.origin, action, work.path, detail, outcome, is_done=refusal is not None)
            if refusal is not None:
                raise refusal
            return Answer(known.status, known.answer, headers=(("idempotent-replayed", "true"),))
        try:
            answer = self._do(work)
        except HeadworksError:
            self._memory.forget(who, name)
            raise
        try:
            self._memory.finish(who, name, answer.status, _without_key(answer.body))
        except StorageError as error:
            self._say(f"a repeat of {work.operation.name} will not be known as one: {error}")  # what was made is shown
        return answer

    def _do(self, work: "_Work") -> Answer:
        """Do it, in a thread, and have the audit log know who has asked for what, however it ends."""
        operation, principal = work.operation, work.principal

        def tell(action: str, target: str, detail: Mapping[str, str | int], outcome: str) -> None:
            self._tell(principal, work.origin, action, target, detail, outcome, is_done=operation.method != "GET")

        desk = Desk(self._project, principal, tell, report=self._say, now=self._now)
        try:
            found = operation.run(Visit(desk, self._levers, work.revision, work.session), work.fields)
        except HeadworksError as error:
            refusal = refusal_of(error)
            outcome = "refused" if refusal.status in (401, 403) else "failed"
            desk.tell(f"admin.{operation.name}", work.path, {"code": refusal.code}, outcome=outcome)
            raise
        if not desk.has_told:
            # Whoever has looked is entered before they see anything.
            desk.tell(f"admin.{operation.name}", work.path)
        revision = getattr(found, "revision", None)
        headers = () if revision is None else (("etag", f'"{revision}"'),)
        return Answer(operation.status, _encode(found), headers=headers)

    def _tell(
        self,
        principal: Principal,
        origin: str,
        action: str,
        target: str,
        detail: Mapping[str, str | int],
        outcome: str,
        *,
        is_done: bool,
    ) -> None:
        """`is_done`: it cannot be taken back, so whoever asked learns of it even where the log does not."""
        known = {name: without_credentials(one) if isinstance(one, str) else one for name, one in detail.items()}
        known["by"] = principal.way
        if principal.name:  # who administrates stands there by name, as who gives commands does
            known["by_name"] = principal.name
        try:
            self._record(action, principal.who, origin, target, known, outcome)
        except StorageError as error:
            if not is_done:
                raise
            self._say(f"the audit log does not know of {action} of {target or 'all'} by {principal.who}: {error}")

    def _tell_unknown(self, request: Request, refusal: Refusal) -> None:
        """Somebody whom nobody knows, or who forges: told once an hour for each address, so that none fills the log."""
        self._sightings.refused(refusal.code, self._authenticator.origin(request), _shown_path(request))

    def _append(self, seen: AuditEvent) -> None:
        """Soon, in a thread: nobody waits for it."""

        def write() -> None:
            detail = {"code": msgspec.json.decode(seen.detail, type=dict[str, str])["code"]}
            try:
                self._record(seen.action, "", seen.origin, seen.target, detail, "refused")
            except StorageError as error:
                self._say(f"the audit log does not know of a refused request: {error}")

        self._executor.submit(write)

    # -- signing in ---------------------------------------------------------------------------------------------------

    def _login(self) -> Answer:
        url, cookie = self._wanted_flow().begin()
        keep = set_cookie(SIGNING_IN_COOKIE, cookie, max_age_s=int(PATIENCE_S), same_site="Lax")
        return Answer(302, b"", headers=(("location", url), keep))

    async def _callback(self, request: Request) -> Answer:
        flow, authenticator = self._wanted_flow(), self._authenticator
        try:
            begun, code = flow.answered(request)
        except Refusal as refusal:
            self._tell_unknown(request, refusal)
            authenticator.note_bad(request)
            raise
        tokens = await self._exchanges.tokens(flow, begun, code)
        claims = authenticator.signed_in(tokens.id_token, begun.nonce, flow.sign_in.client_id)
        if claims is None:
            self._tell_unknown(request, bad_id_token())
            raise bad_id_token()
        session, principal = authenticator.session_of(claims, flow.sign_in)
        origin = authenticator.origin(request)
        forget = clear_cookie(SIGNING_IN_COOKIE, same_site="Lax")
        outcome = "done" if principal.grants else "refused"
        await self._in_thread(
            lambda: self._tell(principal, origin, "admin.signed_in", session.issuer, {}, outcome, is_done=False)
        )
        if not principal.grants:
            raise Refusal(
                403,
                "no_role",
                "You are known, and have no role here: ask an admin to name you in `access.users`, or one of your "
                "groups in `access.roles`.",
                kind="permission_error",
                headers=(forget,),
            )
        sealed = self._seals.seal(session)
        if len(sealed) > MOST_BYTES:
            raise Refusal(
                403,
                "too_many_roles",
                "So many of `access.roles` hold for you that they fit in no cookie: ask an admin for fewer groups.",
                kind="permission_error",
                headers=(forget,),
            )
        self._renewals.keep(session, tokens.refresh)
        keep = set_cookie(SESSION_COOKIE, sealed, max_age_s=int(flow.sign_in.session_s), same_site="Strict")
        return _page(200, signed_in_page(session.name), (keep, forget))

    async def _renew(self, session: Session, request: Request) -> None:
        """Ask after who has a session, once for all requests that come with it meanwhile."""
        task = self._asking.get(session.session_id)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._ask_after(session, request))
            self._asking[session.session_id] = task
            task.add_done_callback(lambda _: self._asking.pop(session.session_id))
        await asyncio.shield(task)

    async def _ask_after(self, session: Session, request: Request) -> None:
        """Have what the identity provider says now, or the session at its end.

        Raises:
            Refusal: 503, it says nothing.
        """
        flow, renewals = self._wanted_flow(), self._renewals
        token = renewals.token(session.session_id)
        if token is None:
            return
        if renewals.is_away(session.session_id):
            raise unasked("it has not answered a moment ago")
        tokens = renewed = None
        try:
            tokens = await self._exchanges.renewed(flow, token)
            if tokens is not None:
                renewed = self._authenticator.renewed(tokens.id_token, session, flow.sign_in.client_id)
        except Refusal:
            if tokens is not None:
                renewals.keep(session, tokens.refresh or token)  # what asked is spent, perhaps
            renewals.keep_away(session)
            raise
        if tokens is not None and renewed is not None:
            renewals.keep(renewed, tokens.refresh or token)
            return
        why = {"why": "the identity provider does not vouch for them any more"}
        await self._end(session, self._authenticator.principal_of(session), self._authenticator.origin(request), why)

    async def _end(self, session: Session, principal: Principal, origin: str, detail: Mapping[str, str | int]) -> None:
        """The session is over, for its copies too."""
        now_s = self._now()
        self._renewals.forget(session.session_id)

        def end() -> None:
            self._memory.end_session(session.session_id, session.ends_s, now_s)
            self._tell(principal, origin, "admin.signed_out", session.issuer, detail, "done", is_done=True)

        await self._in_thread(end)

    async def _logout(self, known: Known, request: Request) -> Answer:
        session = known.session
        if session is None:
            raise Refusal(409, "no_session", "Only a browser's session can be ended; a key is revoked instead.")
        await self._end(session, known.principal, self._authenticator.origin(request), {})
        return Answer(204, b"", headers=(clear_cookie(SESSION_COOKIE, same_site="Strict"),))

    def _wanted_flow(self) -> SignInFlow:
        if self._flow is None:
            raise Refusal(
                404,
                "no_sign_in",
                "There is no sign-in here: `admin.sign_in` in headworks.yaml sets it up. Keys with a role are taken.",
                kind="not_found_error",
            )
        return self._flow

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


class _Origin(msgspec.Struct, frozen=True):
    """The address at the other end of a connection."""

    peer: str


class _Work(msgspec.Struct, frozen=True):
    """What is to be done, and for whom."""

    operation: Operation
    principal: Principal
    origin: str
    path: str
    fields: Mapping[str, object]
    revision: int | None
    session: Session | None


class _Working:
    """A request that is being answered. What it asks for goes on when its client goes away: it may be half done."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    def cancel(self) -> object:
        """See `Running`: nobody hears the answer."""
        return None

    def stop(self) -> object:
        """See `Running`: it ends by itself, shortly."""
        return None


def _no_repeat(known: Repeat) -> Refusal | None:
    """Why a request is not answered as it was before; None if it is."""
    if not known.is_same:
        return Refusal(
            422, "idempotency_key_reused", "This Idempotency-Key was used for another request: take a new one."
        )
    if not known.status:
        return Refusal(
            409,
            "still_running",
            "A request with this Idempotency-Key has begun, and nothing is known of its end: look what there "
            "is before you take a new one.",
        )
    return None


def _page(status: int, body: bytes, headers: tuple[tuple[str, str], ...]) -> Answer:
    return Answer(status, body, "text/html; charset=utf-8", headers)


def _shown_path(request: Request) -> str:
    """The path for logs. Some put a key itself where its id belongs, and logs are no place for keys."""
    return without_credentials(request.path)[:_MOST_PATH]


def _without_key(body: bytes) -> bytes:
    """An answer as it may be kept: the key in it is shown once."""
    fields = _decode_body(body)
    return _encode(fields | {"key": None})
