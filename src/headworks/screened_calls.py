"""Step 5 for calls that belong to no workload: what they send up is screened, and what comes back restored.

The rules are those of `screening` in `headworks.yaml`, by team and model, compiled at load. A call is screened before
it is planned: whatever becomes of it then (another target, another dialect, a further attempt), no step behind this one
has seen a value. Its answer is treated in the caller's own dialect, behind every translation.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import msgspec

from headworks.admission import Admission
from headworks.calls import AttemptFailed, Endpoint, Failure, UnreadableAnswer
from headworks.config.privacy import PlainScreening
from headworks.conversation_values import ConversationValues, goes_on_from, note_screened, report_unread
from headworks.delta_places import PLACES
from headworks.dialects import (
    ANSWER_READERS,
    AnswerSummary,
    ChatTail,
    Form,
    GeminiTail,
    MessagesTail,
    RequestHead,
    ResponsesTail,
    read_form,
)
from headworks.dialects.bridging import BridgeStream
from headworks.dialects.structured import wants_json
from headworks.errors import Refusal
from headworks.exchange import Request
from headworks.name_reading import NameReading
from headworks.plans import Plan
from headworks.screened_stream import TreatedStream, blocked
from headworks.screening.privacy import (
    AnswerBody,
    AnswerScreen,
    PersonalDataBlocked,
    PrivacyPolicy,
    Redactor,
    Restorer,
    ScreeningFailed,
    TokenBook,
)
from headworks.screening.steps import Steps
from headworks.settlement import OpenCall
from headworks.slicing import Slices
from headworks.telemetry import report

_TAILS: dict[Endpoint, Callable[[], BridgeStream]] = {
    Endpoint.RESPONSES: ResponsesTail,
    Endpoint.MESSAGES: MessagesTail,
    Endpoint.GENERATE_CONTENT: GeminiTail,
}

_FORM_STRUCTURE = frozenset({"model", "response_format", "size", "stream", "quality", "language", "temperature", "n"})


class ScreenedRequest(msgspec.Struct, frozen=True):
    """A call that may go up: its body, and the caller's headers that go with it."""

    body: bytes
    forwarded: bytes


