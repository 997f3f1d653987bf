"""What genai-prices knows, in the catalogue's own form: units, periods, tiers, names."""

import datetime as dt
from decimal import Decimal
from typing import Any

from genai_prices import types
from genai_prices.data import providers as genai_providers

from headworks.catalogue.models import Model
from headworks.catalogue.money import MTOK, pico_usd
from headworks.catalogue.prices import Period, Prices, Rates, Step

UNITS: dict[str, tuple[str, int]] = {
    "input_mtok": ("input", MTOK),
    "output_mtok": ("output", MTOK),
    "cache_read_mtok": ("cached_input", MTOK),
    "cache_write_mtok": ("cache_write", MTOK),
    "cache_write_1h_mtok": ("cache_write_long", MTOK),
    "output_reasoning_mtok": ("reasoning", MTOK),
    "output_citation_mtok": ("citation", MTOK),
    "input_audio_mtok": ("audio_input", MTOK),
    "cache_audio_read_mtok": ("cached_audio", MTOK),
    "output_audio_mtok": ("audio_output", MTOK),
    "input_image_mtok": ("image_input", MTOK),
    "cache_image_read_mtok": ("cached_image", MTOK),
    "output_image_mtok": ("image_output", MTOK),
    "input_video_mtok": ("video_input", MTOK),
    "output_video_mtok": ("video_output", MTOK),
    "requests_kcount": ("request", 1000),
    "web_searches_kcount": ("web_search", 1000),
    "storage_searches_kcount": ("file_search", 1000),
    "input_text_messages_kcount": ("message", 1000),
    "input_document_kpages": ("page", 1000),
    "input_annotated_document_kpages": ("annotated_page", 1000),
    "input_mchars": ("character", 1_000_000),
    "audio_hours": ("audio_hour", 1),
    "input_audio_hours": ("audio_hour", 1),
}
"""Their price keys, ours, and how many units their price is for. Sound that goes in and sound as such cost the same
wherever both are given, which `_rates` insists on."""

TIERS = {
    "processing=batch": "batch",
    "service_tier=flex": "flex",
    "service_tier=priority": "priority",
    "service_tier=fast": "fast",
    "speed=fast": "fast",
}
"""What selects a variant, and our word for the tier. Others keep the condition as their name."""

Amount = Decimal | types.TieredPrices


def sections() -> dict[str, dict[str, Any]]:
    """Every provider: `title`, `api`, `urls`, `fallbacks`, and `models` as (clauses, model)."""
    return {
        provider.id: {
            "title": provider.name,
            "api": provider.api_pattern,
            "urls": provider.pricing_urls or [],
            "fallbacks": provider.fallback_model_providers or [],
            "models": [(clauses(model.match), model_of(model)) for model in provider.models],
        }
        for provider in genai_providers
    }


def model_of(info: types.ModelInfo) -> Model:
    """One model: its names and its prices, and what can be told from them."""
    exact = [clause[1:] for clause in clauses(info.match) if isinstance(clause, str) and clause.startswith("=")]
    others = [name for name in dict.fromkeys(exact) if name != info.id]
    prices = prices_of(info)
    return Model(
        name=info.id,
        title=info.name or "",
        aliases=tuple(name for name in others if not _is_dated(name)),
        snapshots=tuple(name for name in others if _is_dated(name)),
        context_tokens=info.context_window,
        is_deprecated=bool(info.deprecated),
        prices=prices,
        capabilities=_told_by(prices),
    )


def clauses(match: types.MatchLogic) -> list[str | tuple[str, ...]]:
    """A condition on names as a list of which any must hold."""
    match match:
        case types.ClauseOr():
            return [clause for part in match.or_ for clause in clauses(part)]
        case types.ClauseAnd():
            parts = [clauses(part) for part in match.and_]
            if any(len(part) != 1 or not isinstance(part[0], str) for part in parts):
                raise ValueError("a condition of conditions: the catalogue's clauses cannot say it")
            return [tuple(part[0] for part in parts)]
        case types.ClauseEquals():
            return [f"={match.equals.lower()}"]
        case types.ClauseStartsWith():
            return [f"^{match.starts_with.lower()}"]
        case types.ClauseEndsWith():
            return [f"${match.ends_with.lower()}"]
        case types.ClauseContains():
            return [f"*{match.contains.lower()}"]
        case types.ClauseRegex():
            return [f"/{match.regex}"]
    raise TypeError(f"no clause for {type(match).__name__}")


def prices_of(info: types.ModelInfo) -> Prices | None:
    """All prices of a model; None where genai-prices has an empty set, unless its name says that it is free."""
    given = info.prices if isinstance(info.prices, list) else [types.ConditionalPrice(prices=info.prices)]
    if not any(_amounts(conditional.prices) for conditional in given):
        free = Rates(input=0, output=0)
        return Prices(periods=(Period(rates=free),)) if info.id.endswith(":free") else None
    names = dict.fromkeys(_tier(variant) for variant in info.price_variants or ())
    tiers = {name: _periods(info, given, name) for name in names if name}
    standard = _periods(info, given, "")
    return Prices(periods=standard, tiers={name: periods for name, periods in tiers.items() if periods != standard})


