"""What a worker and the authority over shared quotas say to one another.

A worker asks for all of its quotas at once, some times a second. What it holds is spent or given back before it
expires, by the worker's own clock; the authority counts it as spent until then. So the sum of what all workers spend
never exceeds the quota, whoever dies when.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec


class Quota(msgspec.Struct, frozen=True):
    """How much may be spent in a window, by everybody together.

    Attributes:
        name: the same in every worker and on every machine: `openai/main/gpt-6-luna/rpm`, say.
        amount: most units (requests, tokens) in a window; also the most that can be saved up.
        window_s: seconds. The quota refills evenly: `amount / window_s` units a second.
    """

    name: str
    amount: int
    window_s: float


class Ask(msgspec.Struct, frozen=True):
    """What a worker says of one quota.

    Attributes:
        spent: units that it has spent since it last said so; more than it held where an estimate was too low,
            negative where one was too high and units come back.
        wanted: units that it would like to hold from now on, those that it still has included.
        remaining: units that the provider says are left of its limit for everybody; None where it said nothing.
    """

    quota: Quota
    spent: int
    wanted: int
    remaining: int | None = None


class Lease(msgspec.Struct, frozen=True):
    """What the worker holds of one quota from now on, in the place of all that it held before.

    Attributes:
        amount: units; may be below what it held.
        expires_s: seconds from the moment in which the worker *asked* after which it must not be spent.
        wait_s: seconds after which asking for more is of use, where there was less than was wanted; else 0.
    """

    amount: int
    expires_s: float
    wait_s: float = 0.0


class Authority(Protocol):
    """Grants leases. On one machine the control plane does, on several Valkey."""

    async def renew(self, holder: str, asks: Sequence[Ask]) -> Sequence[Lease]:
        """One lease for each ask, in their order.

        Arguments:
            holder: the worker's name, unique over all machines; a worker that starts again has another.

        Raises:
            LimitsUnavailable: the authority cannot be reached, or does not answer in time.
        """
        ...
