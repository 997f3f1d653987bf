"""What a batch or a fine-tuning job can cost is set aside when it is made; what it did cost counts when it has ended.

A call gives back at its end what it had set aside, and a batch ends tomorrow: so what is set aside for one is not its
worker's but its own, in the books of budgets, and outlives whoever made it. It belongs to the day and month in which
the batch was made.
"""

from collections.abc import Callable, Iterable
from time import time_ns

import msgspec

from headworks.access import Grant
from headworks.admitting import Admissions
from headworks.answering import UpstreamRefusal
from headworks.batch_lines import ModelLines, TokenBound
from headworks.batch_settling import TIER
from headworks.budgeting import CallMoney
from headworks.call_bounds import HOSTED_RUNS, most_tokens, writes_long
from headworks.calls import FailureKind
from headworks.catalogue import Most, TargetPrice
from headworks.dialects.reading import Fields
from headworks.flow import Ending

BUDGETED = "budgeted"
"""The label of a batch or a job that something is set aside for."""

LONG_WRITE_FACTOR = 2
"""What is written to a cache for the longer time costs no more than twice what else is the dearest input; a test holds
the catalogue to it."""

PriceOf = Callable[[str, str], TargetPrice]

_NOTHING_MADE = frozenset(
    {FailureKind.UNREACHABLE, FailureKind.RATE_LIMITED, FailureKind.OVERLOADED, FailureKind.UNAUTHORIZED}
)
"""Failures after which nothing was made, for certain."""

_WHY_NO_BATCH = (
    "What this batch can cost is not known, and this key or its team has a budget that may not be exceeded. Upload its "
    "input at /v1/files through this gateway, with the purpose `batch`; each line must name a model that has a price. "
    "Videos are not bounded."
)
_WHY_NO_JOB = (
    "What this fine-tuning job can cost is not known, and this key or its team has a budget that may not be exceeded. "
    "Upload its training file at /v1/files through this gateway, with the purpose `fine-tune`; name `n_epochs`, as a "
    "number; and the gateway's operator must give the model a price for `training` in headworks.yaml."
)


_WHY_NO_RUN = (
    "What a run of the provider's evals can cost is not known, and this key or its team has a budget that may not be "
    "exceeded: have it made a soft one (`tell`), or evaluate with `headworks eval`, which has a bound on its cost."
)


_WHY_NO_CACHE = (
    "What a cache costs while it is kept is not known, and this key or its team has a budget that may not be exceeded: "
    "have it made a soft one (`tell`), or leave caching to the provider, which keeps what repeats by itself."
)


class _Passes(msgspec.Struct):
    n_epochs: int | str | None = None


class _Recipe(msgspec.Struct):
    hyperparameters: _Passes | None = None


class _Method(msgspec.Struct):
    type: str = ""
    supervised: _Recipe | None = None
    dpo: _Recipe | None = None


class _Job(msgspec.Struct):
    model: str = ""
    hyperparameters: _Passes | None = None
    method: _Method | None = None


_decode_job = msgspec.json.Decoder(_Job).decode


