"""Step 6, admit: money. A call that may be under a budget sets aside the most that it can cost before it is made, and
gives back the rest when it has ended: so a hard budget is never exceeded, whoever calls at the same time."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter, time

import msgspec

from headworks.access import Grant
from headworks.answering import UpstreamRefusal, refusal_of
from headworks.calls import NO_BUDGET, Budget, Endpoint, Failure, FailureKind
from headworks.catalogue import TargetPrice
from headworks.catalogue.money import dollars, usd_text
from headworks.dialects.reading import Fields
from headworks.errors import LimitsUnavailable, StorageError
from headworks.limits.budgets import (
    BATCHES,
    PERIOD_S,
    Account,
    Allowance,
    AllowanceSource,
    Claim,
    Purse,
    PurseFile,
    Purses,
    Slot,
    Spender,
    accounts_of,
)
from headworks.telemetry import report

LONGEST_WAIT_S = 5.0
"""No call waits longer for money that others have set aside: they end in that time, or take as much."""

IMAGE_TOKENS = 50_000
"""More than any image takes: 8 tiles of 5,667 tokens and 2,833 are the most that OpenAI counts for one (GPT-4o mini;
"Images and vision", calculating costs)."""

_FRAME_TOKENS = 1024
"""Beyond one token a byte, what a provider adds around messages and tools."""

_ANSWER_TOKENS = 128_000
_WINDOW_TOKENS = 1_100_000
"""Where the catalogue does not know a model's bounds: the largest output and window that models have which are sold
today (2026-11)."""

_SESSIONS = Endpoint.REALTIME.value

_LOOPS = 10
"""A tool that the provider runs makes it read its window again, each time. How often, nobody bounds; this is many."""

_HAND_OVER_S = 2.0
"""Most that whoever makes a batch waits for the books, seconds."""

_MOST_PICO = 10**15
"""$1,000: 128 answers of 128,000 tokens cost less at the dearest price that is known (2026-11)."""

_REMEMBERED = 4096
"""Budgets whose accounts are kept at hand."""

_LIMIT_NAMES = {
    Endpoint.RESPONSES: ("max_output_tokens",),
    Endpoint.CHAT: ("max_completion_tokens", "max_tokens"),
    Endpoint.COMPLETIONS: ("max_tokens",),
    Endpoint.MESSAGES: ("max_tokens",),
}
"""By API: what bounds an answer there. A field with another API's name bounds nothing, whatever it says."""

_READ_ONLY = frozenset({Endpoint.EMBEDDINGS, Endpoint.MODERATIONS})
"""What writes no tokens."""

_MOST_CANDIDATES = 8
"""Answers to one call at most (Gemini API reference, `candidateCount`, 2026-11)."""
_HIDDEN = (b'"file_id"', b'"file_url"', b'"file_uri"', b'"fileUri"', b'"input_audio"', b'"video')
_IMAGES = (b'"input_image"', b'"image_url"', b'"image"', b'"inline_data"', b'"inlineData"')
_HOSTED = (
    b'"web_search', b'"file_search"', b'"code_interpreter"', b'"mcp"', b'"computer', b'"image_generation"',
    b'"google_search"', b'"googleSearch"', b'"code_execution',
)  # fmt: skip
_MEDIA = (*_HIDDEN, *_IMAGES, *_HOSTED, b'esponseModalities"', b'esponse_modalities"')
_LONG_CACHES = (b'"1h"', b'"12h"', b'"24h"')
_STORED = ("previous_response_id", "conversation", "prompt", "cachedContent")


_OTHER_THAN_TEXT = (*_STORED, "modalities", "audio")
"""Fields of a request, of which a call may read or write something else than text."""


