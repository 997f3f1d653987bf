"""Write the catalogue of models that the package ships: genai-prices, with overlay.yaml and limits.yaml over it.

    .venv/bin/python tools/catalogue/refresh.py --published 2026-11-25
    .venv/bin/python tools/catalogue/refresh.py --check      say whether the shipped file is what this would write

To refresh prices, raise genai-prices in requirements/dev.txt, install it, and run this with today's date. Every claim
of the overlay must still meet a model. The result is a file of one model a line: review the diff.
"""

import argparse
import importlib.metadata
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import yaml

sys.path.insert(0, str(Path(__file__).parent))

import genai
from headworks.catalogue import read_catalogue, shipped
from headworks.catalogue.models import LIMIT_NAMES, Citation, Model, RateLimits
from headworks.catalogue.money import MTOK, pico_usd, scaled
from headworks.catalogue.pack import FORMAT
from headworks.catalogue.prices import Period, Prices, Rates

OVERLAY = Path(__file__).parent / "overlay.yaml"
LIMITS = Path(__file__).parent / "limits.yaml"
FILE = Path(__file__).parents[2] / "src" / "headworks" / "catalogue" / "data" / "catalogue.json"
GENAI = "genai-prices"


def packed(published: str) -> bytes:
    """The file's bytes: a pure function of genai-prices, the overlay and the day."""
    overlay = yaml.load(OVERLAY.read_text("utf-8"), Loader=yaml.BaseLoader)  # noqa: S506  (texts only: no float)
    sections = genai.sections()
    for entry in overlay["new"]:
        provider, _, name = entry["model"].partition("/")
        sections[provider]["models"].append((entry["names"], new_model(name, entry)))
    models = {f"{name}/{model.name}": model for name, each in sections.items() for _, model in each["models"]}
    for entry in overlay["entries"]:
        for name in entry["models"]:
            if name not in models:
                raise SystemExit(f"{OVERLAY}: no model is called {name}")
            models[name] = with_claim(models[name], entry)
    for entry in yaml.load(LIMITS.read_text("utf-8"), Loader=yaml.BaseLoader):  # noqa: S506
        for name in entry["models"]:
            if name not in models:
                raise SystemExit(f"{LIMITS}: no model is called {name}")
            models[name] = with_limits(models[name], entry)
    version = importlib.metadata.version(GENAI)
    sources = {
        GENAI: {
            "title": f"{GENAI} {version}",
            "seen_on": published,
            "url": "https://github.com/pydantic/genai-prices",
            "licence": "MIT",
            "standing": "account",
        },
        **overlay["sources"],
    }
    lines = ["{", f'"format":{FORMAT},', f'"published":"{published}",', f'"sources":{_json(sources)},', '"providers":{']
    for place, (name, each) in enumerate(sections.items()):
        head = {key: each[key] for key in ("title", "api", "urls", "fallbacks")}
        head |= {"source": GENAI, "count": len(each["models"])}
        lines.append(f'{_json(name)}:{_json(head)[:-1]},"models":[')
        rows = [_json([model.name, wanted, models[f"{name}/{model.name}"]]) for wanted, model in each["models"]]
        lines.extend(f"{row}," for row in rows[:-1])
        lines.append(rows[-1] + "]}" + ("," if place + 1 < len(sections) else ""))
    lines.append("}}")
    return ("\n".join(lines) + "\n").encode()


def new_model(name: str, entry: dict[str, Any]) -> Model:
    """A model that genai-prices does not have."""
    rates = Rates(**{kind: pico_usd(Decimal(amount), per=MTOK) for kind, amount in entry["rates"].items()})
    cited = Citation(of="prices", source=entry["source"], seen_on="")
    return Model(name=name, prices=Prices(periods=(Period(rates=rates),)), citations=(cited,))


