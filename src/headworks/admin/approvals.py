"""Tool calls that wait for a person: listed and decided; for the command line and the admin API alike."""

from headworks.access import KEYS_FILE, Principal, Right
from headworks.admin.desk import Desk
from headworks.errors import UnknownName
from headworks.holding import HeldAnswers
from headworks.records.content import ContentVault
from headworks.screening import APPROVALS_FILE, Approval


def held_answers(desk: Desk) -> HeldAnswers:
    """The held answers of the installation. Raises SecretError."""
    file = desk.project.storage / APPROVALS_FILE
    # Without a file there is nothing to open, and no secret has to be made for it.
    return HeldAnswers(file, ContentVault(desk.secret() if file.exists() else b""), now=desk.now)


def list_approvals(desk: Desk, *, limit: int | None) -> list[tuple[Approval, str]]:
    """What can be decided now, the oldest first, each with its arguments; of what whoever asks reaches.

    Arguments:
        limit: also what has been decided or has expired, the newest first, at most so many; None: only what can be
            decided.

    Raises:
        Forbidden: they reach none.
        StorageError: what is held cannot be read.
    """
    teams = desk.teams(Right.READ_APPROVALS)
    answers = held_answers(desk)
    found = answers.pending() if limit is None else answers.recent(limit)
    if teams is None:
        return found
    of_key = desk.teams_of_keys()
    return [one for one in found if of_key.get(one[0].key_id, "") in teams]


def get_approval(desk: Desk, approval_id: str) -> tuple[Approval, str]:
    """One of them, with its arguments.

    Raises:
        UnknownName: there is none of this id within reach.
        Forbidden: they reach none.
    """
    desk.teams(Right.READ_APPROVALS)
    found = held_answers(desk).get(approval_id)
    if not desk.reaches(Right.READ_APPROVALS, _team(desk, found[0])):
        raise UnknownName(f"there is no approval {approval_id!r}")
    return found


def decide_approval(desk: Desk, approval_id: str, *, approve: bool, reason: str, by: str = "") -> tuple[Approval, str]:
    """Decide a held call, once.

    Arguments:
        by: who decides; "" for whoever is at the desk.

    Raises:
        UnknownName: there is none of this id within reach.
        Forbidden: they may see it and not decide it.
        CommandError: it cannot be decided any more, or by them.
    """
    approval, _ = get_approval(desk, approval_id)
    desk.demand(Right.DECIDE_APPROVALS, _team(desk, approval))
    by = by or _signature(desk.principal)
    not_of = desk.principal.who or None
    decided = held_answers(desk).decide(approval.approval_id, approve=approve, by=by, reason=reason, not_of=not_of)
    action = f"approval.{'approved' if approve else 'denied'}"
    detail = {"by": by, "workload": approval.workload, "tool": approval.tool, "call": approval.call_id}
    desk.tell(action, approval.approval_id, detail)
    return decided


def _signature(principal: Principal) -> str:
    """A name alone may be anybody's."""
    return f"{principal.name} ({principal.who})" if principal.name else principal.who


def _team(desk: Desk, approval: Approval) -> str:
    """The team of the key that has asked; "" where it has none."""
    if not approval.key_id or not (desk.project.storage / KEYS_FILE).exists():
        return ""
    return desk.teams_of_keys().get(approval.key_id, "")