class ObjectMoney:
    """Sets aside and hands over.

    Arguments:
        price_of: the price of a model, by provider and name.
    """

    def __init__(self, admissions: Admissions, price_of: PriceOf) -> None:
        self._admissions = admissions
        self._price_of = price_of

    def token_bound(self, provider: str) -> TokenBound:
        """What bounds the lines of a file that is uploaded to a provider."""
        prices: dict[str, TargetPrice] = {}

        def bound(model: str, fields: Fields, size: int, endpoint: str) -> tuple[int, int]:
            price = prices.get(model)
            if price is None:
                price = prices[model] = self._price_of(provider, model)
            taken, written = most_tokens(fields, price, size, endpoint)
            return taken * (LONG_WRITE_FACTOR if writes_long(fields) else 1), written

        return bound

    async def for_batch(
        self, grant: Grant, provider: str, models: Iterable[ModelLines], ending: Ending
    ) -> CallMoney | None:
        """Set aside what a batch can cost; None where no budget binds it.

        Raises:
            Refusal: 403, nobody knows what it can cost; 429, there is not as much.
        """
        amount = self._batch_bound(provider, tuple(models))
        return await self._admissions.set_aside(grant, amount, _WHY_NO_BATCH, ending)

    async def for_job(
        self, grant: Grant, provider: str, body: bytes, file: Iterable[ModelLines], ending: Ending
    ) -> CallMoney | None:
        """The same for a fine-tuning job.

        Arguments:
            body: what it is made with.
            file: what is known of its training file.

        Raises:
            Refusal: as above.
        """
        amount = self._job_bound(provider, body, tuple(file))
        return await self._admissions.set_aside(grant, amount, _WHY_NO_JOB, ending)

    async def check_run(self, grant: Grant, ending: Ending) -> None:
        """Whether a run of a provider's own evals may be made, whose cost nobody knows.

        Raises:
            Refusal: 403, the caller is under a hard budget.
        """
        money = await self._admissions.set_aside(grant, None, _WHY_NO_RUN, ending)
        if money is not None:
            money.settle(0)

    async def check_cache(self, grant: Grant, ending: Ending) -> None:
        """Whether a cache may be made at a provider, which costs by the hour at a price that is not in the catalogue.

        Raises:
            Refusal: 403, the caller is under a hard budget.
        """
        money = await self._admissions.set_aside(grant, None, _WHY_NO_CACHE, ending)
        if money is not None:
            money.settle(0)

    async def made(self, money: CallMoney, provider: str, object_id: str) -> None:
        """It was made: what was set aside is its own from now on."""
        await self._admissions.wallet.hand_over(money, f"{provider}/{object_id}")

    def not_made(self, money: CallMoney, error: BaseException | None = None) -> None:
        """It was not, or nobody knows whether it was: then all counts that was set aside."""
        is_certain = error is None or (isinstance(error, UpstreamRefusal) and error.failure.kind in _NOTHING_MADE)
        money.settle(0 if is_certain else -1)

    async def settle(self, provider: str, object_id: str, cost_pico: int) -> bool:
        """It has ended and came to so much, -1 where nobody knows; whether the books know it now."""
        return await self._admissions.wallet.settle(f"{provider}/{object_id}", cost_pico)

    def _batch_bound(self, provider: str, models: tuple[ModelLines, ...]) -> int | None:
        at_us, total = time_ns() // 1000, 0
        for one in models:
            if not one.is_bounded:
                return None
            most = Most(
                one.input_tokens,
                one.output_tokens,
                one.lines,
                one.longest,
                has_media=True,
                writes_long=True,
                hosted_runs=HOSTED_RUNS * (one.lines if one.hosted < 0 else one.hosted),
            )
            amount = self._price_of(provider, one.model).most_together(most, at_us=at_us, tier=TIER)
            if amount is None:
                return None
            total += amount
        return total if models else None

    def _job_bound(self, provider: str, body: bytes, file: tuple[ModelLines, ...]) -> int | None:
        try:
            job = _decode_job(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        method = job.method
        if method is not None and method.type not in ("", "supervised", "dpo"):
            return None  # reinforcement is paid for by the hour
        recipe = None if method is None else method.dpo if method.type == "dpo" else method.supervised
        passes = (recipe.hyperparameters if recipe is not None else None) or job.hyperparameters
        count = None if passes is None else passes.n_epochs
        if not isinstance(count, int) or count < 1 or len(file) != 1 or not file[0].is_bounded:
            return None
        # A token is a byte at least.
        price = self._price_of(provider, job.model)
        return price.training(file[0].input_tokens * count, at_us=time_ns() // 1000)


__all__ = ["BUDGETED", "ObjectMoney"]
