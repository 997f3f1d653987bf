"""Write the invoices of the golden set, and what the simulator knows of both golden sets.

    python make_golden.py            write the files
    python make_golden.py --check    say which are stale, and exit with 1 if any is

Invoices are made from a seed: layouts, currencies, ways to write dates and amounts, one to six lines, with or without a
due date. Quantities, prices and tax are whole cents, so that every total adds up.
"""

import argparse
import json
import random
import sys
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
INVOICES = HERE / "workloads" / "invoice-extraction" / "golden.jsonl"
TICKETS = HERE / "workloads" / "ticket-triage" / "golden.jsonl"
SIMULATED = HERE / "simulator"

SEED = 2026
COUNT = 100

SUPPLIERS = (
    "Nordlicht Papier GmbH", "Atelier Rousseau SARL", "Bramley & Finch Ltd", "Harbor Point Supply Co.", "Alpenrad AG",
    "Tallskog Verktyg AB", "Minato Denki K.K.", "Casa Oliveira Lda", "Kestrel Freight plc", "Blue Mesa Roasters LLC",
    "Werkplaats Zuid B.V.", "Studio Ferri S.r.l.",
)  # fmt: skip
GOODS = (
    "Copy paper A4, 80 g", "Packing tape, brown", "Pallet, EUR, used", "Toner cartridge black", "Espresso beans 1 kg",
    "Hex bolts M8 x 40 (100)", "Safety gloves, size L", "Monitor arm", "Desk lamp", "Transport Lyon-Basel",
    "On-site service, hours", "Shelf board 80 x 30", "USB-C cable 2 m", "Cleaning, week", "Translation, pages",
    "Water filter", "Label rolls 62 mm", "Bubble wrap 50 m", "Whiteboard markers (4)", "Bicycle repair, flat rate",
)  # fmt: skip


class Money(NamedTuple):
    """How a currency's invoices look: tax in percent, mark, separators of thousands and cents, ways to write dates."""

    tax_percent: int
    mark: str
    thousands: str
    point: str
    dates: tuple[str, ...]


CURRENCIES = {
    "EUR": Money(19, "EUR", ".", ",", ("%d.%m.%Y", "%d/%m/%Y", "%d %B %Y")),
    "USD": Money(8, "$", ",", ".", ("%m/%d/%Y", "%B %d, %Y")),
    "GBP": Money(20, "£", ",", ".", ("%d/%m/%Y", "%d %b %Y")),
    "CHF": Money(8, "CHF", "'", ".", ("%d.%m.%Y", "%d. %B %Y")),
    "SEK": Money(25, "kr", " ", ",", ("%Y-%m-%d",)),
    "JPY": Money(10, "JPY", ",", "", ("%Y/%m/%d", "%Y-%m-%d")),
}
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


class Line(NamedTuple):
    description: str
    quantity: int
    unit_cents: int

    @property
    def cents(self) -> int:
        return self.quantity * self.unit_cents


class Invoice(NamedTuple):
    supplier: str
    number: str
    date: date
    due: date | None
    currency: str
    lines: tuple[Line, ...]

    @property
    def net(self) -> int:
        return sum(line.cents for line in self.lines)

    @property
    def tax(self) -> int:
        unit = 100 if self.currency == "JPY" else 1  # yen have no cents
        return self.net * CURRENCIES[self.currency].tax_percent // (100 * unit) * unit

    @property
    def total(self) -> int:
        return self.net + self.tax


