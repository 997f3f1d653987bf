"""Recorded calls with what is known of their prefixes, as `caching` wants them: from fingerprints or kept text."""

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from headworks.caching import (
    CacheReport,
    CacheRules,
    Cause,
    Charge,
    Parting,
    SeenCall,
    Template,
    TemplatePiece,
    Use,
    cache_report,
    cause_of,
    fingerprint,
    first_varying,
    hash_key,
    read_fingerprint,
    rules_of,
)
from headworks.caching.fingerprint import BLOCK_BYTES
from headworks.caching.replaying import NO_USE
from headworks.calls import Extras, Usage
from headworks.catalogue import PriceArchive, TargetPrice
from headworks.cli.call_show import kept_content, template_of
from headworks.config import price_book
from headworks.errors import ConfigError, HeadworksError, StorageError

if TYPE_CHECKING:
    from headworks.config import Project
    from headworks.records import Record, Store

Fields = dict[str, msgspec.Raw]


class Found(msgspec.Struct, frozen=True):
    """Where calls part, and why: `first_byte` is exact where `last_byte` is the same, else it lies between them.

    `at_most_pico` is what the calls would have cost less if all fixed text behind that place had been read from the
    cache by all but the first of them; 0 for nothing, None where no price is known.
    """

    parting: Parting
    first_byte: int
    last_byte: int
    cause: Cause
    at_most_pico: int | None


class Sight(msgspec.Struct, frozen=True):
    """What is known of the calls of one workload, prompt (by version and hash), provider (with its pool) and model.

    Attributes:
        calls: how many there are with one attempt and the provider's own count of tokens.
        input_tokens, cached_tokens, written_tokens: of all these.
        left_out: how many more there are: of several attempts, or counted here.
        is_redacted: prefixes are those of text that was redacted before it was kept.
        rules: of the model's cache.
        report: of those calls whose prefixes are known; None where none is.
        found: where these part.
    """

    workload: str
    prompt_version: str
    prompt_hash: str
    provider: str
    model: str
    calls: int
    input_tokens: int
    cached_tokens: int
    written_tokens: int
    left_out: int
    is_redacted: bool
    rules: CacheRules
    report: CacheReport | None = None
    found: tuple[Found, ...] = ()


