"""Answers whose tool calls wait for a person: kept sealed, decided by people, let go once and unchanged.

What a model has answered is written down before its caller hears of it, and what is let go in the end is that very
answer, its calls compared with what was approved. For any thread.
"""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from headworks.calls import Endpoint
from headworks.dialects.canonical import AnswerCall, ModelAnswer
from headworks.dialects.whole import read_answer
from headworks.errors import CommandError, StorageError, UnknownName
from headworks.records.content import ContentVault
from headworks.screening import Approval, ApprovalStep, ApprovalStore, HeldAnswer, HeldCall, HeldState, held_state

_ID_OF = {Endpoint.RESPONSES: "resp_", Endpoint.CHAT: "chatcmpl-"}


def held_id(endpoint: Endpoint, call_id: str) -> str:
    """The id under which a held answer is asked for: there is none of the provider's to be seen yet."""
    return _ID_OF[endpoint] + call_id


def call_of(held: str) -> str:
    """The call that a held answer's id names."""
    return held.removeprefix("resp_").removeprefix("chatcmpl-")


def bound_arguments(call: AnswerCall) -> str:
    """What an approval binds to, as JSON: a custom tool's input is text."""
    return call.text if call.kind == "function" else msgspec.json.encode(call.text).decode()


class Found(msgspec.Struct, frozen=True):
    """A held answer as it stands now. `body` is what the model answered; empty once it has been removed."""

    answer: HeldAnswer
    approvals: tuple[Approval, ...]
    state: HeldState
    body: bytes

    @property
    def endpoint(self) -> Endpoint:
        """The dialect that the body is in."""
        return Endpoint(self.answer.endpoint)

    @property
    def reason(self) -> str:
        """Why it was denied, in the words of who did; empty if nothing was said."""
        return next((each.reason for each in self.approvals if each.state == "denied"), "")


