"""`headworks golden import --from calls`: candidates from calls with a good outcome, for a person to review."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from headworks.calls import Endpoint
from headworks.cli.call_show import kept_content
from headworks.cli.golden import CANDIDATES_FILE
from headworks.cli.lines import json_line, note
from headworks.cli.parsing import UsageError
from headworks.cli.tables import plain
from headworks.composing import caller_items
from headworks.config import store_url
from headworks.config.privacy import Privacy
from headworks.errors import CommandError, Refusal, StorageError
from headworks.evals.golden.importers import KeptCall, candidates_of
from headworks.records import Selection, catch_up, may_have_records, open_store
from headworks.records.answers import read_answer
from headworks.screening.privacy import PrivacyPolicy

if TYPE_CHECKING:
    from headworks.config import Project, Workload
    from headworks.prompts import Prompt
    from headworks.records import Record, Store

_ANY_MARKER = "0golden0golden00"
_CONVERSATIONS = ("responses", "chat.completions")


def write_candidates(project: "Project", workload: "Workload", options: argparse.Namespace) -> int:
    """Write them; returns the exit code.

    Raises:
        CommandError: nothing good is recorded, or its content is not redacted.
    """
    if options.outcome is None:
        raise UsageError("--from calls needs --outcome NAME: the outcome that says that an answer was good")
    url = store_url(project)
    if not may_have_records(project.storage, url):
        raise CommandError(f"nothing is recorded yet: there is no {project.storage}")
    catch_up(project.storage, url, report=lambda text: note(text, "golden"))
    policy = PrivacyPolicy.compile(workload.contract.screening.privacy or Privacy(), file=str(workload.file))
    store = open_store(project.storage, url)
    try:
        calls = _good_calls(store, project, workload, options)
        found, lines = candidates_of(calls, finds_personal=lambda text: bool(policy.finder.find(text)))
    finally:
        store.close()
    for one in found.notes:
        note(one, "golden")
    if not found.cases:
        raise CommandError(
            f"no call of `{workload.name}` with kept content has a good outcome `{plain(options.outcome)}`; "
            "`headworks outcomes list` shows what was reported"
        )
    path = workload.folder / CANDIDATES_FILE
    try:
        with path.open("xb") as opened:
            opened.write(lines)
    except FileExistsError:
        raise CommandError(f"{path} is there already: review it, take it in, and remove it first") from None
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error
    if options.json:
        print(json_line({"file": str(path), "candidates": len(found.cases), "notes": found.notes}))
    else:
        print(f'{len(found.cases):,} candidates in {plain(str(path))}: read each, and set `"reviewed": true`; then')
        print(f"headworks golden import {workload.name} {plain(str(path))} --from candidates")
    return 0


def _good_calls(
    store: "Store", project: "Project", workload: "Workload", options: argparse.Namespace
) -> Iterator[KeptCall]:
    is_redacted = workload.contract.retention.content == "redacted"
    prompts: dict[str, Prompt | None] = {}
    count = 0
    selection = Selection(workload=workload.name, outcomes=("answered",), limit=options.limit * 50)
    for record in store.select(selection):
        if record.endpoint not in _CONVERSATIONS or count >= options.limit:
            continue
        reports = [one for one in store.outcomes_of(record.seq) if one.name == options.outcome]
        demonstration = next((one.value for one in reports if one.kind == "demonstration"), "")
        if not demonstration and not any(one.kind == "boolean" and one.value == "true" for one in reports):
            continue
        content = kept_content(store, project, record)
        if "request" not in content or "response" not in content:
            continue
        key = f"{record.prompt_version} {record.prompt_hash}"
        if key not in prompts:
            prompts[key] = _prompt_of(project, workload, record)
        if record.prompt_version and prompts[key] is None:
            note(f"{record.call_id} was left out: its prompt {record.prompt_version} is not published", "golden")
            continue
        values = msgspec.json.decode(content.get("values", b"") or b"{}", type=dict[str, object])
        try:
            items = _own_items(record, content["request"], values, prompts[key])
        except (Refusal, msgspec.DecodeError):
            note(f"{record.call_id} was left out: what is kept of it does not fit its prompt", "golden")
            continue
        count += 1
        yield KeptCall(
            call_id=record.call_id,
            is_redacted=is_redacted,
            variables=values,
            input=msgspec.Raw(msgspec.json.encode(items)),
            answer=read_answer(content["response"]).text,
            demonstration=demonstration,
        )


def _own_items(
    record: "Record", request: bytes, values: dict[str, object], prompt: "Prompt | None"
) -> list[msgspec.Raw]:
    """The caller's messages: what went up without what the prompt made."""
    fields = msgspec.json.decode(request, type=dict[str, msgspec.Raw])
    items = caller_items(fields, Endpoint(record.endpoint))
    if prompt is None:
        return items
    rendered = prompt.render(values, marker=_ANY_MARKER)
    behind = len(rendered.messages) - rendered.input_at
    return items[rendered.input_at : len(items) - behind]


def _prompt_of(project: "Project", workload: "Workload", record: "Record") -> "Prompt | None":
    """The prompt that a call was made with; None where it had none, or it is gone."""
    from headworks.cli.prompt_release import prompt_of, published_release, registry_of

    if not record.prompt_version:
        return None
    with registry_of(project) as registry:
        published = [] if registry is None else registry.list(workload.name)
        for one in published:
            if one.hash == record.prompt_hash:
                return published_release(one).prompt
    own = prompt_of(workload) if workload.files.prompt is not None else None
    return own if own is not None and own.hash == record.prompt_hash else None