def most_tokens(
    fields: Fields, price: TargetPrice, request_bytes: int = 0, endpoint: str = Endpoint.RESPONSES
) -> tuple[int, int]:
    """The most tokens that a call can take, in and out. A token is a byte at least, so the request bounds its own text;
    what it only refers to is bounded by the model's window, where one is known.

    Arguments:
        fields: what goes up.
        request_bytes: of what the caller sent, which may be no JSON.
        endpoint: the API that they are of.
    """
    size = max(request_bytes, sum(map(len, fields.values())))
    if endpoint in _READ_ONLY:
        return size + _FRAME_TOKENS, 0  # many texts, of a window each
    model = price.model
    window = (None if model is None else model.context_tokens) or _WINDOW_TOKENS
    written = (None if model is None else model.max_output_tokens) or min(window, _ANSWER_TOKENS)
    given = [_whole(fields, name) for name in _LIMIT_NAMES.get(Endpoint(endpoint), ()) if name in fields]
    if given and all(given):  # of two, an older server may know the one or the other
        written = min(written, max(given))
    data = [_plain(bytes(raw)) for raw in fields.values()]
    answers = max(1, _whole(fields, "n")) * max(1, _whole(fields, "best_of"))
    if any(mark in raw for raw in data for mark in (b"candidateCount", b"candidate_count")):
        answers *= _MOST_CANDIDATES
    if "web_search_options" in fields or any(mark in raw for raw in data for mark in _HOSTED):
        return window * _LOOPS, written * answers
    if any(name in fields for name in _STORED) or any(mark in raw for raw in data for mark in _HIDDEN):
        return window, written * answers
    images = sum(raw.count(mark) for raw in data for mark in _IMAGES)
    return min(window, size + _FRAME_TOKENS + IMAGE_TOKENS * images), written * answers


def _whole(fields: Fields, name: str) -> int:
    """A whole number; 0 where there is none."""
    raw = bytes(fields.get(name, b""))
    return int(raw) if raw.isdigit() and len(raw) < 19 else 0


def _plain(raw: bytes) -> bytes:
    """JSON in which no letter is escaped, so that what stands in it can be found."""
    if b"\\u" not in raw:
        return raw
    try:
        return msgspec.json.encode(msgspec.json.decode(raw))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return raw  # no JSON: whoever is asked will say so


def spent_up(purse: Purse, amount: int) -> Failure:
    """Why a call is not made, of which a budget has not as much left as it can cost."""
    account = purse.account
    what = f"the budget of {account.of} for this {account.kind} ({dollars(account.cap)})"
    if amount > account.cap:
        detail = f"{what} is below what this call can cost ({dollars(amount)}): lower its output limit"
    elif amount > purse.left_unspent:
        detail = f"{what} has {dollars(max(0, purse.left_unspent))} left, and this call can cost {dollars(amount)}"
        if purse.left_unspent > 0:
            detail += ": lower its output limit, or have the budget raised"
    else:
        detail = f"what {what} has left is set aside for calls under way: try again when they have ended"
    over_s = account.ends_us / 1e6 - time()
    return Failure(FailureKind.BUDGET, detail, retry_after_s=max(1.0, over_s) if amount > purse.left_unspent else 1.0)


def unpriced() -> Failure:
    """Why a call under a hard budget is not made where nobody knows what it costs."""
    detail = (
        "what this model costs is not known, and this call is under a budget: the gateway's operator must give it "
        "`prices` in headworks.yaml"
    )
    return Failure(FailureKind.BUDGET, detail)