def _periods(info: types.ModelInfo, given: list[types.ConditionalPrice], tier: str) -> tuple[Period, ...]:
    """The periods of a tier: one from each day on which anything changes, then the daily spans."""
    variants = [variant for variant in info.price_variants or () if tier and _tier(variant) == tier]
    conditions = [conditional.constraint for conditional in given] + [variant.constraint for variant in variants]
    days = sorted({each.start_date for each in conditions if isinstance(each, types.StartDateConstraint)})
    periods = []
    for day in (None, *days):
        moment = day or dt.date(1970, 1, 1)
        base = given[0].prices
        for conditional in given:
            if _has_begun(conditional.constraint, moment):
                base = conditional.prices
        amounts = _amounts(base)
        own: dict[str, Amount] = {}
        for variant in variants:
            if _has_begun(variant.constraint, moment):
                own = _amounts(variant.prices) | own
        periods.append(_period(amounts | own, since=day.isoformat() if day else ""))
    for conditional in given:
        if isinstance(conditional.constraint, types.TimeOfDateConstraint):
            if variants:
                raise ValueError(f"{info.id}: daily spans and tiers at once: the catalogue cannot say it")
            span = (_minute(conditional.constraint.start_time), _minute(conditional.constraint.end_time))
            periods.append(_period(_amounts(conditional.prices), hours=span))
    return tuple(each for place, each in enumerate(periods) if not _repeats(each, periods[:place]))


def _repeats(period: Period, before: list[Period]) -> bool:
    """Whether a period says what the one before it says."""
    return (
        bool(before) and period.hours is None and (period.rates, period.steps) == (before[-1].rates, before[-1].steps)
    )


def _has_begun(constraint: object, day: dt.date) -> bool:
    if isinstance(constraint, types.StartDateConstraint):
        return constraint.start_date <= day
    return constraint is None


def _period(amounts: dict[str, Amount], since: str = "", hours: tuple[int, int] | None = None) -> Period:
    bounds = sorted(
        {tier.start for amount in amounts.values() if isinstance(amount, types.TieredPrices) for tier in amount.tiers}
    )
    steps = tuple(Step(above=bound, rates=_rates(amounts, bound + 1)) for bound in bounds)
    return Period(since=since, hours=hours, rates=_rates(amounts, 0), steps=steps)


def _rates(amounts: dict[str, Amount], input_tokens: int) -> Rates:
    rates: dict[str, int] = {}
    for key, amount in amounts.items():
        name, per = UNITS[key]
        rate = pico_usd(_at(amount, input_tokens), per=per)
        if rates.setdefault(name, rate) != rate:
            raise ValueError(f"two prices for {name}: the catalogue cannot say it")
    return Rates(**rates)


def _at(amount: Amount, input_tokens: int) -> Decimal:
    if isinstance(amount, Decimal):
        return amount
    reached = [tier.price for tier in amount.tiers if input_tokens > tier.start]
    return reached[-1] if reached else amount.base


def _amounts(prices: types.ModelPrice) -> dict[str, Amount]:
    return {key: amount for key, amount in vars(prices).items() if amount is not None}


def _tier(variant: types.PriceVariant) -> str:
    """The tier that a variant is for; nothing where it only repeats the standard prices."""
    if not _amounts(variant.prices):
        return ""
    condition = ",".join(f"{key}={value}" for key, value in sorted(variant.when.items()))
    return TIERS.get(condition, condition)


def _told_by(prices: Prices | None) -> tuple[str, ...]:
    """What a model can do, as far as it is told by what is charged for."""
    if prices is None:
        return ()
    charged = {name for period in prices.periods for name in period.rates.set_rates()}
    signs = {
        "prompt-caching": {"cached_input"},
        "audio": {"audio_input", "audio_output", "audio_hour"},
        "images": {"image_output"},
        "vision": {"image_input"},
        "video": {"video_input", "video_output"},
        "web-search": {"web_search"},
        "file-search": {"file_search"},
        "documents": {"page"},
    }
    told = [capability for capability, names in signs.items() if names & charged]
    return (*told, *(tier for tier in ("batch", "flex", "priority") if tier in prices.tiers))


def _is_dated(name: str) -> bool:
    digits = "".join(character for character in name[-10:] if character.isdigit())
    return (len(digits) >= 8 and digits[-8:-6] == "20") or name[-8:].isdigit()


def _minute(time: dt.time) -> int:
    if time.tzinfo is not None and time.utcoffset() != dt.timedelta(0):
        raise ValueError("a time of the day that is not UTC")
    return time.hour * 60 + time.minute