class ScreenedCall:
    """One call's screening. State: its book of tokens, and what was found.

    Arguments:
        policy: what becomes of what.
        book: of the call's conversation.
        keeps_bodies: records hold bodies: then the answer is kept as it came, with its tokens.
        vault: keeps the book; None where nobody can go on from the answer.
        conversation: what the call goes on from; "" if from nothing.
        names: those that were found in it; by default nobody has looked for any.
    """

    def __init__(
        self,
        policy: PrivacyPolicy,
        book: TokenBook,
        call: OpenCall,
        vault: ConversationValues | None = None,
        conversation: str = "",
        *,
        keeps_bodies: bool = False,
        names: NameReading | None = None,
    ) -> None:
        self.policy = policy
        self._names = names or NameReading(policy, call)
        self.raw: list[bytes] | None = [] if keeps_bodies else None
        self._book = book
        self.call = call
        self._vault = vault
        self._conversation = conversation
        self._redactor = Redactor(policy)
        self._up: dict[str, int] = {}
        self._unread = 0
        self._failed = False
        self._is_told = False
        self._kept_id = ""
        self.restorer = Restorer(book, policy.form)
        self.screen = AnswerScreen(policy, book)
        self.body = AnswerBody(policy, self.restorer, self.screen)
        self.echo = AnswerBody(policy, self.restorer, AnswerScreen(policy, book))
        """For what was said before, and would be counted twice."""

    async def redact(self, body: bytes, forwarded: bytes, slices: Slices) -> ScreenedRequest:
        """A JSON body and a header block as they may go up.

        Arguments:
            slices: in which long ones are screened.

        Raises:
            Refusal: they hold what is blocked, or could not be screened.
        """
        redacted = await self._guarded(lambda: self._body(body), body, slices)
        return ScreenedRequest(redacted, self._headers(forwarded))

    async def redact_form(self, content_type: str, body: bytes, forwarded: bytes, slices: Slices) -> ScreenedRequest:
        """The same for a form: its fields; files are not read."""
        form = read_form(content_type, body)
        redacted = await self._guarded(lambda: self._form(form), body, slices)
        return ScreenedRequest(redacted, self._headers(forwarded))

    def kept(self) -> bytes:
        """The answer as records may hold it."""
        return b"".join(self.raw or ())

    def keep(self, response_id: str) -> None:
        """The caller is about to learn the id of a response that it may go on from; each attempt has its own."""
        if self._vault is not None and response_id not in ("", self._kept_id) and self._book.has_entries:
            life_s = self.policy.settings.token_life_s
            self._vault.save(self.call, self._conversation, self._book, life_s=life_s, response_id=response_id)
            self._kept_id = response_id
            self._conversation = self._conversation or response_id

    def note(self) -> None:
        """Put what was found into the call's record: kinds and counts, never a value."""
        note_screened(
            self.call,
            up=self._up,
            own=self.screen.counts,
            unread=self._unread,
            unknown=len(self.restorer.unknown),
            has_failed=self._failed,
            has_unread_names=self._names.is_open,
            has_unread_answer=self.screen.has_failed,
        )
        if self.screen.has_failed and not self._is_told:
            self._is_told = True
            report_unread(self.call)

    async def _guarded(self, screen: Callable[[], Steps[bytes]], body: bytes, slices: Slices) -> bytes:
        try:
            return await slices.of(screen())
        except ScreeningFailed:
            if self.policy.fails_closed:
                raise
            self._failed = True
            report(f"{self.call.call_id}: screening failed, and went up unscreened: `on_failure: open`")
            return body
        finally:
            self.note()

    def _body(self, body: bytes) -> Steps[bytes]:
        redacted = yield from self._redactor.steps(body, self._book, self._names.entities)
        self._count(redacted.counts)
        self._unread += redacted.opaque
        return redacted.body

    def _count(self, counts: Mapping[str, int]) -> None:
        for kind, count in counts.items():
            self._up[kind] = self._up.get(kind, 0) + count

    def _form(self, form: Form) -> Steps[bytes]:
        if self.policy.settings.opaque == "block":
            raise PersonalDataBlocked(["file"])
        self._unread += 1
        body = form.body
        for name, field in sorted(form.fields.items(), key=lambda item: -item[1].start):
            if name in _FORM_STRUCTURE:
                continue
            becomes, counts = yield from self._redactor.text_steps(field.value, self._book, self._names.entities)
            self._count(counts)
            if becomes != field.value:
                body = body[: field.start] + becomes.encode() + body[field.end :]
        return body

    def _headers(self, block: bytes) -> bytes:
        """The header block with its values screened: what names a call may be an address."""
        lines = []
        for line in block.split(b"\r\n"):
            name, colon, value = line.partition(b": ")
            if colon:
                becomes, counts = self._redactor.redact_text(value.decode("latin-1"), self._book, self._names.known)
                self._count(counts)
                lines.append(name + colon + becomes.encode("latin-1", "replace"))
            else:
                lines.append(line)
        return b"\r\n".join(lines)


class TreatedBridge:
    """Implements `dialects.Bridge` on top of another, or of none.

    Arguments:
        plan: whose answer it treats.
        is_json: whether the answer's text is a JSON document.
    """

    def __init__(self, screened: ScreenedCall, plan: Plan, *, is_json: bool = False) -> None:
        self._screened = screened
        self._path = plan.path
        self._endpoint = plan.endpoint
        self._inner = plan.bridge
        self._hides_usage = plan.hides_usage
        self._is_json = is_json

    def request(self, body: bytes, model: str, *, limit_name: str = "max_tokens", stands_for: str = "") -> bytes:
        """What the bridge beneath makes of it; see `dialects.Bridge`."""
        if self._inner is None:
            return body
        return self._inner.request(body, model, limit_name=limit_name, stands_for=stands_for)

    def answer(self, body: bytes) -> tuple[bytes, AnswerSummary]:
        """The body to answer with; see `dialects.Bridge`.

        Raises:
            AttemptFailed: as beneath; and it holds what is not allowed, or could not be screened.
        """
        if self._inner is not None:
            body, summary = self._inner.answer(body)
        else:
            read = ANSWER_READERS.get(self._path)
            found = AnswerSummary(self._screened.call.response_id) if read is None else read(body)
            if isinstance(found, Failure):
                raise AttemptFailed(found)
            summary = found
        self._keep_raw(body)
        try:
            body = self._screened.body.treated(body)
        except Refusal as refusal:
            raise AttemptFailed(blocked(refusal).failure, summary.usage) from None
        finally:
            self._screened.note()
        self._screened.keep(summary.response_id)
        return body, summary

    def error(self, body: bytes, status: int) -> bytes:
        """The error in the caller's words; see `dialects.Bridge`. It may quote the request."""
        if self._inner is not None:
            body = self._inner.error(body, status)
        self._keep_raw(body)
        try:
            return self._screened.echo.treated(body)
        except Refusal:
            return body  # with its tokens: nothing of it is anybody's

    def _keep_raw(self, body: bytes) -> None:
        raw = self._screened.raw
        if raw is not None:
            raw[:] = [body]

    def stream(self) -> "KeepingStream":
        """Fresh steps for a stream; see `dialects.Bridge`."""
        below: BridgeStream
        if self._inner is not None:
            below = self._inner.stream()
        elif self._endpoint is Endpoint.CHAT:
            below = ChatTail(hides_usage=self._hides_usage)
        else:
            below = _TAILS[self._endpoint]()
        one = self._screened
        told = TreatedStream(
            below, self._endpoint, one.policy, one.restorer, one.screen, one.echo, is_json=self._is_json
        )
        if one.raw is not None:
            one.raw.clear()  # of an attempt before
            told.keep_raw(one.raw)
        return KeepingStream(told, one)


