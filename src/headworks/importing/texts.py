"""Texts of the source that may go into our file: addresses, headers, prices; what is a secret or unfit may not."""

from decimal import Decimal, InvalidOperation

from headworks.config.forms import FORMS, Unfit
from headworks.config.secrets import is_reference, looks_like_secret
from headworks.importing.keys import Keys, variable_of
from headworks.importing.source import Value

MOST_S = 86_400.0
"""The longest time that our file takes, in seconds."""


def is_model_name(text: str) -> bool:
    """Whether our file can name a model at its provider like this, and it is no key in the wrong place."""
    return is_fit("model-name", text) and not looks_like_secret(
        text[:20]
    )  # in so few letters only a key's beginning is one


def is_fit(form: str, text: str) -> bool:
    """Whether a text has a form of our file."""
    try:
        FORMS[form](text)
    except Unfit:
        return False
    return bool(text)


def seconds(value: Value | None, factor: float = 1.0) -> float | None:
    """A time of the source in seconds; None where there is none that our file takes."""
    number = None if value is None else value.number
    return None if number is None or not 0 < number * factor <= MOST_S else number * factor


def whole(value: Value | None, low: int, high: int) -> int | None:
    """A whole number within bounds; None where there is none."""
    number = None if value is None else value.number
    return None if number is None or number != int(number) or not low <= number <= high else int(number)


def per_million(text: str, factor: int = 1_000_000) -> str | None:
    """A price, times a factor, in plain digits; None where it is no price that our file takes."""
    try:
        price = Decimal(text) * factor
    except InvalidOperation:
        return None
    if not price.is_finite() or price < 0 or price >= 10**12:
        return None
    return f"{price:.12f}".rstrip("0").rstrip(".") or "0"


def header(name: str, value: Value, keys: Keys) -> tuple[str, str] | None:
    """What our file says for a header of theirs, and what to tell of it; None where it cannot be set here."""
    text = value.text
    if text is None or not is_fit("header-name", name):
        return None
    if variable_of(text) is None and not is_reference(text) and is_fit("header-value", text):
        return text, f"headers.{name}"
    if not looks_like_secret(text) and variable_of(text) is None and not is_fit("header-value", text):
        return None
    usual = "HEADER_" + "".join(c if c.isalnum() else "_" for c in name.upper())
    reference, told = keys.reference(value, usual, f"the header {name}")
    return None if reference is None else (reference, f"headers.{name}: {told}")


def host_name(base_url: str) -> str:
    """A provider's name after its address: the label before the public suffix; `local` for numbers and localhost."""
    host = base_url.partition("//")[2].partition("/")[0].partition(":")[0]
    labels = [label for label in host.split(".") if label]
    if len(labels) == 1 and labels[0] != "localhost":
        return labels[0]
    return "local" if len(labels) < 2 or all(label.isdigit() for label in labels) else labels[-2]