class Prefixes:
    """Finds out about the calls of a project. State: price tables and keys that were looked up.

    Arguments:
        warn: told once of what cannot be read.
    """

    def __init__(self, store: "Store", project: "Project", warn: Callable[[str], None]) -> None:
        self._store = store
        self._project = project
        self._warn = warn
        self._warned: set[str] = set()
        self._archive = PriceArchive(project.storage)
        self._prices: dict[tuple[str, str, str], TargetPrice] = {}

    def sights(self, workload: str, records: "Sequence[Record]") -> list[Sight]:
        """What is known of these calls of a workload, by prompt version and model, the most calls first.

        Arguments:
            records: in any order.
        """
        groups: dict[tuple[str, str, str, str], list[Record]] = {}
        for record in sorted(records, key=lambda one: (one.opened_us, one.seq)):
            group = (record.prompt_version, record.prompt_hash, record.provider, record.model)
            groups.setdefault(group, []).append(record)
        found = [self._sight(workload, group) for (_, _, provider, _), group in groups.items() if provider]
        return sorted(found, key=lambda one: (-one.calls, one.prompt_version, one.provider, one.model))

    def _sight(self, workload: str, records: "list[Record]") -> Sight:
        usable = [one for one in records if one.attempts == 1 and one.usage_source == "provider" and one.input_tokens]
        last = records[-1]
        kind = self._kind(last.provider)
        price = self._price(last)
        seen = self._seen(workload, usable)
        is_redacted = any(fields is not None for _, _, fields in seen) and self._redacts(workload)
        sight = Sight(
            workload,
            last.prompt_version,
            last.prompt_hash,
            last.provider,
            last.model,
            len(usable),
            sum(one.input_tokens for one in usable),
            sum(one.cached_tokens for one in usable),
            sum(one.cache_write_tokens for one in usable),
            len(records) - len(usable),
            is_redacted,
            rules_of(kind, None if price.model is None else price.model.cache),
        )
        if not seen:
            return sight
        calls = [call for _, call, _ in seen]
        charge = self._charge([record for record, _, _ in seen])
        report = cache_report(calls, sight.rules, charge)
        _, source = template_of(self._project, last)
        template = None if source is None else _template(workload, source)
        texts = [fields for _, _, fields in seen]
        found = tuple(_found(parting, texts, template, charge) for parting in report.partings)
        return msgspec.structs.replace(sight, report=report, found=found)

    def _kind(self, provider: str) -> str:
        configured = self._project.config.providers.get(provider.partition(":")[0])
        return "" if configured is None else configured.kind

    def _redacts(self, workload: str) -> bool:
        from headworks.config import load_workloads

        try:
            return any(
                one.name == workload and one.contract.retention.content == "redacted"
                for one in load_workloads(self._project)
            )
        except ConfigError:
            return False

    def _seen(self, workload: str, records: "Sequence[Record]") -> "list[tuple[Record, SeenCall, Fields | None]]":
        """The calls whose prefixes are known, with the text where that is kept."""
        found = []
        now_us = time.time_ns() // 1000
        key = b""
        for record in records:
            kinds = self._store.content(record.seq, now_us)
            fields = self._fields(record) if "request" in kinds else None
            key = key or (b"" if fields is None else hash_key(self._secret(), workload))
            data = kinds.get("prefix") or (b"" if fields is None else fingerprint(fields, key))
            read = read_fingerprint(data)
            if read is not None:
                call = SeenCall(
                    record.opened_us,
                    read.blocks,
                    read.whole_bytes,
                    record.input_tokens,
                    record.cached_tokens,
                    record.cache_write_tokens,
                    read.key,
                )
                found.append((record, call, fields))
        return found

    def _secret(self) -> bytes:
        """The server's, so that what is hashed here equals what workers have hashed; b"" where there is none."""
        from headworks.access import server_secret

        reference = self._project.config.access.secret
        if reference.startswith("file:") and not (self._project.folder / reference.removeprefix("file:")).exists():
            return b""
        try:
            return server_secret(reference, self._project.folder, os.environ)
        except HeadworksError as error:
            self._say(str(error))
            return b""

    def _fields(self, record: "Record") -> Fields | None:
        try:
            content = kept_content(self._store, self._project, record)
            return msgspec.json.decode(content.get("request", b""), type=Fields)
        except HeadworksError as error:
            self._say(f"{error}; that of more calls may be the same", about="content")
        except msgspec.MsgspecError:
            self._say(f"what is kept of the request of {record.call_id} is no JSON object", about="form")
        return None

    def _price(self, record: "Record") -> TargetPrice:
        """By the table that the call was settled at; by today's where that is not kept."""
        provider = record.provider.partition(":")[0]
        which = (record.price_version, provider, record.model)
        if which not in self._prices:
            book = None
            if record.price_version:
                try:
                    book = self._archive.book(record.price_version)
                except StorageError as error:
                    self._say(f"{error}; today's prices are taken")
            if book is None:
                book = price_book(self._project, self._archive.current())
            self._prices[which] = book.for_target(provider, record.model)
        return self._prices[which]

    def _charge(self, records: "Sequence[Record]") -> Charge | None:
        prices = [self._price(record) for record in records]
        if not all(price.is_known for price in prices):
            return None

        def charge(place: int, use: Use) -> int:
            record = records[place]
            kept = record.usage.extras
            is_long = kept is not None and kept.long_cache_write_tokens > 0
            extras = Extras(long_cache_write_tokens=use.written) if is_long else None
            usage = Usage(record.input_tokens, use.cached, use.written, source="provider", extras=extras)
            cost = prices[place].cost(usage, at_us=record.opened_us, tier=record.service_tier)
            assert cost is not None, "the price is known"
            return cost.input + cost.cached_input + cost.cache_write

        return charge

    def _say(self, text: str, *, about: str = "") -> None:
        """Say something once, or once of what it is about."""
        if (about or text) not in self._warned:
            self._warned.add(about or text)
            self._warn(text)


def _template(workload: str, source: str) -> Template | None:
    from headworks.prompts import parse

    try:
        prompt = parse(source, name=workload, file="prompt.md")
    except ConfigError:
        return None
    sections = tuple(
        tuple(TemplatePiece(piece.line, piece.column, piece.text, piece.names) for piece in section.pieces)
        for section in prompt.sections
    )
    return Template(sections, prompt.input_at)


def _found(parting: Parting, texts: Sequence[Fields | None], template: Template | None, charge: Charge | None) -> Found:
    one, other = (texts[place] for place in parting.examples)
    start = parting.blocks * BLOCK_BYTES
    if one is not None and other is not None:
        start, cause = cause_of(one, other, template)
        end = start
    else:
        end = start + BLOCK_BYTES - 1
        cause = Cause("", is_known=False) if template is None else first_varying(template, end)
    at_most = None
    if charge is not None:
        place = parting.examples[1]
        at_most = (charge(place, NO_USE) - charge(place, Use(cause.fixed_tokens))) * (parting.calls - 1)
    return Found(parting, start, end, cause, at_most)