def invoice(chance: random.Random, number: int) -> Invoice:
    """One invoice. Every currency comes up in turn."""
    currency = tuple(CURRENCIES)[number % len(CURRENCIES)]
    step = 10_000 if currency == "JPY" else chance.choice((1, 5, 10, 50))
    day = date(2026, 1, 1) + timedelta(days=chance.randrange(330))
    lines = tuple(
        Line(goods, chance.choice((1, 1, 2, 3, 5, 10, 12, 40)), step * chance.randrange(1, 9_000 // min(step, 100)))
        for goods in chance.sample(GOODS, chance.randint(1, 6))
    )
    prefix = chance.choice(("INV-", "RE", "F", "2026/", "No. "))
    return Invoice(
        supplier=chance.choice(SUPPLIERS),
        number=f"{prefix.removeprefix('No. ')}{chance.randrange(1000, 99_999)}",
        date=day,
        due=day + timedelta(days=chance.choice((10, 14, 30, 60))) if chance.random() < 0.75 else None,
        currency=currency,
        lines=lines,
    )


def written(amount: int, currency: str) -> str:
    """Cents as the currency's invoices write them: `1.234,50`."""
    money = CURRENCIES[currency]
    whole = f"{amount // 100:,}".replace(",", money.thousands)
    return f"{whole}{money.point}{amount % 100:02}" if money.point else whole


def day_written(day: date, form: str) -> str:
    """A date by a form of strftime's, whose month names would depend on the reader's machine."""
    name = MONTHS[day.month - 1]
    return day.strftime(form.replace("%B", name).replace("%b", name[:3]))


def layout_table(one: Invoice, form: str) -> str:
    mark = CURRENCIES[one.currency].mark
    rows = "\n".join(
        f"{line.description:<28}{line.quantity:>5}{written(line.unit_cents, one.currency):>14}"
        f"{written(line.cents, one.currency):>16}"
        for line in one.lines
    )
    due = f"Due:      {day_written(one.due, form)}\n" if one.due else ""
    return (
        f"{one.supplier}\n\nINVOICE {one.number}\nDate:     {day_written(one.date, form)}\n{due}\n"
        f"{'Description':<28}{'Qty':>5}{'Price':>14}{'Amount':>16}\n{rows}\n\n"
        f"Subtotal  {mark} {written(one.net, one.currency)}\n"
        f"VAT {CURRENCIES[one.currency].tax_percent}%   {mark} {written(one.tax, one.currency)}\n"
        f"Total     {mark} {written(one.total, one.currency)}\n"
    )


def layout_letter(one: Invoice, form: str) -> str:
    mark = CURRENCIES[one.currency].mark

    def money(amount: int) -> str:
        return f"{mark} {written(amount, one.currency)}"

    rows = "\n".join(
        f"- {line.quantity} x {line.description} at {money(line.unit_cents)} = {money(line.cents)}"
        for line in one.lines
    )
    due = f"Please pay by {day_written(one.due, form)}." if one.due else "Payable on receipt."
    return (
        f"From: {one.supplier}\nOur invoice {one.number} of {day_written(one.date, form)}\n\n"
        f"Dear customer,\n\nwe have delivered:\n{rows}\n\n"
        f"That makes {money(one.net)} net, to which we add {CURRENCIES[one.currency].tax_percent} % tax of "
        f"{money(one.tax)}. The amount payable is {money(one.total)}.\n{due}\n"
    )


def layout_slip(one: Invoice, form: str) -> str:
    def money(amount: int) -> str:
        return written(amount, one.currency)

    rows = "\n".join(
        f"{line.description}|{line.quantity}|{money(line.unit_cents)}|{money(line.cents)}" for line in one.lines
    )
    due = day_written(one.due, form) if one.due else "-"
    return (
        f"invoice no;{one.number}\nsupplier;{one.supplier}\nissued;{day_written(one.date, form)}\npay until;{due}\n"
        f"currency;{one.currency}\n{rows}\nNET {money(one.net)} / TAX {money(one.tax)} / TO PAY {money(one.total)}\n"
    )


def layout_scan(one: Invoice, form: str) -> str:
    """As text recognition leaves it: the totals first, the lines in no columns."""
    rows = "\n".join(
        f"{number}. {line.description} {line.quantity} pcs {written(line.unit_cents, one.currency)} "
        f"{written(line.cents, one.currency)}"
        for number, line in enumerate(one.lines, 1)
    )
    due = f" payable {day_written(one.due, form)}" if one.due else ""
    return (
        f"TOTAL DUE {one.currency} {written(one.total, one.currency)}{due}\n{one.supplier.upper()}\n"
        f"{rows}\nnet {written(one.net, one.currency)} vat {written(one.tax, one.currency)}\n"
        f"ref {one.number} {day_written(one.date, form)}\nthank you for your business\n"
    )


LAYOUTS = (layout_table, layout_letter, layout_slip, layout_scan)


def expected(one: Invoice) -> dict[str, object]:
    """The right answer."""
    return {
        "supplier": one.supplier,
        "number": one.number,
        "date": one.date.isoformat(),
        "due": one.due.isoformat() if one.due else None,
        "currency": one.currency,
        "lines": [
            {"description": line.description, "quantity": line.quantity,
             "unit_price": line.unit_cents / 100, "amount": line.cents / 100}
            for line in one.lines
        ],
        "net": one.net / 100,
        "tax": one.tax / 100,
        "total": one.total / 100,
    }  # fmt: skip


def invoices() -> list[dict[str, object]]:
    """The golden set."""
    chance = random.Random(SEED)
    cases = []
    for number in range(COUNT):
        one = invoice(chance, number)
        layout = LAYOUTS[number // len(CURRENCIES) % len(LAYOUTS)]
        answer = expected(one)
        if layout is layout_scan:
            answer["supplier"] = one.supplier.upper()  # as it stands there
        tags = [one.currency, layout.__name__.removeprefix("layout_"), *([] if one.due else ["no-due-date"])]
        text = layout(one, chance.choice(CURRENCIES[one.currency].dates))
        cases.append(
            {"id": f"invoice-{number + 1:03}", "variables": {"invoice": text}, "expected": answer, "tags": tags}
        )
    return cases


def files() -> dict[Path, str]:
    """Every file that is written, with its content."""
    golden = invoices()
    tickets = [json.loads(line) for line in TICKETS.read_text("utf-8").splitlines()]
    return {
        INVOICES: _lines(golden),
        SIMULATED / "invoices.jsonl": _lines(
            {
                "input": case["variables"]["invoice"],
                "answer": case["expected"],
                "wrong": [_off_by_ten(case["expected"])],
            }
            for case in golden
        ),
        SIMULATED / "tickets.jsonl": _lines(
            {
                "input": case["variables"]["ticket"],
                "answer": case["expected"],
                "wrong": [{**case["expected"], "category": "other", "team": "finance"}],
            }
            for case in tickets
        ),
    }


def _off_by_ten(answer: dict[str, object]) -> dict[str, object]:
    return {**answer, "total": answer["total"] + 10}


def _lines(values: Iterable[dict[str, object]]) -> str:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is stale")
    options = parser.parse_args()
    stale = [path for path, text in files().items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        print(f"{'stale' if options.check else 'wrote'}: {path}")
        if not options.check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(files()[path], "utf-8")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
