"""The lint of a prompt: above all whether its fixed text can be served from the provider's cache, and what it costs
where it cannot.

A provider caches the longest beginning that two calls share: tools, then the schema, then messages, byte for byte
(OpenAI prompt-caching guide, Anthropic prompt-caching guide, 2026-11). Tokens are counted by the model's tokenizer
where the caller passes it, else by the catalogue's estimate.
"""

import re
from collections.abc import Callable
from typing import Literal

import msgspec

from headworks.catalogue import count_tokens
from headworks.config.document import Mark
from headworks.prompts.json_order import disorders
from headworks.prompts.prompt import Piece, Prompt

Rule = Literal[
    "variable-before-static",
    "volatile-in-prefix",
    "few-shots-after-variables",
    "unordered-tools",
    "unordered-schema-keys",
    "prefix-too-short",
    "breakpoint-missing",
    "breakpoint-misplaced",
    "unused-variable",
    "unfenced-variable",
]

DAYS_A_MONTH = 30
CACHE_STEP_TOKENS = 128
"""A provider's cache takes a prefix by so many tokens (OpenAI prompt-caching guide, 2026-11): fewer change nothing."""

_PICO_PER_MICRO = 1_000_000
_WRITE_SURCHARGE_PERCENT = 25
"""Cache writes bill at 1.25 times the input price (OpenAI from gpt-5.6 on; Anthropic, five minutes)."""

