"""`headworks calls show`: all that is known of one call, put together from its record, content and outcomes."""

import argparse
from typing import TYPE_CHECKING

from headworks.cli.amounts import usd
from headworks.cli.call_cost import account_of, details, for_machines
from headworks.cli.lines import json_line, note
from headworks.cli.moments import duration, iso
from headworks.cli.state import desk_of
from headworks.cli.tables import plain
from headworks.errors import HeadworksError

if TYPE_CHECKING:
    from headworks.catalogue import Retirement
    from headworks.config import Project
    from headworks.records import ContentKind, Record, Store
    from headworks.records.replay import Reconstruction


def show_call(store: "Store", project: "Project", options: argparse.Namespace) -> int:
    """Print it; returns the exit code: 1 if there is content that cannot be opened, which is said."""
    from headworks.catalogue import PriceArchive
    from headworks.records import find_call
    from headworks.records.replay import reconstruct

    record = find_call(store, options.id)
    code = 0
    try:
        content = kept_content(store, project, record)
    except HeadworksError as error:
        note(str(error))
        content, code = {}, 1
    call = reconstruct(record, content, store.outcomes_of(record.seq))
    where, template = template_of(project, record)
    account = account_of(record, PriceArchive(project.storage))
    if options.json:
        shown = _for_machines(call, content, has_bodies=options.bodies)
        shown["cost"] = for_machines(record, account)
        shown["retirement"] = _retirement(project, record)
        print(json_line(shown | ({"template": template} if record.prompt_version else {})))
        return code
    retires = _retires(_retirement(project, record))
    for name, value in (*_details(record, details(record, account), retires), *call.details()):
        print(f"{name:<20} {plain(value)}")
        if name == "prompt hash":
            print(f"{'template':<20} {plain(where)}")
    if options.bodies and template is not None:
        _print_body("template", template)
    if options.bodies and not code:
        _print_bodies(content)
    return code


def _retirement(project: "Project", record: "Record") -> "Retirement | None":
    """The shutdown of the model that answered, as far as it is known today, where it is near or past."""
    import datetime as dt

    from headworks.catalogue import PriceArchive, retirement_of
    from headworks.config import price_book

    if not record.model:
        return None
    try:
        book = price_book(project, PriceArchive(project.storage).current())
    except HeadworksError as error:
        note(str(error))
        return None
    model = book.for_target(record.provider, record.model).model
    return None if model is None else retirement_of(model, dt.datetime.now(dt.UTC).date())


def _retires(found: "Retirement | None") -> str:
    if found is None:
        return ""
    when = "gone since then" if found.is_gone else f"in {found.days_left} day{'' if found.days_left == 1 else 's'}"
    successor = f"; its provider recommends {found.successor}" if found.successor else ""
    return f"{found.shutdown_on}, {when}{successor}"


def template_of(project: "Project", record: "Record") -> tuple[str, str | None]:
    """Where the template of a call's prompt is to be had, and its text: what was published, what the folder holds if it
    is the same, or what was kept when it was served; None where none is."""
    if not record.prompt_version:
        return "", None
    from headworks.cli.prompt_release import registry_of
    from headworks.compiled import Published, own_prompt, read_file
    from headworks.config import load_workloads

    try:
        with registry_of(project) as registry:
            published = [] if registry is None else registry.list(record.workload)
            kept = None if registry is None else registry.source_of(record.workload, record.prompt_hash)
        for one in published:
            if (one.version, one.hash) == (record.prompt_version, record.prompt_hash):
                return f"headworks prompts show {one.workload} --version {one.version} --source", one.source
        for workload in load_workloads(project):
            prompt = own_prompt(workload, Published()) if workload.name == record.workload else None
            if prompt is not None and prompt.hash == record.prompt_hash and workload.files.prompt is not None:
                return str(workload.files.prompt), read_file(workload.files.prompt).decode("utf-8-sig")
    except HeadworksError as error:
        return f"cannot be looked up: {error}", None
    if kept is not None:
        return "kept when it was served: never published, and prompt.md is another now (--bodies prints it)", kept
    return f"gone: {record.prompt_version} was not published, and prompt.md is another now", None


