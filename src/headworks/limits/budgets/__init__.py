"""Budgets: how much money may be spent in a calendar day or month (UTC), and by whom.

A quota refills and a budget does not, so its books are kept otherwise: each account (a budget in one period) is a row
in a database, with what every worker has spent of it, has reserved for calls under way, and holds ahead of need. The
three together never exceed a hard budget, whoever dies when. A worker reserves the most that a call can cost before
the call is made, from what it holds, and gives back the rest when the call has ended: so no call waits for the books
as a rule, and the last dollar cannot be spent twice.

May import what `limits` may. Everything is counted in whole pico-dollars.
"""

from headworks.limits.budgets.accounts import (
    CLAIM_EXPIRES_S,
    Account,
    Allowance,
    AllowanceSource,
    Claim,
    accounts_of,
    period_of,
)
from headworks.limits.budgets.books import BATCHES, AccountState, Books, Crossing, Ledger
from headworks.limits.budgets.purse_files import PurseFile, Remains, Slot
from headworks.limits.budgets.purses import PERIOD_S, Purse, Purses, Spender

__all__ = [
    "BATCHES",
    "CLAIM_EXPIRES_S",
    "PERIOD_S",
    "Account",
    "AccountState",
    "Allowance",
    "AllowanceSource",
    "Books",
    "Claim",
    "Crossing",
    "Ledger",
    "Purse",
    "PurseFile",
    "Purses",
    "Remains",
    "Slot",
    "Spender",
    "accounts_of",
    "period_of",
]