def with_claim(model: Model, entry: dict[str, Any]) -> Model:
    """A model with what an entry of the overlay says of it, and where that is from."""
    changes = msgspec.convert(entry.get("set", {}), type=dict[str, Any])
    known = msgspec.to_builtins(model) | changes
    if "capabilities" in changes:
        known["capabilities"] = sorted({*model.capabilities, *changes["capabilities"]})
    fields = list(changes)
    prices = model.prices
    if entry.get("is_free"):
        prices, fields = Prices(periods=(Period(rates=Rates(input=0, output=0)),)), [*fields, "prices"]
    for name, amount in entry.get("rates", {}).items():
        prices, fields = with_rate(_needed(prices, model), name, amount), [*fields, f"prices.{name}"]
    for tier, factor in entry.get("factors", {}).items():
        given = _needed(prices, model)
        periods = tuple(period.times(Decimal(factor)) for period in given.periods)
        prices = msgspec.structs.replace(given, tiers={**given.tiers, tier: periods})
        fields.append(f"prices.{tier}")
        known["capabilities"] = sorted({*known.get("capabilities", ()), tier})
    if "least_audio_s" in entry:
        prices = msgspec.structs.replace(_needed(prices, model), least_audio_s=int(entry["least_audio_s"]))
        fields.append("prices.least_audio_s")
    told = [citation for citation in model.citations if citation.of not in fields]
    told += [Citation(of=field, source=entry["source"], seen_on="") for field in fields]
    known["prices"], known["citations"] = prices and msgspec.to_builtins(prices), msgspec.to_builtins(told)
    return msgspec.convert(known, type=Model, strict=False)


def with_limits(model: Model, entry: dict[str, Any]) -> Model:
    """A model with what an entry of limits.yaml says of each tier, and where that is from."""
    unknown = entry.keys() - {"source", "at", "models", "tiers", *LIMIT_NAMES}
    if unknown:
        raise SystemExit(f"{LIMITS}: {model.name}: no tier bounds {', '.join(sorted(unknown))}")
    columns = {name: entry[name] for name in LIMIT_NAMES if name in entry}
    at, tiers = entry.get("at", ""), entry["tiers"]
    if any(len(column) != len(tiers) for column in columns.values()):
        raise SystemExit(f"{LIMITS}: {model.name}: as many figures as there are tiers")
    if any(row.at == at and row.tier in tiers for row in model.limits):
        raise SystemExit(f"{LIMITS}: {model.name}: a tier twice")
    rows = tuple(
        RateLimits(
            tier=tier,
            at=at,
            source=entry["source"],
            **{name: _count(column[place]) for name, column in columns.items() if column[place] != "-"},
        )
        for place, tier in enumerate(tiers)
    )
    cited = Citation(of="limits", source=entry["source"], seen_on="")
    citations = model.citations if cited in model.citations else (*model.citations, cited)
    return msgspec.structs.replace(model, limits=(*model.limits, *rows), citations=citations)


_THOUSANDS = {"k": 1_000, "M": 1_000_000, "G": 1_000_000_000}


def _count(text: str) -> int:
    """A figure of limits.yaml."""
    return int(text[:-1]) * _THOUSANDS[text[-1]] if text[-1] in _THOUSANDS else int(text)


def with_rate(prices: Prices, name: str, amount: str) -> Prices:
    """Prices with one more rate, in every period, step and tier."""
    text, _, of = amount.partition(" x ")

    def rated(rates: Rates) -> Rates:
        rate = scaled(getattr(rates, of), Decimal(text)) if of else pico_usd(Decimal(text), per=MTOK)
        return msgspec.structs.replace(rates, **{name: rate})

    return prices.with_rates(rated)


def _needed(prices: Prices | None, model: Model) -> Prices:
    if prices is None:
        raise SystemExit(f"{OVERLAY}: {model.name} has no prices that could be added to")
    return prices


def _json(value: object) -> str:
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=False, separators=(",", ":"))


def main() -> int:
    """Write the file, or only compare it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", metavar="DAY", help="the day that the catalogue says it is of, YYYY-MM-DD")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the file would change")
    options = parser.parse_args()
    if options.check:
        is_same = packed(shipped().published) == FILE.read_bytes()
        print(f"{FILE}: {'as it should be' if is_same else 'stale'}")
        return 0 if is_same else 1
    if not options.published:
        parser.error("give --published")
    content = packed(options.published)
    catalogue = read_catalogue(content)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_bytes(content)
    count = sum(catalogue.provider(name).model_count for name in catalogue.provider_names)
    print(f"wrote {FILE}: version {catalogue.version}, {count} models, {len(content):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
