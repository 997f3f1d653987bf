"""`headworks audit verify|search|export --log DIR`: the logs of several machines, looked at together."""

import argparse
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from headworks.cli.audit_show import print_entries, print_verdict
from headworks.cli.lines import note
from headworks.cli.parsing import UsageError
from headworks.cli.state import tell_audit
from headworks.cli.tables import plain

if TYPE_CHECKING:
    from headworks.audit.keys import Signer
    from headworks.audit.reading import Search
    from headworks.audit.several import SeveralLogs
    from headworks.auditing import AuditTerms
    from headworks.config import Project


def logs_flag(parser: argparse.ArgumentParser) -> None:
    """Declare the flag."""
    parser.add_argument(
        "--log",
        action="append",
        type=Path,
        default=[],
        metavar="DIR",
        help="beside this machine's log another one's, too: a copy of its `audit` folder. More than once for more",
    )


def run_over_logs(
    project: "Project",
    terms: "AuditTerms",
    options: argparse.Namespace,
    asked: Mapping[str, str | int],
    search: "Search | None",
    signers: "list[Signer]",
) -> int:
    """Do it over this machine's log and those that are named; returns the exit code. Who looks is entered first.

    Arguments:
        asked: what was asked for, as the log may know it.
        search: which entries; None for `verify`.
        signers: whose signatures count, beside our own.
    """
    from headworks.audit.several import SeveralLogs
    from headworks.audit_intake import catch_up_audit, masters_of

    tell_audit(project, "audit", f"audit.{options.action}", "", {**asked, "logs": 1 + len(options.log)})
    if not catch_up_audit(terms, report=lambda text: note(text, "audit")):
        note("the journals hold more than the log has yet", "audit")
    masters = masters_of(terms)
    folders = [(socket.gethostname(), terms.folder), *((_name_of(folder), folder) for folder in options.log)]
    with SeveralLogs(folders, masters) as logs:
        if search is None:
            return _verify(logs, [*masters.signers, *signers], terms, options)
        if options.action == "search":
            from collections import deque

            found = deque(logs.search(search), maxlen=max(1, options.limit))
            print_entries(list(reversed(found)), options)
        else:
            _export(logs, search, options)
    return 0


def _name_of(folder: Path) -> str:
    """What a log is called after where it lies: by its machine's folder, if it is in one as it is there."""
    whole = folder.resolve()
    return whole.parent.name if whole.name == "audit" and whole.parent.name else whole.name


def _verify(logs: "SeveralLogs", signers: "list[Signer]", terms: "AuditTerms", options: argparse.Namespace) -> int:
    from headworks.audit.anchors import read_anchors

    places = [anchor.file for anchor in terms.anchors if anchor.file is not None and anchor.file.exists()]
    anchored = [(str(path), read_anchors(path)) for path in [*options.anchors, *places]]
    codes = []
    for name, verdict in logs.verify(signers, anchored):
        if not options.json:
            print(f"{plain(name)}:")
        codes.append(print_verdict(verdict, options, log=name))
    return max(codes)


def _export(logs: "SeveralLogs", search: "Search", options: argparse.Namespace) -> None:
    from headworks.audit.exporting import FORMATS

    out = sys.stdout.buffer
    if options.format == "sealed":
        if search.asks_for_content:
            raise UsageError("sealed entries are not opened: only --since, --until, --what and --outcome select")
        for line in logs.sealed(search):
            out.write(line + b"\n")
    else:
        written = FORMATS[options.format]
        for entry in logs.search(search):
            out.write(written(entry) + b"\n")
    out.flush()