_VOLATILE_WORDS = frozenset(
    {"date", "datetime", "day", "now", "today", "time", "timestamp", "id", "uuid", "guid", "user", "username", "name",
     "session", "request", "trace", "nonce"}
)  # fmt: skip
_VOLATILE_TEXT = (
    ("a date", re.compile(r"\b(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?!\d)")),
    ("an id", re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")),
    ("a timestamp", re.compile(r"(?<![\d.])1\d{9}(?:\d{3})?(?!\d|\.\d)")),
)
_SHOTS = re.compile(
    r"^[ \t]*(?:input|question|q|example(?: \d+)?)[ \t]*:.*\n+[ \t]*(?:output|answer|a)[ \t]*:"
    r"|^.+\S[ \t]*(?:->|=>|\u2192)[ \t]*\S.*\n+.+\S[ \t]*(?:->|=>|\u2192)[ \t]*\S",
    re.IGNORECASE | re.MULTILINE,
)
"""Two lines that give a question and its answer, or one a line, twice."""


class LintPrices(msgspec.Struct, frozen=True):
    """Prices of input in pico-USD a token: as such, read from the cache, and written into it; None where a write has no
    price of its own that is known."""

    input_pico_usd: int
    cached_pico_usd: int
    write_pico_usd: int | None = None


class LintFinding(msgspec.Struct, frozen=True):
    """Something that could be better. `file` says what line and column count in.

    `monthly_cost_micro_usd` is what it costs in 30 days at the declared volume; None where that is nothing, or no
    price is known. `tokens` are those of one call that it concerns; None where there are none to count. Findings may
    have one cause: their costs are not to be added up.

    `weighs` tells what is worth stopping for from a remark: fixed text of at least `CACHE_STEP_TOKENS` that a provider
    would cache and cannot; a breakpoint that is paid for and never read; tools or keys without one order; whoever
    chooses a value instructing the model.
    """

    rule: Rule
    line: int
    column: int
    message: str
    monthly_cost_micro_usd: int | None = None
    file: Literal["prompt", "tools", "schema"] = "prompt"
    tokens: int | None = None
    weighs: bool = False


def lint(
    prompt: Prompt,
    *,
    tools: bytes | None,
    schema: bytes | None,
    calls_per_day: int,
    prices: LintPrices | None,
    minimum_tokens: int = 1024,
    count: Callable[[str], int] = count_tokens,
) -> list[LintFinding]:
    """What could be better, in the order of the files.

    Arguments:
        prompt: the prompt.
        tools: the tools as they are sent, a JSON array.
        schema: the output's JSON schema as it is sent.
        calls_per_day: the declared volume.
        prices: of the model in use.
        minimum_tokens: the least prefix that the provider caches (OpenAI: 1,024; Anthropic: 512 to 4,096 by model).
        count: counts the tokens of a text for the model in use.
    """
    before = sum(count(text.decode("utf-8", "replace")) for text in (tools, schema) if text is not None)
    layout = _Layout(prompt, before, calls_per_day, prices, minimum_tokens, count)
    found = [
        *layout.variable_before_static(),
        *layout.volatile(),
        *layout.few_shots(),
        *layout.prefix(),
        *_variables(prompt),
    ]
    found.sort(key=lambda finding: (finding.line, finding.column))
    return found + layout.disordered(tools, "tools") + layout.disordered(schema, "schema")


class _Part(msgspec.Struct, frozen=True):
    """A piece in the order in which it is sent; `section` is None for the caller's messages."""

    piece: Piece
    section: int | None
    tokens: int
    is_variable: bool


class _Layout:
    """The pieces of all messages in a row, and what lies before and after the first that varies."""

    def __init__(
        self,
        prompt: Prompt,
        before: int,
        calls_per_day: int,
        prices: LintPrices | None,
        minimum_tokens: int,
        count: Callable[[str], int],
    ) -> None:
        self._prompt = prompt
        self._count = count
        self._parts = _parts(prompt, count)
        self._monthly_calls = calls_per_day * DAYS_A_MONTH
        self._prices = prices
        self._minimum = minimum_tokens
        self._first = next((at for at, part in enumerate(self._parts) if part.is_variable), len(self._parts))
        self._prefix_tokens = before + sum(part.tokens for part in self._parts[: self._first])

    def variable_before_static(self) -> list[LintFinding]:
        """Fixed text behind the first thing that varies."""
        missed = self._tokens_after(self._first)
        if not missed:
            return []
        part = self._parts[self._first]
        following = next(other for other in self._parts[self._first :] if other.tokens)
        short = (
            ""
            if self._prefix_tokens + missed >= self._minimum
            else (f"; yet all fixed text together is below the {self._minimum} tokens that are cached at the least")
        )
        return [
            self._finding(
                "variable-before-static",
                part.piece,
                f"{_what(part)} stands before fixed text (line {following.piece.line}), so about {missed} tokens are "
                f"never served from the cache: move it behind all fixed text{short}",
                self._unserved(missed),
                missed,
            )
        ]

    def volatile(self) -> list[LintFinding]:
        """What changes with every call, or every day, before fixed text."""
        found = []
        for at, part in enumerate(self._parts):
            after = self._tokens_after(at)
            for name in part.piece.names:
                if after and _VOLATILE_WORDS.intersection(name.split("_")):
                    message = (
                        f"`{name}` looks like something that changes with every call; about {after} tokens of fixed "
                        "text stand behind it and are never served from the cache: move it to the end"
                    )
                    found.append(self._finding("volatile-in-prefix", part.piece, message, self._unserved(after), after))
        return found + self._volatile_text()

    def _volatile_text(self) -> list[LintFinding]:
        """Dates and ids that are written out in the prefix."""
        found = []
        for at, part in enumerate(self._parts[: self._first]):
            behind = sum(later.tokens for later in self._parts[at + 1 : self._first])
            for what, pattern in _VOLATILE_TEXT:
                for match in pattern.finditer(part.piece.text):
                    mark = _within(part.piece, match.start())
                    message = (
                        f"the text looks like {what}; each time it is changed, the cache is filled anew from here on "
                        "(reckoned with once a day): if it changes often, make it a variable at the end"
                    )
                    cost = self._refilled(behind + self._count(part.piece.text[match.start() :]))
                    found.append(LintFinding("volatile-in-prefix", mark.line, mark.column, message, cost))
        return found

    def disordered(self, text: bytes | None, file: Literal["tools", "schema"]) -> list[LintFinding]:
        """What has no one order, in a text that is sent before all messages."""
        if text is None:
            return []
        rule: Rule = "unordered-tools" if file == "tools" else "unordered-schema-keys"
        cost = self._refilled(self._prefix_tokens)
        more = "; written in another order, the whole prefix is cached anew (reckoned with once a day)"
        return [
            LintFinding(rule, mark.line, mark.column, message + more, cost, file, weighs=True)
            for mark, message in disorders(text, are_tools=file == "tools")
        ]

    def few_shots(self) -> list[LintFinding]:
        """Examples behind the first thing that varies."""
        found = []
        for number, section in enumerate(self._prompt.sections):
            tokens = self._tokens_missed(number)
            if section.role != "assistant" or not tokens:
                continue
            if number and self._prompt.sections[number - 1].role == "user":
                tokens += self._tokens_missed(number - 1)
            message = (
                f"this example stands behind what varies, so its about {tokens} tokens are never served from the "
                "cache: move examples in front of it"
            )
            place = Piece(section.line, section.column)
            found.append(self._finding("few-shots-after-variables", place, message, self._unserved(tokens), tokens))
        return found + self._written_out_shots()

    def _written_out_shots(self) -> list[LintFinding]:
        """The same of examples that are written out in somebody else's section: a question and its answer."""
        found = []
        for part in self._parts[self._first :]:
            match = _SHOTS.search(part.piece.text) if not part.is_variable else None
            if match is not None and self._prompt.sections[part.section or 0].role != "assistant":
                mark = _within(part.piece, match.start())
                tokens = self._count(part.piece.text[match.start() :])
                message = (
                    f"this looks like examples behind what varies, whose about {tokens} tokens are never served from "
                    "the cache: move them in front of it"
                )
                place = Piece(mark.line, mark.column)
                found.append(self._finding("few-shots-after-variables", place, message, self._unserved(tokens), tokens))
        return found

    def prefix(self) -> list[LintFinding]:
        """The prefix's length, and whether its end is marked."""
        tokens, setting = self._prefix_tokens, self._prompt.breakpoint
        is_long_enough = tokens >= self._minimum
        has_tail = self._first < len(self._parts)
        found = []
        start = self._parts[0].piece
        if not is_long_enough and tokens:
            message = (
                f"what is the same at the beginning of every call is about {tokens} tokens, and the provider caches "
                f"from {self._minimum} on: nothing of it is served from the cache"
            )
            found.append(self._finding("prefix-too-short", start, message, self._unserved(tokens), tokens))
        place = self._prompt.places.get(("cache", "breakpoint"), Mark(start.line, start.column))
        here = Piece(place.line, place.column)
        if setting == "off" and is_long_enough and has_tail:
            message = (
                f"a prefix of about {tokens} tokens is followed by what varies, and its end is not marked: "
                "`breakpoint: auto` has it cached"
            )
            found.append(self._finding("breakpoint-missing", here, message, self._unserved(tokens), tokens))
        if setting == "auto" and not (is_long_enough and has_tail):
            why = (
                "nothing in the prompt varies behind the prefix (a line `{% input %}` says where callers' messages go)"
                if is_long_enough
                else f"the prefix of about {tokens} tokens is below the {self._minimum} that are cached at the least"
            )
            message = f"{why}: a breakpoint has the prefix written at 1.25 times its price for no one to read"
            found.append(self._finding("breakpoint-misplaced", here, message, self._surcharge(tokens), tokens))
        return found

    def _tokens_missed(self, section: int) -> int:
        """The fixed tokens of a section that stand behind the first thing that varies."""
        return sum(part.tokens for part in self._parts[self._first :] if part.section == section)

    def _tokens_after(self, at: int) -> int:
        return sum(part.tokens for part in self._parts[at + 1 :])

    def _unserved(self, tokens: int) -> int | None:
        """What these tokens cost more, in a month, than if they were read from the cache."""
        if self._prices is None:
            return None
        return self._monthly(tokens * (self._prices.input_pico_usd - self._prices.cached_pico_usd))

    def _refilled(self, tokens: int) -> int | None:
        """What it costs to send these tokens once a day, in a month, to a cache that had others."""
        if self._prices is None:
            return None
        a_day = tokens * (self._prices.input_pico_usd - self._prices.cached_pico_usd)
        return (a_day * DAYS_A_MONTH + _PICO_PER_MICRO // 2) // _PICO_PER_MICRO

    def _surcharge(self, tokens: int) -> int | None:
        """What writing these tokens costs at the most."""
        if self._prices is None:
            return None
        if self._prices.write_pico_usd is not None:
            return self._monthly(tokens * max(0, self._prices.write_pico_usd - self._prices.input_pico_usd))
        return self._monthly(tokens * self._prices.input_pico_usd * _WRITE_SURCHARGE_PERCENT // 100)

    def _monthly(self, pico_usd_a_call: int) -> int:
        return (pico_usd_a_call * self._monthly_calls + _PICO_PER_MICRO // 2) // _PICO_PER_MICRO

    def _finding(self, rule: Rule, piece: Piece, message: str, cost: int | None, tokens: int) -> LintFinding:
        is_cacheable = self._prefix_tokens + self._tokens_after(self._first) >= self._minimum
        weighs = is_cacheable and tokens >= CACHE_STEP_TOKENS
        return LintFinding(rule, piece.line, piece.column, message, cost, tokens=tokens, weighs=weighs)


def _parts(prompt: Prompt, count: Callable[[str], int]) -> list[_Part]:
    parts: list[_Part] = []
    for number, section in enumerate((*prompt.sections, None)):
        if number == prompt.input_at and prompt.input_mark is not None:
            place = Piece(prompt.input_mark.line, prompt.input_mark.column)
            parts.append(_Part(place, None, 0, is_variable=True))
        if section is not None:
            parts += [
                _Part(piece, number, count(piece.text), is_variable=bool(piece.names)) for piece in section.pieces
            ]
    return parts


def _what(part: _Part) -> str:
    if part.section is None:
        return "`{% input %}`, where callers' messages go,"
    return ", ".join(f"`{name}`" for name in part.piece.names)


def _within(piece: Piece, offset: int) -> Mark:
    """The place of an offset into a piece's text."""
    before = piece.text[:offset]
    line_end = before.rfind("\n")
    return Mark(piece.line + before.count("\n"), offset - line_end if line_end >= 0 else piece.column + offset)


def _variables(prompt: Prompt) -> list[LintFinding]:
    """Variables that are not used, and untrusted ones where the model takes orders from."""
    found = []
    pieces = [piece for section in prompt.sections for piece in section.pieces]
    used = {name for piece in pieces for name in piece.names}
    for name in prompt.variables.keys() - used:
        mark = prompt.places[("variables", name)]
        message = f"`{name}` is declared and not used: remove it (that is a major version), or use it"
        found.append(LintFinding("unused-variable", mark.line, mark.column, message))
    for section in prompt.sections:
        if section.role not in ("developer", "system"):
            continue
        for piece in section.pieces:
            for name in piece.unfenced:
                variable = prompt.variables[name]
                if variable.trusted or variable.type in ("enum", "integer", "number", "boolean"):
                    continue
                message = (
                    f"whoever chooses `{name}` instructs the model here: fence it (`{{{{ {name}|fence }}}}`), move it "
                    "to a user section, or declare it `trusted: true`"
                )
                found.append(LintFinding("unfenced-variable", piece.line, piece.column, message, weighs=True))
    return found
