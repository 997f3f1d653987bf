"""Verify, search, show, export and look after the audit log: who did what, when, from where, with what outcome.

Every call, refusal, key use, change of configuration and command that changes something is in it; so is every use of
this command. `verify` finds whatever was changed, removed, reordered or cut off in its archive, and says where. ID is
that of a call, a report or an event, or an entry's number as `#17`.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from headworks.cli.audit_logs import logs_flag, run_over_logs
from headworks.cli.audit_show import as_lines, print_entries, print_verdict
from headworks.cli.lines import json_line, note
from headworks.cli.moments import MOMENT_FORM, day, iso, past
from headworks.cli.parsing import UsageError
from headworks.cli.state import desk_of, load_project, tell_audit
from headworks.cli.tables import plain
from headworks.errors import CommandError, ConfigError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from headworks.audit.keys import Signer
    from headworks.audit.ledger import Ledger
    from headworks.audit.reading import AuditReader, Search
    from headworks.auditing import AuditTerms
    from headworks.config import Project
    from headworks.records import Store

_SHOWN = 50
_FORMATS = ("json", "ocsf", "cef", "sealed")

_ID = "of a call, a report or an event, or an entry's number as `#17`"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their flags."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    verify = _action(commands, "verify", "Find every change, removal, reordering and truncation, and say where")
    verify.add_argument(
        "--anchors", action="append", type=Path, default=[], metavar="FILE", help="checkpoints that were kept elsewhere"
    )
    verify.add_argument("--archive", type=Path, metavar="DIR", help="a copy of the archive, to verify by itself")
    verify.add_argument(
        "--public-key", action="append", default=[], metavar="KEY", help="whose signatures count, instead of our own"
    )
    verify.add_argument("--proof", type=Path, metavar="FILE", help="verify what `audit proof` wrote, and nothing else")
    logs_flag(verify)
    search = _action(commands, "search", "List entries, the last ones first")
    _search_flags(search)
    logs_flag(search)
    search.add_argument("--limit", type=int, default=_SHOWN, metavar="N", help=f"at most so many. Default: {_SHOWN}")
    show = _action(commands, "show", "Show every entry about a call or an event")
    show.add_argument("id", metavar="ID", help=_ID)
    proof = _action(commands, "proof", "Print the proof that an entry is in the log, for `verify --proof`")
    proof.add_argument("id", metavar="ID", help=_ID)
    export = _action(commands, "export", "Write entries for other systems, the oldest first")
    _search_flags(export)
    logs_flag(export)
    export.add_argument(
        "--format",
        choices=_FORMATS,
        default="json",
        help="json: JSON lines; ocsf: the Open Cybersecurity Schema Framework; cef: the Common Event Format; sealed: "
        "the archive's own lines, which a later erasure still reaches. Default: json",
    )
    hold = commands.add_parser("hold", help="Place, list and end legal holds", description="Look after legal holds.")
    holds = hold.add_subparsers(dest="hold_action", metavar="ACTION", title="actions", required=True)
    add = _action(holds, "add", "Forbid erasure and expiry")
    add.add_argument("--user", default="", metavar="NAME", help="of one person's entries")
    add.add_argument("--workload", default="", metavar="NAME", help="of one workload's entries")
    add.add_argument("--all", action="store_true", help="of all entries")
    add.add_argument("--reason", required=True, metavar="TEXT", help="why; it is shown with the hold")
    _action(holds, "list", "List the holds in force")
    remove = _action(holds, "remove", "End a hold")
    remove.add_argument("hold_id", metavar="HOLD", help="its id, as `audit hold list` has it")
    erase = _action(commands, "erase", "Destroy the key of a person's entries, and what is kept of the calls' content")
    erase.add_argument("--user", required=True, metavar="NAME", help="as applications name the person to us")
    erase.add_argument("--yes", action="store_true", help="do not ask")
    _action(commands, "public-key", "Print the public key that checkpoints are verified with")


def _action(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=summary, description=f"{summary}.")
    parser.add_argument(
        "--config", type=Path, default=Path("headworks.yaml"), metavar="FILE", help="default: %(default)s"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line instead of text")
    return parser


def _search_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--since", type=past, metavar="WHEN", help=f"not before: {MOMENT_FORM}")
    parser.add_argument("--until", type=past, metavar="WHEN", help="before: the same")
    parser.add_argument(
        "--what", default="", metavar="WORD", help="call, outcome, key, key.revoked, config, audit, ..."
    )
    parser.add_argument("--outcome", default="", metavar="WORD", help="answered, refused, failed, done, ...")
    parser.add_argument("--who", default="", metavar="NAME", help="a key's id, its owner or team, or an operator")
    parser.add_argument("--user", default="", metavar="NAME", help="whom an application calls for")
    parser.add_argument("--workload", default="", metavar="NAME", help="of calls of this workload")
    parser.add_argument("--source", default="", metavar="ADDRESS", help="from where")
    parser.add_argument("--text", default="", metavar="TEXT", help="somewhere in ids, targets and details")


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    if options.action == "verify" and (options.proof or (options.archive and options.public_key)):
        return _verify_apart(options)
    from headworks.auditing import audit_terms

    project = load_project(options.config, "audit")
    terms = audit_terms(project)
    if terms is None:
        raise CommandError("there is no audit log: `audit.enabled` is false in headworks.yaml")
    if options.action == "public-key":
        from headworks.audit_intake import masters_of

        for signer in masters_of(terms).signers:
            print(json_line({"public_key": signer.text}) if options.json else signer.text)
        return 0
    if getattr(options, "log", None):
        is_search = options.action != "verify"
        if not is_search and options.archive:
            raise UsageError("give either --log, for logs with their ledgers, or --archive, for a copy of one archive")
        keys = [] if is_search else [_signer(text) for text in options.public_key]
        return run_over_logs(project, terms, options, _asked(options), _search(options) if is_search else None, keys)
    return _Audit(project, terms, options).do()


def _verify_apart(options: argparse.Namespace) -> int:
    """Verify with public keys and nothing else: no configuration, no secret."""
    from headworks.audit.verifying import verify

    signers = [_signer(text) for text in options.public_key]
    if options.proof:
        if not signers:
            raise UsageError("--proof needs --public-key: `headworks audit public-key` prints it")
        return _verify_proof(options, signers)
    from headworks.admin.audit import anchored

    return print_verdict(verify(options.archive, signers, anchored=anchored(options.anchors)), options)


def _verify_proof(options: argparse.Namespace, signers: list["Signer"]) -> int:
    import msgspec

    from headworks.audit.proving import proof_fault
    from headworks.audit.reading import Proof
    from headworks.database import storage_errors

    with storage_errors(options.proof):
        data = options.proof.read_bytes()
    try:
        proof = msgspec.json.decode(data, type=Proof)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise CommandError(f"{options.proof} is no proof that `headworks audit proof` wrote") from None
    fault = proof_fault(proof, signers)
    if options.json:
        print(json_line({"is_good": not fault, "fault": fault}))
    else:
        print(f"the proof does not hold: {fault}" if fault else "the proof holds: the entry is in the log")
    return 1 if fault else 0


def _signer(text: str) -> "Signer":
    from base64 import b64decode

    from headworks.audit.keys import Signer

    try:
        return Signer(b64decode(text, validate=True))
    except ValueError:
        raise CommandError(f"{text!r} is no public key: `headworks audit public-key` prints ours") from None


class _Audit:
    """One run of a command that needs the project's log."""

    def __init__(self, project: "Project", terms: "AuditTerms", options: argparse.Namespace) -> None:
        self._project = project
        self._terms = terms
        self._options = options
        self._desk = desk_of(project, "audit")

    def do(self) -> int:
        """Who looks is entered before it is looked; who changes something, once it is done."""
        match self._options.action:
            case "verify":
                return self._verify()
            case "search":
                return self._search()
            case "show" | "proof" | "export" as action:
                self._tell(f"audit.{action}", str(getattr(self._options, "id", "")), _asked(self._options))
            case _:
                pass
        from headworks.admin.audit import open_log

        with open_log(self._desk, self._terms) as (ledger, _):
            return self._with(ledger)

    def _with(self, ledger: "Ledger") -> int:
        match self._options.action:
            case "hold":
                self._hold(ledger)
            case "erase":
                return self._erase(ledger)
            case _:
                self._read(ledger)
        return 0

    def _verify(self) -> int:
        from headworks.admin.audit import verify_log

        options = self._options
        signers = [_signer(text) for text in options.public_key]
        verdict = verify_log(self._desk, anchors=options.anchors, archive=options.archive, signers=signers)
        return print_verdict(verdict, options)

    def _search(self) -> int:
        from headworks.admin.audit import search_log

        print_entries(search_log(self._desk, _search(self._options), limit=self._options.limit), self._options)
        return 0

    def _read(self, ledger: "Ledger") -> None:
        from headworks.audit.reading import AuditReader
        from headworks.audit.sealing import ARCHIVE_FOLDER

        reader = AuditReader(self._terms.folder / ARCHIVE_FOLDER, ledger)
        options = self._options
        match options.action:
            case "show":
                for entry in reader.get(options.id):
                    print("\n".join(as_lines(entry, is_json=options.json)))
            case "proof":
                import msgspec

                print(msgspec.json.encode(reader.prove(options.id)).decode())
            case _:
                self._export(reader)

    def _export(self, reader: "AuditReader") -> None:
        from headworks.audit.exporting import FORMATS

        options = self._options
        search = _search(options)
        if options.json and options.format != "json":
            raise UsageError(f"--json and --format {options.format} are two formats")
        out = sys.stdout.buffer
        if options.format == "sealed":
            if search.asks_for_content:
                raise UsageError("sealed entries are not opened: only --since, --until, --what and --outcome select")
            for line in reader.sealed(search):
                out.write(line + b"\n")
        else:
            written = FORMATS[options.format]
            for entry in reader.search(search):
                out.write(written(entry) + b"\n")
        out.flush()

    def _hold(self, ledger: "Ledger") -> None:
        import getpass

        options = self._options
        if options.hold_action == "list":
            self._tell("audit.holds_listed", "")
            for hold in ledger.holds():
                if options.json:
                    print(json_line({name: getattr(hold, name) for name in hold.__struct_fields__}))
                    continue
                about = [f"person {hold.subject}"] if hold.subject else []
                about += [f"workload {hold.workload}"] if hold.workload else []
                what = ", ".join(about) or "everything"
                print(plain(f"{hold.hold_id}  {day(hold.placed_us / 1e6)}  {what}  {hold.placed_by}: {hold.reason}"))
            return
        if options.hold_action == "remove":
            released = ledger.release(options.hold_id)
            self._tell("audit.hold_removed", released.hold_id, {"workload": released.workload})
            shown = {"hold": released.hold_id, "is_in_force": False}
            print(json_line(shown) if options.json else f"{released.hold_id} is ended")
            return
        if not (options.user or options.workload or options.all):
            raise UsageError("say what is held: --user, --workload or --all")
        now_us = time.time_ns() // 1000
        by = getpass.getuser()
        placed = ledger.hold(user=options.user, workload=options.workload, reason=options.reason, by=by, now_us=now_us)
        self._tell("audit.hold_added", placed.hold_id, {"subject": placed.subject, "workload": placed.workload})
        shown = {"hold": placed.hold_id, "is_in_force": True}
        print(json_line(shown) if options.json else f"{placed.hold_id} holds from now on")

    def _erase(self, ledger: "Ledger") -> int:
        from headworks.config import store_url
        from headworks.records import has_store, open_store

        options = self._options
        if not options.yes and not _agrees():
            note("nothing is erased", "audit")
            return 1
        url = store_url(self._project)
        is_turned = self._turn_journals(url)
        subject = ledger.subject_of(options.user)
        try:
            keys = ledger.erase(options.user)
        except CommandError:
            self._tell("audit.erased", subject, outcome="refused")
            raise
        pieces, values, are_values_gone = 0, 0, True
        if has_store(self._terms.storage, url):
            store = open_store(self._terms.storage, url)
            try:
                pieces = store.erase(options.user)
                values, are_values_gone = self._forget_values(store)
            finally:
                store.close()
        answers, are_answers_gone = self._clear_answers()
        counts = {"cached_answers": answers, "conversation_values": values}
        self._tell("audit.erased", subject, {"keys": keys, "pieces": pieces, **counts})
        if options.json:
            print(json_line({"destroyed_keys": keys, "removed_pieces": pieces, **counts}))
        else:
            print(f"{keys} keys are destroyed, and {pieces} pieces of content removed: nobody can read them again")
        note(
            "what was exported in the open, copies of the ledger (backups) and what providers keep are not reached",
            "audit",
        )
        if not is_turned:
            note("a journal could not be removed yet, which may hold their last calls: do it again", "audit")
        return 0 if is_turned and are_answers_gone and are_values_gone else 1

    def _forget_values(self, store: "Store") -> tuple[int, bool]:
        """Remove what stands behind the tokens of their conversations: how many values that were, and whether nothing
        is left of them."""
        from headworks.access import server_secret
        from headworks.screening.privacy import VAULT_FILE, TokenVault

        file = self._terms.storage / VAULT_FILE
        if not file.exists():
            return 0, True
        secret = server_secret(self._project.config.access.secret, self._project.folder, os.environ)
        vault = TokenVault(file, secret, now=time.time)
        try:
            return vault.forget(store.responses_of(self._options.user)), True
        except StorageError as error:
            note(f"what stands behind tokens of theirs may be there still: {error}; do it again", "audit")
            return 0, False
        finally:
            vault.close()

    def _clear_answers(self) -> tuple[int, bool]:
        """Remove cached answers, everybody's, for nobody can tell whose they are: how many were in the file and in
        Valkey, and whether there are none any more, in the memory of workers either."""
        from headworks.admin.forgetting import have_answers_forgotten
        from headworks.response_cache import CACHE_FILE, StoreAway, clear_file

        storage = self._terms.storage
        answers, is_good = clear_file(storage / CACHE_FILE), True
        if self._project.config.quotas.valkey is not None:
            from headworks.answers_in_valkey import clear_valkey
            from headworks.settings import valkey_url

            try:
                answers += clear_valkey(valkey_url(self._project, os.environ))
            except (StoreAway, ConfigError) as error:
                note(f"answers that are cached in Valkey are still there: {error}; do it again", "audit")
                is_good = False
        if not have_answers_forgotten(storage):
            note("a worker has not forgotten yet what is in its memory: do it again", "audit")
            is_good = False
        return answers, is_good

    def _turn_journals(self, url: str) -> bool:
        """Have what the journals hold moved into records and log, which can be erased, and the journals removed."""
        from headworks.audit_intake import catch_up_audit
        from headworks.records import JOURNAL_FOLDER, drain_once, turn_journals

        def drain() -> None:
            told: Callable[[str], None] = lambda text: note(text, "audit")  # noqa: E731
            # What the log has read can go from the journals once the records have it, too, and the other way round.
            drain_once(self._terms.storage, url, report=told)
            catch_up_audit(self._terms, report=told)
            drain_once(self._terms.storage, url, report=told)

        return turn_journals(self._terms.storage / JOURNAL_FOLDER, drain)

    def _tell(
        self, action: str, target: str, detail: "Mapping[str, str | int] | None" = None, *, outcome: str = "done"
    ) -> None:
        tell_audit(self._project, "audit", action, target, detail, outcome=outcome)


def _search(options: argparse.Namespace) -> "Search":
    from headworks.audit.reading import Search

    return Search(
        None if options.since is None else int(options.since * 1e6),
        None if options.until is None else int(options.until * 1e6),
        *(getattr(options, name) for name in ("what", "outcome", "who", "user", "workload", "source", "text")),
    )


def _asked(options: argparse.Namespace) -> dict[str, str | int]:
    """What was asked for, as the log may know it: of a person, only that it was about one."""
    asked: dict[str, str | int] = {}
    for name in ("what", "outcome", "who", "workload", "source", "format"):
        value = getattr(options, name, "")
        if value:
            asked[f"asked_{name}"] = str(value)
    for name in ("since", "until"):
        value = getattr(options, name, None)
        if value is not None:
            asked[f"asked_{name}"] = iso(value) or ""
    if getattr(options, "user", ""):
        asked["asked_user"] = "a person"
    return asked


def _agrees() -> bool:
    if not sys.stdin.isatty():
        raise UsageError("erasing cannot be undone: say --yes if that is meant")
    print("This cannot be undone. Erase? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
