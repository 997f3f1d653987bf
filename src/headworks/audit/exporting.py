"""Entries as others take them: JSON lines, OCSF, CEF. Pure.

What was erased, or whose time is over, is exported as what is left of it: that something was done, and when.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from headworks._version import __version__
from headworks.audit.entries import AuditEntry, Body

OCSF_VERSION = "1.9.0"
"""The schema of 3 August 2026 (ocsf/ocsf-schema)."""

_API_ACTIVITY = 6003
_APPLICATION_ACTIVITY = 6
_SUCCESS, _FAILURE = 1, 2
_OTHER = 99
_INFORMATIONAL, _LOW, _MEDIUM = 1, 2, 3
_GOOD = frozenset({"answered", "done", "reported"})
_CEF_SEVERITY = {_INFORMATIONAL: 1, _LOW: 3, _MEDIUM: 5}
_NOTHING = Body()

_encode = msgspec.json.Encoder().encode


def as_json(entry: AuditEntry) -> bytes:
    """One line of our own form: every field by its name."""
    shown: dict[str, object] = {
        "number": entry.number,
        "time": _iso(entry.at_us),
        "id": entry.entry_id,
        "what": entry.what,
        "outcome": entry.outcome,
    }
    if entry.body is None:
        shown["is_erased"] = True
    else:
        shown |= msgspec.to_builtins(entry.body)
    if entry.log:
        shown["log"] = entry.log
    return _encode(shown | {"segment": entry.segment, "line": entry.line})


def as_ocsf(entry: AuditEntry) -> bytes:
    """One event of the class API Activity (6003) in the Open Cybersecurity Schema Framework."""
    body = entry.body or _NOTHING
    user = {"uid": body.who, "name": body.owner, "groups": [{"name": body.team}] if body.team else None}
    enduser = {"uid": body.user} if body.user else None
    metadata: dict[str, object] = {
        "version": OCSF_VERSION,
        "uid": entry.entry_id,
        "sequence": entry.number,
        "product": {"name": "Headworks", "vendor_name": "Headworks", "version": __version__},
    }
    if entry.log:
        metadata["log_name"] = entry.log
    event: dict[str, object] = {
        "class_uid": _API_ACTIVITY,
        "category_uid": _APPLICATION_ACTIVITY,
        "activity_id": _OTHER,
        "activity_name": entry.what,
        "type_uid": _API_ACTIVITY * 100 + _OTHER,
        "time": entry.at_us // 1000,
        "severity_id": _severity(entry),
        "status_id": _SUCCESS if entry.outcome in _GOOD else _FAILURE,
        "status": entry.outcome,
        "status_code": str(body.status) if body.status else body.error_code or None,
        "status_detail": body.error_code or None,
        "metadata": metadata,
        "actor": {"user": {name: value for name, value in user.items() if value}},
        "api": {"operation": entry.what, "service": {"name": "headworks"}},
        "src_endpoint": {"ip": body.source} if _is_address(body.source) else {"name": body.source or "unknown"},
        "resources": [{"name": body.target, "type": "model" if entry.what == "call" else "object"}]
        if body.target
        else None,
        "unmapped": {
            "workload": body.workload,
            "prompt_version": body.prompt_version,
            "end_user": enduser,
            "is_erased": entry.body is None,
            **body.detail,
        },
    }
    return _encode({name: value for name, value in event.items() if value is not None})


def as_cef(entry: AuditEntry) -> bytes:
    """One line of the Common Event Format (ArcSight, revision 26)."""
    body = entry.body or _NOTHING
    fields = {
        "rt": str(entry.at_us // 1000),
        "externalId": entry.entry_id,
        "dvchost": entry.log,
        "cn1Label": "number",
        "cn1": str(entry.number),
        "outcome": entry.outcome,
        "suser": body.who,
        "suid": body.user,
        "src" if _is_address(body.source) else "shost": body.source,
        "request": body.target,
        "reason": body.error_code,
        "cs1Label": "workload" if body.workload else "",
        "cs1": body.workload,
        "cs2Label": "promptVersion" if body.prompt_version else "",
        "cs2": body.prompt_version,
        "msg": " ".join(f"{name}={value}" for name, value in body.detail.items()),
    }
    extension = " ".join(f"{name}={_cef_value(value)}" for name, value in fields.items() if value)
    head = "|".join(map(_cef_head, ("Headworks", "Headworks", __version__, entry.what, entry.what)))
    return f"CEF:0|{head}|{_CEF_SEVERITY[_severity(entry)]}|{extension}".encode()


FORMATS: dict[str, Callable[[AuditEntry], bytes]] = {"json": as_json, "ocsf": as_ocsf, "cef": as_cef}
"""By the names that the command line knows."""


def _severity(entry: AuditEntry) -> int:
    if entry.outcome in _GOOD:
        return _INFORMATIONAL
    return _MEDIUM if entry.outcome == "refused" else _LOW


def _is_address(text: str) -> bool:
    return (
        bool(text) and (text.count(".") == 3 or ":" in text) and all(one in "0123456789abcdefABCDEF.:" for one in text)
    )


def _iso(at_us: int) -> str:
    moment = datetime.fromtimestamp(at_us // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_us % 1_000_000:06d}Z"


def _cef_head(text: str) -> str:
    return _one_line(text).replace("\\", "\\\\").replace("|", "\\|")


def _cef_value(text: str) -> str:
    return _one_line(text).replace("\\", "\\\\").replace("=", "\\=")


def _one_line(text: str) -> str:
    """No caller's text begins a line of its own in somebody's log."""
    return "".join(one if one.isprintable() else " " for one in text)