class CallMoney:
    """What one call has set aside. State: that, by purse.

    Arguments:
        purses: its budgets, the widest last.
        fields: what goes up.
        at_us: when it began, in microseconds since the Unix epoch.
        request_bytes: of what the caller sent.
        endpoint: the API that it calls.
    """

    __slots__ = ("_at_us", "_bytes", "_endpoint", "_fields", "_purses", "_reserved", "_spender", "_taken")

    def __init__(
        self, purses: tuple[Purse, ...], fields: Fields, at_us: int, request_bytes: int = 0, endpoint: str = ""
    ) -> None:
        self._purses = purses
        self._endpoint = endpoint or Endpoint.RESPONSES
        self._bytes = request_bytes
        self._fields = fields
        self._at_us = at_us
        self._spender: Spender | None = None
        self._reserved = 0
        self._taken = 0

    def bound(self, price: TargetPrice) -> int | None:
        """The most that an attempt can cost, or one response of a session; None where that is not known."""
        if self._endpoint == _SESSIONS:
            from headworks.realtime import most_per_response  # only who has sessions loads it

            return most_per_response(price, self._at_us)
        tokens = most_tokens(self._fields, price, self._bytes, self._endpoint)
        has_media = has_long_cache = False
        if price.has_kinds:
            data = [_plain(bytes(raw)) for raw in self._fields.values()]
            is_special = any(name in self._fields for name in _OTHER_THAN_TEXT)
            has_media = is_special or any(mark in raw for raw in data for mark in _MEDIA)
            has_long_cache = any(mark in raw for raw in data for mark in _LONG_CACHES)
        most = price.most(*tokens, at_us=self._at_us, has_media=has_media, has_long_cache=has_long_cache)
        return None if most is None else self.countable(most)

    def countable(self, amount: int) -> int:
        """So much, or less: of what asks for a billion answers a hard budget refuses all; a soft one must be able to
        count it."""
        return amount if self.is_hard else min(amount, _MOST_PICO)

    @property
    def reserved(self) -> int:
        """What is set aside."""
        return self._reserved

    @property
    def is_hard(self) -> bool:
        """Whether any of its budgets refuses calls."""
        return any(purse.account.is_hard for purse in self._purses)

    def begin(
        self, amount: int, due_s: float, go: Callable[[], None], refuse: Callable[[UpstreamRefusal], None]
    ) -> Spender | None:
        """Set so much aside in every purse: None when that is done; else the call waits, and one of the two is called
        later."""
        self._reserved = amount
        return self._take_next(due_s, go, refuse)

    def begin_empty(self) -> None:
        """Set nothing aside yet: each attempt does."""
        self._reserved, self._taken = 0, len(self._purses)

    def leave(self) -> None:
        """The call waits no more, and gives back what it has."""
        if self._spender is not None:
            self._spender.leave()
        self.settle(0)

    def extend(self, amount: int, now_s: float) -> Failure | None:
        """Set aside for one more attempt, at once or not at all; why it cannot be."""
        for index, purse in enumerate(self._purses):
            if not purse.try_reserve(amount, now_s):
                for taken in self._purses[:index]:
                    taken.settle(amount, 0)
                return spent_up(purse, amount)
        self._reserved += amount
        return None

    def settle(self, cost_pico: int) -> None:
        """The call has ended and came to so much; -1: nobody knows, so all that was set aside counts."""
        real = self._reserved if cost_pico < 0 else cost_pico
        for purse in self._purses[: self._taken]:
            purse.settle(self._reserved, real)
        self._taken = self._reserved = 0

    def hold_no_more(self) -> None:
        """It was set aside for what is no call: nothing is held ahead for more of the kind."""
        for purse in self._purses:
            purse.hold_no_more()

    def hand_over(self) -> None:
        """What was set aside is another holder's."""
        for purse in self._purses[: self._taken]:
            purse.hand_over(self._reserved)
        self._taken = self._reserved = 0

    def claims(self) -> list[Claim]:
        """What is set aside, of each of its budgets, as another holder's than this worker."""
        return [Claim(purse.account, 0, self._reserved, 0) for purse in self._purses[: self._taken]]

    def headers(self) -> bytes:
        """What is left of the tightest budget, as a header."""
        tightest = min(self._purses, key=lambda purse: purse.left)
        if not tightest.is_known:
            return b""
        left = b"x-headworks-budget-remaining-usd: %b\r\n" % usd_text(tightest.left).encode()
        if tightest.left < 0 and not tightest.account.is_hard:
            left += b"x-headworks-budget-exceeded: %b\r\n" % tightest.account.kind.encode()
        return left

    def _take_next(
        self, due_s: float, go: Callable[[], None], refuse: Callable[[UpstreamRefusal], None]
    ) -> Spender | None:
        """Take of the purses that nothing was taken of yet, up to one where the call must wait."""
        while self._taken < len(self._purses):
            purse = self._purses[self._taken]
            if not purse.try_reserve(self._reserved, perf_counter()):
                return self._wait_for(purse, due_s, go, refuse)
            self._taken += 1
        return None

    def _wait_for(
        self, purse: Purse, due_s: float, go: Callable[[], None], refuse: Callable[[UpstreamRefusal], None]
    ) -> Spender:
        def taken() -> None:
            self._taken += 1
            self._spender = None
            if self._take_next(due_s, go, refuse) is None:
                go()

        def refused() -> None:
            amount = self._reserved
            self._spender = None
            self.settle(0)
            refuse(refusal_of(spent_up(purse, amount)))

        self._spender = Spender(self._reserved, due_s, taken, refused)
        purse.wait(self._spender)
        return self._spender