class KeepingStream:
    """Implements `dialects.BridgeStream`: keeps the values before the first event that names the response goes out, and
    notes what was found at the end."""

    def __init__(self, told: TreatedStream, screened: ScreenedCall) -> None:
        self._told = told
        self._screened = screened

    @property
    def is_complete(self) -> bool:
        """See `BridgeStream`."""
        return self._told.is_complete

    @property
    def has_content(self) -> bool:
        """See `BridgeStream`."""
        return self._told.has_content

    def feed(self, data: bytes) -> bytes:
        """See `TreatedStream`."""
        try:
            out = self._told.feed(data)
        except UnreadableAnswer:
            raise
        except AttemptFailed:
            self._screened.note()
            raise
        if out and not self._told.is_complete:
            self._screened.keep(_response_id(out))
        elif self._told.is_complete:
            self._screened.keep(self._told.summary().response_id)
            self._screened.note()
        return out

    def broken(self, code: str, message: str) -> bytes:
        """See `TreatedStream`."""
        self._screened.note()
        return self._told.broken(code, message)

    def summary(self) -> AnswerSummary:
        """See `BridgeStream`."""
        return self._told.summary()


def _response_id(data: bytes) -> str:
    """The response that the first event of a stream names; it is compact JSON, or JSON with spaces."""
    at = data.find(b'"resp_')
    end = data.find(b'"', at + 1)
    return data[at + 1 : end].decode("ascii", "replace") if at >= 0 < end else ""


