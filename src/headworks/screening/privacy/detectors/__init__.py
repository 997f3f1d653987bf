"""One file a family of data: its patterns, its check digits, its judges. A new family is a new file and a line here."""

from headworks.screening.privacy.detectors import (
    banking,
    cards,
    contact,
    documents,
    health,
    names,
    national_eu,
    national_in_br,
    national_us_uk,
    network,
    secrets,
    wallets,
)
from headworks.screening.privacy.patterns import Pattern

BUILT_IN: tuple[Pattern, ...] = (
    *contact.PATTERNS,
    *cards.PATTERNS,
    *banking.PATTERNS,
    *wallets.PATTERNS,
    *network.PATTERNS,
    *national_us_uk.PATTERNS,
    *national_eu.PATTERNS,
    *national_in_br.PATTERNS,
    *documents.PATTERNS,
    *health.PATTERNS,
    *names.PATTERNS,
    *secrets.PATTERNS,
)
"""Every pattern that is looked for in every text."""

__all__ = ["BUILT_IN"]