def kept_content(store: "Store", project: "Project", record: "Record") -> "dict[ContentKind, bytes]":
    """What is kept of a call's content, opened.

    Raises:
        HeadworksError: it cannot be opened; says why.
    """
    from headworks.admin.calls import kept_content as kept

    return kept(desk_of(project, "calls"), store, record)


def _for_machines(
    call: "Reconstruction", content: "dict[ContentKind, bytes]", *, has_bodies: bool
) -> dict[str, object]:
    """The fields of the record; `variables`, `tools` and `tool_calls` where content is kept; `outcomes`."""
    import msgspec

    shown = as_json(call.record)
    if call.has_content:
        shown["variables"] = {name: _value(text) for name, text in call.variables}
        shown["tools"] = call.tools
        shown["tool_calls"] = call.answer.tool_calls if call.answer else ()
    shown["outcomes"] = [
        {"name": report.name, "kind": report.kind, "value": msgspec.Raw(report.value.encode()), "source": report.source}
        for report in call.outcomes
    ]
    if has_bodies and content:
        shown["request_body"] = content.get("request", b"").decode(errors="replace")
        shown["response_body"] = content.get("response", b"").decode(errors="replace")
    return shown


def _value(text: str) -> object:
    """A variable's value as JSON; as text where it is none."""
    import msgspec

    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return msgspec.Raw(text.encode())


def _print_bodies(content: "dict[ContentKind, bytes]") -> None:
    if "request" not in content and "response" not in content:
        note(
            "no bodies are kept of this call; `records.bodies` in headworks.yaml, or `retention.content` in the "
            "workload's contract, has them kept"
        )
    kinds: tuple[ContentKind, ...] = ("request", "response")
    for kind in kinds:
        if kind in content:
            _print_body(kind, content[kind].decode(errors="replace"))


def _print_body(name: str, text: str) -> None:
    print(f"\n{name}:")
    print("\n".join(plain(line) for line in text.splitlines()))


def _details(record: "Record", cost: list[tuple[str, str]], retires: str) -> list[tuple[str, str]]:
    """Name and value of everything that is known, in the order of the call."""
    usage = {"provider": "as the provider says", "estimated": "counted here", "none": "none"}[record.usage_source]
    first = f", first token after {duration(record.first_token_us)}" if record.first_token_us else ""
    found = [
        ("call", record.call_id),
        ("opened", iso(record.opened_us / 1e6) or ""),
        ("outcome", f"{record.outcome}, status {record.status}" if record.status else record.outcome),
        ("error", "" if record.error_code == record.outcome else record.error_code),
        ("took", f"{duration(record.total_us)}{first}" if record.total_us else ""),
        ("endpoint", record.endpoint + (", streamed" if record.is_streamed else "")),
        ("asked for", record.requested_model),
        ("provider", record.provider),
        ("model", record.model),
        ("served", record.served_model),
        ("shut down", retires),
        ("key", record.key_id),
        ("owner", record.owner),
        ("team", record.team),
        ("user", record.user),
        ("usage", usage),
        ("input tokens", f"{record.input_tokens:,}"),
        ("  cached", f"{record.cached_tokens:,}" if record.cached_tokens else ""),
        ("  written to cache", f"{record.cache_write_tokens:,}" if record.cache_write_tokens else ""),
        ("output tokens", f"{record.output_tokens:,}"),
        ("  reasoning", f"{record.reasoning_tokens:,}" if record.reasoning_tokens else ""),
        *cost,
        ("finish reason", record.finish_reason),
        ("attempts", str(record.attempts)),
        ("bytes", f"{record.request_bytes:,} sent, {record.response_bytes:,} answered"),
        ("response", record.response_id),
        ("upstream request", record.upstream_request_id),
    ]
    return [(name, value) for name, value in found if value]


def as_json(record: "Record") -> dict[str, object]:
    """A call for machines: the fields of `records.Record`, `opened_at` as a time in UTC, and its cost as `cost_usd`, an
    exact decimal string (null for not known): many readers of JSON cannot hold so many pico-dollars exactly."""
    import msgspec

    fields = msgspec.structs.asdict(record)
    cost_usd = usd(fields.pop("cost_pico"))
    fields["extras"] = msgspec.json.decode(record.extras) if record.extras else {}
    return {"call_id": record.call_id, "opened_at": iso(record.opened_us / 1e6)} | fields | {"cost_usd": cost_usd}
