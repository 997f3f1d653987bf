"""What a recorded call costs, line by line: worked out again from the price table that it was settled at.

The amount is the record's, always. Lines are shown only where they sum to it: a call of several attempts keeps their
tokens together, and each was charged by itself.
"""

from typing import TYPE_CHECKING

import msgspec

from headworks.catalogue.money import per_mtok_text, usd_text
from headworks.cli.amounts import usd
from headworks.errors import StorageError

if TYPE_CHECKING:
    from headworks.catalogue import Bill, BillLine, PriceArchive
    from headworks.records import Record

_KINDS = {
    "input": "input",
    "cached_input": "cached",
    "cache_write": "written to cache",
    "cache_write_long": "written for longer",
    "output": "output",
    "reasoning": "reasoning",
    "citation": "citations",
    "audio_input": "sound in",
    "cached_audio": "sound, cached",
    "image_input": "images in",
    "cached_image": "images, cached",
    "video_input": "video in",
    "audio_output": "sound out",
    "image_output": "images out",
    "video_output": "video out",
    "audio_hour": "seconds of sound",
    "web_search": "web searches",
    "file_search": "file searches",
    "container_run": "runs in containers",
    "message": "messages",
    "page": "pages",
    "annotated_page": "annotated pages",
    "character": "characters",
    "request": "request",
}
_OTHERS = {"foreign_tokens": "tokens of another model"}
_EACH = frozenset({"request", "web_search", "file_search", "container_run", "message", "page", "annotated_page"})
"""What has a price for each, and not for a million."""
_SOURCES = {"provider": "tokens as the provider says", "estimated": "estimated: tokens counted here", "none": ""}

_STANDARD_TOO = ("default", "auto")
"""OpenAI's words for the standard tier."""


class Account(msgspec.Struct, frozen=True):
    """How a call's cost comes about; `why` says why there is no bill of it. `is_charged`: the provider itself said what
    it had charged."""

    bill: "Bill | None" = None
    why: str = ""
    is_charged: bool = False


def account_of(record: "Record", archive: "PriceArchive") -> Account:
    """The cost of a call, line by line.

    Arguments:
        archive: the price tables that are kept.
    """
    from headworks.catalogue import CHARGED

    if record.cost_pico is None:
        bill = _known_of(record, archive)
        return Account(bill, _why_unknown(record) if bill is None else _why_too_low(bill))
    if not record.price_version:
        return Account(why="nothing was charged")
    if record.price_version.endswith(CHARGED):
        return Account(why="not itemised: the provider says what it charged, and not for what", is_charged=True)
    try:
        book = archive.book(record.price_version)
    except StorageError as error:
        return Account(why=f"not itemised: {error}")
    price = book.for_target(record.provider, record.model)
    if record.endpoint == "batches":  # many calls together: long, though none of them was
        price = price.of_short_calls()
    bill = price.bill(record.usage, at_us=record.opened_us, tier=record.service_tier)
    if bill is None or bill.total_pico != record.cost_pico:
        return Account(why=_why_other(record))
    return Account(bill)


def _known_of(record: "Record", archive: "PriceArchive") -> "Bill | None":
    """What is known of a cost that is not known as a whole, of one attempt."""
    if not record.price_version or record.attempts > 1 or record.endpoint == "batches":
        return None
    try:
        price = archive.book(record.price_version).for_target(record.provider, record.model)
    except StorageError:
        return None
    bill = price.bill(record.usage, at_us=record.opened_us, tier=record.service_tier)
    return bill if bill is not None and bill.unpriced else None


def _why_too_low(bill: "Bill") -> str:
    what = " and ".join(f"{count:,} {_KINDS.get(kind, _OTHERS.get(kind, kind))}" for kind, count in bill.unpriced)
    return f"{what} have no price here, and what has one comes to ${usd_text(bill.total_pico)}"


def _why_unknown(record: "Record") -> str:
    if record.outcome == "lost":
        return "its process died while it was under way"
    if record.price_version:
        return "one of its attempts had no price, or told no usage"
    if record.outcome == "answered" and record.usage_source != "none":
        return f"no price of {record.model or 'the model'} was known, or an earlier release recorded the call"
    return "nobody says what was used, or an earlier release recorded the call"


def _why_other(record: "Record") -> str:
    if record.attempts > 1:
        return f"not itemised: {record.attempts} attempts, each charged by itself"
    return (
        "not itemised: the tokens of the record do not come to it (sound, images and what a cache keeps for an hour or "
        "more have prices of their own)"
    )


def details(record: "Record", account: Account) -> list[tuple[str, str]]:
    """Name and value of the lines that `calls show` prints."""
    bill = account.bill
    if record.cost_pico is None:
        return [("cost", f"not known: {account.why}"), *(_lines(bill) if bill is not None else ())]
    remark = _SOURCES[record.usage_source] if record.price_version else ""
    if account.is_charged:
        remark = "as the provider says that it charged"
    found = [("cost", f"${usd_text(record.cost_pico)}" + (f" ({remark})" if remark else ""))]
    if bill is None:
        found.append(("", account.why))
    else:
        found += _lines(bill)
        if bill.above:
            found.append(("  long context", f"prices of input above {bill.above:,} tokens"))
    found.append(("prices", record.price_version))
    tier = record.service_tier
    if tier:
        is_own = bill is None or tier in (bill.tier, *_STANDARD_TOO)
        applied = "" if bill is None or is_own else f", charged as {bill.tier}"
        found.append(("service tier", f"{tier}{applied}"))
    return found


def _lines(bill: "Bill") -> list[tuple[str, str]]:
    priced = [(f"  {_KINDS[line.kind]}", f"{_price_text(line)} = ${usd_text(line.amount_pico)}") for line in bill.lines]
    unpriced = [
        (f"  {_KINDS.get(kind, _OTHERS.get(kind, kind))}", f"{count:,} x not known") for kind, count in bill.unpriced
    ]
    return [*priced, *unpriced]


def _price_text(line: "BillLine") -> str:
    if line.kind == "request":
        return f"${usd_text(line.price_pico)} each"
    if line.kind in _EACH:
        return f"{line.count:,} x ${usd_text(line.price_pico)}"
    if line.kind == "audio_hour":
        return f"{line.count:,} x ${usd_text(line.price_pico)} an hour"
    return f"{line.count:,} x ${per_mtok_text(line.price_pico)} per million"


def for_machines(record: "Record", account: Account) -> dict[str, object]:
    """The same with amounts as exact decimal strings of dollars. `items` is null where there is no bill; `unpriced` is
    what was used and has no price, by kind."""
    bill = account.bill
    return {
        "total_usd": usd(record.cost_pico),
        "is_estimated": record.usage_source == "estimated",
        "is_charged": account.is_charged,
        "price_version": record.price_version,
        "tier": None if bill is None else bill.tier,
        "long_context_above": None if bill is None else bill.above,
        "items": None
        if bill is None
        else [
            {
                "kind": line.kind,
                "count": line.count,
                "price_usd": usd_text(line.price_pico),
                "amount_usd": usd_text(line.amount_pico),
            }
            for line in bill.lines
        ],
        "unpriced": {} if bill is None else dict(bill.unpriced),
        "note": account.why,
    }
