"""The audit log and held tool calls over the admin API."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from headworks.access import Right
from headworks.admin.api.operation import Moment, Operation, PageSize, Question, Visit, microseconds, operation, utc
from headworks.admin.approvals import decide_approval, get_approval, list_approvals
from headworks.admin.audit import search_log, verify_log
from headworks.audit.entries import AuditEntry
from headworks.audit.reading import Search
from headworks.holding import state_word
from headworks.screening import Approval

Text = Annotated[str, Meta(max_length=256)]


class EntryAnswer(msgspec.Struct, frozen=True):
    """An entry; of one that was erased, that something was done, and when."""

    number: int
    at: datetime
    id: str
    what: str
    outcome: str
    is_erased: bool
    who: str = ""
    owner: str = ""
    team: str = ""
    user: str = ""
    source: str = ""
    target: str = ""
    workload: str = ""
    status: int = 0
    error_code: str = ""
    detail: dict[str, str | int] = msgspec.field(default_factory=dict)


class Entries(msgspec.Struct, frozen=True):
    """Entries, the newest first. `next`: `before` of the page after this one."""

    items: tuple[EntryAnswer, ...]
    next: int | None


class FindingAnswer(msgspec.Struct, frozen=True):
    """One thing that is wrong."""

    file: str
    line: int
    message: str


class VerdictAnswer(msgspec.Struct, frozen=True):
    """Whether the log is as it was written. Without anchors, an end that somebody with the keys cut off is not seen."""

    is_good: bool
    entries: int
    segments: int
    checkpoints: int
    anchors: int
    findings: tuple[FindingAnswer, ...]


class SearchAudit(Question, frozen=True):
    """Which entries; all that is given must hold."""

    since: Moment | None = None
    until: Moment | None = None
    what: Annotated[str, Meta(max_length=256, description="A word, or its beginning: `key`, `key.revoked`.")] = ""
    outcome: Text = ""
    who: Text = ""
    user: Text = ""
    workload: Text = ""
    source: Text = ""
    text: Text = ""
    before: Annotated[int, Meta(ge=0, description="Entries with a lower number: `next` of the page before.")] | None = (
        None
    )
    limit: PageSize = 50


class VerifyAudit(Question, frozen=True):
    """Nothing is asked: all of it is looked at."""


class ApprovalAnswer(msgspec.Struct, frozen=True):
    """A tool call that waits, or has waited, for a person. `arguments` is JSON; null once they have been removed."""

    id: str
    state: Literal["pending", "approved", "denied", "consumed", "expired"]
    workload: str
    call_id: str
    key_id: str
    tool: str
    arguments: str | None
    held_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    reason: str | None


class Approvals(msgspec.Struct, frozen=True):
    """Those that can be decided, the oldest first; with `all`, whatever became of them, the newest first."""

    items: tuple[ApprovalAnswer, ...]


class ListApprovals(Question, frozen=True):
    """Which."""

    all: bool = False
    limit: PageSize = 50


class OneApproval(Question, frozen=True):
    """Which."""

    approval_id: Annotated[str, Meta(max_length=64)]


class Decide(Question, frozen=True):
    """How it is decided. The reason is shown to the caller if the call is denied."""

    approval_id: Annotated[str, Meta(max_length=64)]
    approve: bool
    reason: Annotated[str, Meta(max_length=1024)] = ""


def _search(visit: Visit, asked: SearchAudit) -> Entries:
    search = Search(
        microseconds(asked.since),
        microseconds(asked.until),
        *(getattr(asked, name) for name in ("what", "outcome", "who", "user", "workload", "source", "text")),
    )
    found = search_log(visit.desk, search, limit=asked.limit + 1, before=asked.before)
    shown = found[: asked.limit]
    return Entries(tuple(map(_entry, shown)), shown[-1].number if len(found) > asked.limit else None)


def _entry(entry: AuditEntry) -> EntryAnswer:
    at = utc(entry.at_us / 1e6)
    assert at is not None, "every entry has a time"
    body = entry.body
    if body is None:
        return EntryAnswer(entry.number, at, entry.entry_id, entry.what, entry.outcome, is_erased=True)
    return EntryAnswer(
        entry.number,
        at,
        entry.entry_id,
        entry.what,
        entry.outcome,
        False,
        body.who,
        body.owner,
        body.team,
        body.user,
        body.source,
        body.target,
        body.workload,
        body.status,
        body.error_code,
        body.detail,
    )


def _verify(visit: Visit, _: VerifyAudit) -> VerdictAnswer:
    verdict = verify_log(visit.desk)
    findings = tuple(FindingAnswer(one.file, one.line, one.message) for one in verdict.findings)
    return VerdictAnswer(
        verdict.is_good, verdict.entries, verdict.segments, verdict.checkpoints, verdict.anchors, findings
    )


def _list_approvals(visit: Visit, asked: ListApprovals) -> Approvals:
    found = list_approvals(visit.desk, limit=asked.limit if asked.all else None)
    return Approvals(tuple(_approval(visit, *one) for one in found[: asked.limit]))


def _show_approval(visit: Visit, asked: OneApproval) -> ApprovalAnswer:
    return _approval(visit, *get_approval(visit.desk, asked.approval_id))


def _decide(visit: Visit, asked: Decide) -> ApprovalAnswer:
    decided = decide_approval(visit.desk, asked.approval_id, approve=asked.approve, reason=asked.reason)
    return _approval(visit, *decided)


def _approval(visit: Visit, approval: Approval, arguments: str) -> ApprovalAnswer:
    return msgspec.convert(
        {
            "id": approval.approval_id,
            "state": state_word(approval, visit.desk.now()),
            "workload": approval.workload,
            "call_id": approval.call_id,
            "key_id": approval.key_id,
            "tool": approval.tool,
            "arguments": arguments or None,
            "held_at": utc(approval.held_at),
            "expires_at": utc(approval.expires_at),
            "decided_at": utc(approval.decided_at),
            "decided_by": approval.decided_by or None,
            "reason": approval.reason or None,
        },
        ApprovalAnswer,
    )


AUDIT: tuple[Operation, ...] = (
    operation("GET", "/audit", "audit.search", "Search the audit log", Right.READ_AUDIT, _search, SearchAudit, Entries),
    operation(
        "POST",
        "/audit/verify",
        "audit.verify",
        "Find every change, removal and reordering in the audit log",
        Right.READ_AUDIT,
        _verify,
        VerifyAudit,
        VerdictAnswer,
    ),
)

APPROVALS: tuple[Operation, ...] = (
    operation(
        "GET",
        "/approvals",
        "approvals.list",
        "List tool calls that wait for a person",
        Right.READ_APPROVALS,
        _list_approvals,
        ListApprovals,
        Approvals,
    ),
    operation(
        "GET",
        "/approvals/{approval_id}",
        "approvals.show",
        "Show a held tool call, with its arguments",
        Right.READ_APPROVALS,
        _show_approval,
        OneApproval,
        ApprovalAnswer,
    ),
    operation(
        "POST",
        "/approvals/{approval_id}/decision",
        "approvals.decide",
        "Approve or deny a held tool call, once",
        Right.DECIDE_APPROVALS,
        _decide,
        Decide,
        ApprovalAnswer,
    ),
)