class PlainCalls:
    """The screening of a gateway's calls that belong to no workload.

    Arguments:
        settings: of `headworks.yaml`.
        values: those of conversations that providers remember.
        file: the configuration's name, for errors.
        keeps_bodies: records hold bodies, as they went up and came down.

    Raises:
        ConfigError: a policy cannot be used.
    """

    def __init__(
        self,
        settings: PlainScreening,
        values: ConversationValues,
        *,
        file: str = "headworks.yaml",
        keeps_bodies: bool = False,
    ) -> None:
        self._keeps_bodies = keeps_bodies
        self._values = values
        self._unscreened = frozenset(settings.unscreened)
        self._slices = Slices()
        self._policy = None if settings.privacy is None else PrivacyPolicy.compile(settings.privacy, file=file)
        self._teams = {team: PrivacyPolicy.compile(privacy, file=file) for team, privacy in settings.teams.items()}

    def policy_for(self, team: str, model: str) -> PrivacyPolicy | None:
        """By which a call is screened; None if it is not."""
        if model in self._unscreened:
            return None
        return self._teams.get(team, self._policy)

    async def _read_names(
        self, policy: PrivacyPolicy, call: OpenCall, request: Request, admission: Admission
    ) -> NameReading:
        """The names in a request.

        Raises:
            Refusal: they cannot be looked for, and the policy does not let the call through; or it cannot be read.
        """
        names = NameReading(policy, call)
        await names.read(partial(_texts, policy, request, admission))
        return names

    async def begin(
        self,
        policy: PrivacyPolicy,
        call: OpenCall,
        head: RequestHead | None,
        endpoint: Endpoint,
        names: NameReading | None = None,
    ) -> ScreenedCall:
        """The screening of one call.

        Raises:
            ScreeningFailed: the values of the conversation that it goes on from cannot be read.
        """
        if endpoint is not Endpoint.RESPONSES or head is None or head.store is False:
            book = self._values.passing_book(call)
            return ScreenedCall(policy, book, call, keeps_bodies=self._keeps_bodies, names=names)
        conversation = goes_on_from(head.fields)
        book = await self._values.book(call, conversation)
        keeps = self._keeps_bodies
        return ScreenedCall(policy, book, call, self._values, conversation, keeps_bodies=keeps, names=names)

    async def screen(
        self,
        policy: PrivacyPolicy,
        call: OpenCall,
        request: Request,
        head: RequestHead | None,
        admission: Admission,
    ) -> tuple[Request, Admission, Callable[[Plan], Plan]]:
        """What of a request may go on, and what has its plan's answer treated.

        Raises:
            Refusal: it holds what is blocked, or could not be screened.
        """
        content_type = request.headers.get(b"content-type", b"")
        if not admission.is_json and not content_type.startswith(b"multipart/form-data"):
            return request, admission, lambda plan: plan  # what it is cannot be sent, and planning says so
        names = await self._read_names(policy, call, request, admission)
        screened = await self.begin(policy, call, head, admission.route.endpoint, names)
        if admission.is_json:
            found = await screened.redact(request.body, admission.forwarded, self._slices)
        else:
            name = content_type.decode("latin-1")
            found = await screened.redact_form(name, request.body, admission.forwarded, self._slices)
        admission = msgspec.structs.replace(admission, forwarded=found.forwarded)
        again = request.again(found.body)
        again.admission = admission
        return again, admission, partial(treated, screened=screened)

    async def screen_object(self, call: OpenCall, request: Request, admission: Admission) -> tuple[Request, Admission]:
        """The same for what is stored at a provider: its JSON is screened; what is uploaded is a file, and unread.

        Raises:
            Refusal: it holds what is blocked (a file, too), or could not be screened.
        """
        policy = self.policy_for(call.caller.team, "")
        if policy is None:
            return request, admission
        if not request.body or not admission.is_json:
            if request.incoming is not None and policy.settings.opaque == "block":
                raise PersonalDataBlocked(["file"])
            return request, admission
        request, admission, _ = await self.screen(policy, call, request, None, admission)
        return request, admission

    async def restoring(self, call: OpenCall, response_id: str, plan: Plan) -> Plan:
        """The plan of a call for a stored response, whose tokens are turned back.

        Raises:
            ScreeningFailed: the values of its conversation cannot be read.
        """
        screened = await self.begin_stored(call, response_id)
        if screened is None or plan.is_raw:
            return plan
        kept = None if screened.raw is None else screened.kept
        return msgspec.structs.replace(plan, bridge=TreatedBridge(screened, plan), kept=kept)

    async def begin_stored(self, call: OpenCall, response_id: str) -> ScreenedCall | None:
        """For what is asked of a stored response: its tokens lead back, if its values are kept."""
        policy = self.policy_for(call.caller.team, "")
        if policy is None:
            return None
        book = await self._values.book(call, response_id)
        return ScreenedCall(policy, book, call, keeps_bodies=self._keeps_bodies) if book.has_entries else None


def _texts(policy: PrivacyPolicy, request: Request, admission: Admission) -> Iterable[str]:
    """What a model looks for names in. What is neither JSON nor a form is refused behind this."""
    if admission.is_json:
        return Redactor(policy).texts(request.body)
    content_type = request.headers.get(b"content-type", b"")
    if not content_type.startswith(b"multipart/form-data"):
        return ()
    return [field.value for field in read_form(content_type.decode("latin-1"), request.body).fields.values()]


_TREATED = frozenset(PLACES) | {Endpoint.IMAGES}
"""Whose answers hold words of a model."""


def treated(plan: Plan, screened: ScreenedCall) -> Plan:
    """The plan whose answer is treated, where a model's words are in it; so are those of further attempts."""
    if plan.is_raw or plan.endpoint not in (PLACES if plan.is_streamed else _TREATED):
        return plan
    if isinstance(plan.bridge, TreatedBridge):
        return plan
    fields = None if plan.head is None else plan.head.fields
    is_json = fields is not None and plan.endpoint in _OPENAI and wants_json(plan.endpoint, fields)
    return msgspec.structs.replace(
        plan,
        bridge=TreatedBridge(screened, plan, is_json=is_json),
        hides_usage=False,
        treat=partial(treated, screened=screened),
        kept=None if screened.raw is None else screened.kept,
    )


_OPENAI = (Endpoint.RESPONSES, Endpoint.CHAT)