class HeldAnswers:
    """The held answers of an installation.

    Arguments:
        path: the file of the approvals.
        vault: seals what people wrote.
        now: Unix seconds.

    Raises (in every method):
        StorageError: the file cannot be used, or what is in it was sealed with another secret.
    """

    def __init__(self, path: Path, vault: ContentVault, *, now: Callable[[], float] = time.time) -> None:
        self._path = path
        self._vault = vault
        self.now = now
        self._lock = threading.Lock()

    def hold(
        self,
        call_id: str,
        workload: str,
        key_id: str,
        endpoint: Endpoint,
        body: bytes,
        calls: Sequence[tuple[AnswerCall, float]],
    ) -> Found:
        """Keep an answer.

        Arguments:
            body: the answer, whole, in the dialect of `endpoint`.
            calls: those that wait, each with the seconds until it expires.

        Raises:
            CommandError: a call's arguments are not JSON that means one thing.
        """
        now = self.now()
        held = []
        for call, expires_s in calls:
            arguments = bound_arguments(call)
            held.append(HeldCall(call.name, arguments, self._seal(call_id, workload, arguments), now + expires_s))
        ends_at = min(call.expires_at for call in held)
        sealed = self._seal(call_id, workload, body)
        answer = HeldAnswer(call_id, workload, key_id, endpoint.value, now, ends_at, sealed)
        with self._lock, ApprovalStore(self._path) as store:
            store.hold(answer, held)
            found = store.held(call_id, key_id)
        assert found is not None, "it was written just now"
        return Found(found[0], tuple(found[1]), "pending", body)

    def find(self, call_id: str, key_id: str) -> Found | None:
        """What a key has held; None where there is nothing."""
        if not self._path.exists():
            return None
        with self._lock, ApprovalStore(self._path) as store:
            found = store.held(call_id, key_id)
        if found is None:
            return None
        answer, approvals = found
        state = held_state(approvals, self.now())
        return Found(answer, tuple(approvals), state, self._open(call_id, answer.workload, answer.sealed))

    def release(self, found: Found, key_id: str) -> bytes:
        """Use the approvals up; returns the answer, which may now be acted on.

        Raises:
            CommandError: one of its calls is not approved as it stands.
        """
        answer = read_answer(found.endpoint, found.body)
        if not isinstance(answer, ModelAnswer):
            raise StorageError(f"the answer that was held of {found.answer.call_id} is none")
        tools = {each.tool for each in found.approvals}
        calls = [
            (item.name, bound_arguments(item))
            for item in answer.output
            if isinstance(item, AnswerCall) and item.name in tools
        ]
        with self._lock, ApprovalStore(self._path) as store:
            store.release(found.answer.call_id, calls, key_id=key_id, now=self.now())
        return found.body

    def pending(self) -> list[tuple[Approval, str]]:
        """What can be decided now, the oldest first, with the arguments of each."""
        if not self._path.exists():
            return []
        with self._lock, ApprovalStore(self._path) as store:
            return self._opened(store.pending(self.now()))

    def recent(self, limit: int) -> list[tuple[Approval, str]]:
        """Whatever has become of them, the newest first."""
        if not self._path.exists():
            return []
        with self._lock, ApprovalStore(self._path) as store:
            return self._opened(store.recent(limit))

    def get(self, approval_id: str) -> tuple[Approval, str]:
        """One approval with its arguments, which are empty once they have been removed.

        Raises:
            CommandError: there is none of this id.
        """
        if not self._path.exists():
            raise UnknownName(f"there is no approval {approval_id!r}")
        with self._lock, ApprovalStore(self._path) as store:
            return self._opened([store.get(approval_id)])[0]

    def steps(self, approval_id: str) -> list[ApprovalStep]:
        """The audit of one approval, in order."""
        with self._lock, ApprovalStore(self._path) as store:
            return list(store.steps(approval_id))

    def decide(
        self, approval_id: str, *, approve: bool, by: str, reason: str = "", not_of: str | None = None
    ) -> tuple[Approval, str]:
        """Decide a held call, once.

        Arguments:
            by: who decides, for the audit.
            not_of: a key that may not decide what it has asked for itself; None where a person decides.

        Raises:
            CommandError: there is no such approval, or it cannot be decided (by them, any more).
        """
        approval, _ = self.get(approval_id)
        if not_of is not None and approval.key_id == not_of:
            raise CommandError("the key that has made a call may not approve it; another one has to")
        with self._lock, ApprovalStore(self._path) as store:
            decided = store.decide(approval.approval_id, approve=approve, by=by, reason=reason, now=self.now())
            return self._opened([decided])[0]

    def _opened(self, approvals: Sequence[Approval]) -> list[tuple[Approval, str]]:
        return [(each, self._open(each.call_id, each.workload, each.sealed).decode()) for each in approvals]

    def _seal(self, call_id: str, workload: str, data: str | bytes) -> bytes:
        with self._lock:
            return self._vault.seal(call_id, workload, "held", data.encode() if isinstance(data, str) else data)

    def _open(self, call_id: str, workload: str, sealed: bytes) -> bytes:
        return self._vault.open(call_id, workload, "held", sealed)


def approval_object(approval: Approval, arguments: str, now: float) -> dict[str, object]:
    """An approval as the API and `--json` show it; `arguments` is None once they have been removed."""
    return {
        "id": approval.approval_id,
        "object": "approval",
        "state": state_word(approval, now),
        "workload": approval.workload,
        "call_id": approval.call_id,
        "key_id": approval.key_id,
        "tool": approval.tool,
        "arguments": msgspec.Raw(arguments.encode()) if arguments else None,
        "held_at": approval.held_at,
        "expires_at": approval.expires_at,
        "decided_at": approval.decided_at,
        "decided_by": approval.decided_by or None,
        "reason": approval.reason or None,
        "consumed_at": approval.consumed_at,
    }


def state_word(approval: Approval, now: float) -> str:
    """Its state in a word; *expired* for what can neither be decided nor used any more."""
    is_open = approval.state in ("pending", "approved")
    return "expired" if is_open and approval.is_expired(now) else approval.state
