"""`headworks models calibration` and `headworks models tokens`: counts of tokens, and how near they come to bills."""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headworks.catalogue import has_tokenizers, tokenizer_for
from headworks.cli.lines import json_line, note
from headworks.cli.model_offers import Offers
from headworks.cli.tables import Cell, Table, has_colours, plain, tokens
from headworks.counting import Calibration, Sample, calibrate, count_request
from headworks.errors import CommandError

if TYPE_CHECKING:
    from headworks.config import Project
    from headworks.records import Record, Store

_MOST_CALLS = 2_000
"""As many of the newest calls are counted: more would take longer and say the same."""

_COUNTED = frozenset({"responses", "chat.completions", "messages", "generate_content", "embeddings"})


def show_calibration(offers: Offers, options: argparse.Namespace) -> None:
    """Print what counts came to against bills, model by model."""
    project = offers.project
    if project is None:
        raise CommandError("there is no project here, and so no calls: say which with --config")
    found, skipped = _calibrations(project, options)
    if options.json:
        for one in found:
            print(json_line(msgspec.to_builtins(one)))
        return
    if not found:
        note(_why_none(skipped), "models")
        return
    head = ("MODEL", "CALLS", "COUNTED", "BILLED", "RATIO", "8 OF 10", "COUNTED BY")
    table = Table(head, right=frozenset({1, 2, 3, 4, 5}), coloured=has_colours())
    print("\n".join(table.lines([_row(one) for one in found])))
    print("\nRATIO is counted tokens by billed ones: above 1.00 counts are too high. 8 of 10 calls are in the range.")
    if not has_tokenizers():
        print("The extra `tokens` is not installed: pip install 'headworks[tokens]' counts OpenAI's models exactly.")


def show_tokens(offers: Offers, options: argparse.Namespace) -> None:
    """Print what a request, or a text, is counted as."""
    model = offers.find(options.name).name
    data = sys.stdin.buffer.read() if options.file == Path("-") else _read(options.file)
    try:
        fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError):
        tokenizer = tokenizer_for(model)
        count = tokenizer.count(data.decode("utf-8", "replace"))
        parts = [{"kind": "text", "tokens": count, "certainty": tokenizer.certainty, "note": ""}]
        told = {"model": model, "encoding": tokenizer.name, "tokens": count, "certainty": tokenizer.certainty}
    else:
        found = count_request(fields, model)
        parts = msgspec.to_builtins(found.parts)
        told = {"model": model, "encoding": found.encoding, "tokens": found.tokens, "certainty": found.certainty}
    if options.json:
        print(json_line({**told, "parts": parts}))
        return
    print(f"{told['tokens']:,} tokens ({told['certainty']}) for {plain(model)}, text by {told['encoding']}")
    for part in parts:
        print(f"{part['kind']:<8} {part['tokens']:>10,}  {part['certainty']}{_behind(str(part['note']))}")


def _behind(text: str) -> str:
    return f": {text}" if text else ""


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None


def _calibrations(project: "Project", options: argparse.Namespace) -> tuple[list[Calibration], int]:
    """Of each model; and how many calls could not be counted, since none of their content is kept."""
    from headworks.config import store_url
    from headworks.records import Selection, catch_up, may_have_records, open_store

    url = store_url(project)
    if not may_have_records(project.storage, url):
        return [], 0
    catch_up(project.storage, url, report=lambda text: note(text, "models"))
    store = open_store(project.storage, url)
    try:
        selection = Selection(
            since_us=round((time.time() - options.days * 86_400) * 1e6), outcomes=("answered",), limit=_MOST_CALLS
        )
        fit = [record for record in store.select(selection) if _is_fit(record)]
        samples = list(_samples(fit, store, project))
    finally:
        store.close()
    return calibrate(samples), len(fit) - len(samples)


def _is_fit(record: "Record") -> bool:
    """Whether the bill is the provider's, and for one request: those of several attempts are added up."""
    is_one = record.attempts == 1 and record.repairs == 0
    return is_one and record.usage_source == "provider" and record.endpoint in _COUNTED


def _samples(records: Iterable["Record"], store: "Store", project: "Project") -> Iterator[Sample]:
    from headworks.cli.call_show import kept_content

    for record in records:
        body = kept_content(store, project, record).get("request", b"")
        fields = _fields(body)
        # What was said before is billed and not in the body.
        if fields and not any(name in fields for name in ("previous_response_id", "conversation")):
            count = count_request(fields, record.model)
            # Pools of one provider count alike, and are one row.
            name = f"{record.provider.partition(':')[0]}/{record.model}"
            yield Sample(name, count.encoding, count.certainty, count.tokens, record.input_tokens)


def _fields(body: bytes) -> Mapping[str, msgspec.Raw]:
    try:
        return msgspec.json.decode(body, type=dict[str, msgspec.Raw]) if body else {}
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _row(one: Calibration) -> list[Cell]:
    return [
        Cell(plain(one.model)),
        Cell(f"{one.calls:,}"),
        Cell(tokens(one.counted)),
        Cell(tokens(one.billed)),
        Cell(f"{one.ratio:.2f}"),
        Cell(f"{one.low:.2f} to {one.high:.2f}"),
        Cell(f"{one.encoding} ({one.certainty})"),
    ]


def _why_none(skipped: int) -> str:
    if not skipped:
        return "no answered calls are recorded in that time whose tokens the provider has said"
    return (
        f"of {skipped:,} call{'s' * (skipped != 1)} no content is kept, so that nothing can be counted "
        "(`retention.content` in a workload's contract has it kept from then on)"
    )