class Wallet:
    """The budgets of one worker's calls. State: its purses, and the exchange with whoever keeps the books.

    Arguments:
        source: whoever keeps the books.
        holder: this worker's name, unique over all machines.
        now: Unix seconds.
        folder: where what is spent and set aside is noted as it happens (`purse_files`), so that it outlives this
            worker; None: nowhere.
    """

    def __init__(
        self,
        source: AllowanceSource,
        holder: str,
        loop: asyncio.AbstractEventLoop,
        *,
        now: Callable[[], float] = time,
        folder: Path | None = None,
    ) -> None:
        self._source = source
        self._holder = holder
        self._loop = loop
        self._now = now
        self._folder = folder
        self._file: PurseFile | None = None
        self._trouble = ""
        self._purses = Purses(self._ring, self._make_slot, self._give_back)
        self._teams: Mapping[str, Budget] = {}
        self._accounts: dict[tuple[str, Budget], tuple[float, tuple[Account, ...]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = math.inf
        self._exchange: asyncio.Task[None] | None = None
        self._hand_overs: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def reconfigure(self, teams: Mapping[str, Budget]) -> None:
        """Take other budgets of teams from now on."""
        self._teams = {team: budget for team, budget in teams.items() if budget != NO_BUDGET}

    @property
    def has_teams(self) -> bool:
        """Whether any team has a budget."""
        return bool(self._teams)

    def money(
        self, grant: Grant, fields: Fields, workload: str, budget: Budget, request_bytes: int = 0, endpoint: str = ""
    ) -> CallMoney | None:
        """What a call may spend; None where it is under no budget.

        Arguments:
            fields: what goes up.
            workload, budget: whose call it is, and that workload's budget.
        """
        caller = grant.caller
        wanted = [
            (f"key/{caller.key_id}", grant.budget),
            (f"team/{caller.team}", self._teams.get(caller.team, NO_BUDGET)),
        ]
        wanted.append((f"workload/{workload}", budget))
        now_s, wall_s = perf_counter(), self._now()
        purses = [
            self._purses.of(account, now_s)
            for of, each in wanted
            if each is not NO_BUDGET and each != NO_BUDGET
            for account in self._accounts_of(of, each, wall_s)
        ]
        return CallMoney(tuple(purses), fields, int(wall_s * 1e6), request_bytes, endpoint) if purses else None

    async def hand_over(self, money: CallMoney, batch: str) -> None:
        """What was set aside for a call belongs to a batch from now on, whoever lives and dies. While the books are
        away it stays this worker's, and is handed over later."""
        task = self._loop.create_task(self._hand_over(money, batch))
        self._hand_overs.add(task)
        task.add_done_callback(self._hand_overs.discard)
        await self._end_of(task, _HAND_OVER_S)

    async def settle(self, batch: str, cost_pico: int) -> bool:
        """A batch has ended and came to so much, -1 where nobody knows; whether the books know it now."""
        task = self._loop.create_task(self._source.settle(batch, cost_pico))
        await self._end_of(task)
        error = task.exception()
        if error is not None and not isinstance(error, LimitsUnavailable):
            raise error
        return error is None

    def _end_of(self, task: asyncio.Task[None], longest_s: float | None = None) -> asyncio.Future[None]:
        """What a flow can await: that a task has ended, or that it has taken too long."""
        over: asyncio.Future[None] = self._loop.create_future()

        def end(_: object = None) -> None:
            if not over.done():
                over.set_result(None)

        task.add_done_callback(end)
        if longest_s is not None:
            timer = self._loop.call_later(longest_s, end)
            task.add_done_callback(lambda _: timer.cancel())
        return over

    async def _hand_over(self, money: CallMoney, batch: str) -> None:
        while True:
            try:
                await self._source.claim(f"{BATCHES}{batch}", money.claims())
            except LimitsUnavailable:
                await asyncio.sleep(PERIOD_S)
            else:
                money.hand_over()
                return

    async def close(self) -> None:
        """Say what is left to say, and nothing more."""
        self._is_closed = True
        for task in self._hand_overs:
            task.cancel()
        if self._timer is not None:
            self._timer.cancel()
        if self._exchange is not None:
            await asyncio.gather(self._exchange, return_exceptions=True)
        claims, is_told = self._purses.parting(perf_counter()), True
        if claims:
            try:
                await self._source.claim(self._holder, claims)
            except LimitsUnavailable as error:
                is_told = False
                report(f"what was spent last could not be told to the books of budgets: {error}")
        if self._file is not None:
            self._file.close(is_told=is_told and not self._purses.reserved)

    @property
    def waiting(self) -> int:
        """Calls that wait."""
        return self._purses.waiting

    @property
    def is_away(self) -> bool:
        """Whether whoever keeps the books does not answer."""
        return self._purses.is_away(perf_counter())

    def _accounts_of(self, of: str, budget: Budget, wall_s: float) -> tuple[Account, ...]:
        """Those of the period that is; they are looked up again when one of them has ended."""
        known = self._accounts.get((of, budget))
        if known is None or wall_s >= known[0]:
            accounts = tuple(accounts_of(of, budget, wall_s))
            known = min(account.ends_us for account in accounts) / 1e6, accounts
            if len(self._accounts) >= _REMEMBERED:
                self._accounts.clear()
            self._accounts[of, budget] = known
        return known[1]

    def _make_slot(self, account: str) -> Slot | None:
        """Where an account is noted. Where that cannot be, calls go on, and if this worker is killed, what it has told
        last is all that is known of it."""
        if self._folder is None or self._is_closed:
            return None
        try:
            if self._file is None:
                self._file = PurseFile(self._folder, self._holder)
            return self._file.slot(account)
        except StorageError as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                report(f"what is set aside of budgets is not noted on the disk: {error}")
            return None

    def _give_back(self, slot: Slot) -> None:
        if self._file is not None:
            self._file.give_back(slot)

    def _ring(self, due_s: float) -> None:
        if self._is_closed or due_s >= self._due_s:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due_s = due_s
        self._timer = self._loop.call_later(max(0.0, due_s - perf_counter()), self._beat)

    def _beat(self) -> None:
        self._due_s, self._timer = math.inf, None
        claims = self._purses.beat(perf_counter())
        if claims:
            self._exchange = self._loop.create_task(self._ask(claims))
        self._ring(self._purses.due_s())

    async def _ask(self, claims: Sequence[Claim]) -> None:
        allowances: Sequence[Allowance] | None = None
        try:
            allowances = await self._source.claim(self._holder, claims)
        except LimitsUnavailable:
            pass  # said again, as below
        finally:  # whatever it is that went wrong: who waits for an answer for ever asks nothing more
            self._exchange = None
            if allowances is None:
                self._purses.fail(perf_counter())
            else:
                self._purses.take(allowances, perf_counter())
            self._ring(self._purses.due_s())
