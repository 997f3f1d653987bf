"""What callers see of tool calls that wait for a person: a pending response, its answer once it is decided, and the API
by which other keys decide.

A held answer is asked for under an id of ours (`GET /v1/responses/resp_…`, `GET /v1/chat/completions/chatcmpl-…`). In
the Responses API it is a response that is `queued` until it is decided, then `completed` or `failed`, so that clients
which poll background responses need nothing new. Chat Completions has no such state: there it is an error that says
what is being waited for.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Literal, TypeVar

import msgspec

from headworks.access import Grant
from headworks.answering import own_headers
from headworks.auditing import event
from headworks.calls import Endpoint, FailureKind
from headworks.compiled import CompiledWorkload
from headworks.dialects.canonical import AnswerCall, ModelAnswer
from headworks.dialects.whole import read_answer
from headworks.endpoints import Manner, Route
from headworks.errors import CommandError, Refusal
from headworks.exchange import Reply
from headworks.holding import Found, HeldAnswers, approval_object, call_of, held_id
from headworks.judging import Judgement, judge_calls
from headworks.screening import Approval
from headworks.settlement import OpenCall, Settlement

T = TypeVar("T")

_MOST_REASON = 1000
_APPROVALS = "headworks.approvals"
"""In the metadata of a pending response: what has to be decided, ids divided by blanks."""

_PATH = {Endpoint.RESPONSES: "/v1/responses/", Endpoint.CHAT: "/v1/chat/completions/"}


class _Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    decision: Literal["approve", "deny"]
    reason: str = ""


_decode_decision = msgspec.json.Decoder(_Decision).decode


class HeldCalls:
    """Holds, shows and decides on behalf of callers.

    Arguments:
        answers: where they are kept; None where no workload holds anything.
        settlement: where calls are settled.
        loop: files are used in a thread of its pool.
    """

    def __init__(self, answers: HeldAnswers | None, settlement: Settlement, loop: asyncio.AbstractEventLoop) -> None:
        self._answers = answers
        self._settle = settlement.settle
        self._tell = settlement.append
        self._loop = loop

    async def hold(
        self, call: OpenCall, work: CompiledWorkload, endpoint: Endpoint, body: bytes
    ) -> tuple[Judgement, Found | None]:
        """Keep an answer; returns what is to be said of it, and what is kept if anything has to be."""
        answer = read_answer(endpoint, body)
        output = answer.output if isinstance(answer, ModelAnswer) else ()
        judged = judge_calls(work, [item for item in output if isinstance(item, AnswerCall)])
        if judged.finding != "held":
            # A stream's end may say otherwise than its pieces did, which have been looked at before.
            is_good = judged.finding == "good"
            return Judgement("invalid", reason="the answer says two things") if is_good else judged, None
        assert self._answers is not None, "it is there if any contract holds a tool"
        calls = [(one, work.policy.expires_s(one.name)) for one in judged.held]
        keep = self._answers.hold
        found = await self._in_thread(partial(keep, call.call_id, work.name, call.caller.key_id, endpoint, body, calls))
        where = _PATH[endpoint] + held_id(endpoint, call.call_id)
        reason = f"{judged.reason}{_until(found)}; GET {where} gives the answer once it is decided"
        return msgspec.structs.replace(judged, reason=reason), found

    async def serve(self, call: OpenCall, route: Route, reply: Reply) -> None:
        """Answer who asks for a held answer.

        Raises:
            Refusal: 404 where there is none of this caller's; in Chat, 403 as long as it may not be acted on.
        """
        asked = route.path.rpartition("/")[2]
        call_id = call_of(asked)
        found = None
        if self._answers is not None:
            found = await self._in_thread(partial(self._answers.find, call_id, call.caller.key_id))
        if found is None or held_id(found.endpoint, call_id) != asked:
            raise Refusal(404, "response_not_found", f"Response with id '{asked}' not found.", param="response_id")
        state = found.state
        if state == "approved":
            body = await self._released(found, call)
        elif found.endpoint is Endpoint.CHAT:
            raise _refusal(found)
        else:
            body = shown(found)
        self._answer(call, reply, 200, body)

    async def approvals(self, call: OpenCall, route: Route, data: bytes, grant: Grant, reply: Reply) -> None:
        """List, show and decide, for keys whose scope names `approvals`.

        Raises:
            Refusal: 404 for one that is not there, 400 and 409 for a decision that cannot be made.
        """
        answers = self._answers
        if answers is None:
            raise Refusal(404, "approval_not_found", "No workload here holds calls: there is nothing to approve.")
        if route.manner is Manner.APPROVALS:
            pending = await self._in_thread(answers.pending)
            listed = {"object": "list", "data": [approval_object(*one, answers.now()) for one in pending]}
            self._answer(call, reply, 200, msgspec.json.encode(listed))
            return
        approval_id = route.path.rpartition("/")[2]
        try:
            approval = await self._in_thread(partial(answers.get, approval_id))
        except CommandError as error:
            raise Refusal(404, "approval_not_found", _sentence(error)) from None
        if route.method == "POST":
            approval = await self._decided(answers, approval_id, data, grant)
        self._answer(call, reply, 200, msgspec.json.encode(approval_object(*approval, answers.now())))

    async def _decided(self, answers: HeldAnswers, approval_id: str, data: bytes, grant: Grant) -> tuple[Approval, str]:
        try:
            decision = _decode_decision(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            message = 'The body must be {"decision": "approve"} or {"decision": "deny"}, with a `reason` if you like.'
            raise Refusal(400, "invalid_value", message, param="decision") from None
        caller = grant.caller
        by = f"{caller.owner} ({caller.key_id})" if caller.owner else caller.key_id
        decide = partial(
            answers.decide,
            approval_id,
            approve=decision.decision == "approve",
            by=by,
            reason=decision.reason[:_MOST_REASON],
            not_of=caller.key_id,
        )
        try:
            decided = await self._in_thread(decide)
        except CommandError as error:
            raise Refusal(409, "approval_not_possible", _sentence(error)) from None
        approval = decided[0]
        detail = {"workload": approval.workload, "tool": approval.tool, "call": approval.call_id}
        action = f"approval.{'approved' if decision.decision == 'approve' else 'denied'}"
        self._tell(event(action, actor=by, origin="api", target=approval.approval_id, detail=detail))
        return decided

    async def _released(self, found: Found, call: OpenCall) -> bytes:
        assert self._answers is not None, "who found it has looked"
        try:
            return await self._in_thread(partial(self._answers.release, found, call.caller.key_id))
        except CommandError as error:
            raise Refusal(403, FailureKind.HELD.value, _sentence(error), kind="permission_error") from None

    def _answer(self, call: OpenCall, reply: Reply, status: int, body: bytes) -> None:
        call.response_bytes = len(body)
        self._settle(call, "answered", status)
        reply.respond(status, own_headers(call), body)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(None, work)


def shown(found: Found) -> bytes:
    """A held response as it stands: all that the answer says of itself, but for what the model has generated."""
    fields: dict[str, object] = dict(msgspec.json.decode(found.body, type=dict[str, msgspec.Raw])) if found.body else {}
    said = fields.get("metadata")
    metadata = msgspec.json.decode(said) if isinstance(said, msgspec.Raw) else {}
    ids = " ".join(each.approval_id for each in found.approvals)
    error = None
    if found.state in ("denied", "expired"):
        error = {"code": f"action_{found.state}", "message": f"{_words(found)}."}
    fields |= {
        "id": held_id(Endpoint.RESPONSES, found.answer.call_id),
        "object": "response",
        "created_at": int(found.answer.held_at),
        "status": "queued" if error is None else "failed",
        "completed_at": None,
        "error": error,
        "incomplete_details": None,
        "metadata": {**(metadata or {}), _APPROVALS: ids[:512]},
        "output": [],
        "usage": None,
    }
    return msgspec.json.encode(fields)


def _refusal(found: Found) -> Refusal:
    code = "action_held" if found.state == "pending" else f"action_{found.state}"
    return Refusal(403, code, f"{_words(found)}.", kind="permission_error")


def _words(found: Found) -> str:
    tools = _named(found.approvals)
    match found.state:
        case "denied":
            return f"The call of {tools} was denied" + (f": {found.reason}" if found.reason else "")
        case "expired":
            return f"Nobody approved the call of {tools} in time: make the request again"
        case _:
            return f"A call of {tools} waits for approval{_until(found)}"


def _until(found: Found) -> str:
    ids = ", ".join(each.approval_id for each in found.approvals)
    moment = datetime.fromtimestamp(found.answer.expires_at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return f" ({ids}) until {moment}"


def _named(approvals: Sequence[Approval]) -> str:
    return ", ".join(dict.fromkeys(each.tool for each in approvals))


def _sentence(error: CommandError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
