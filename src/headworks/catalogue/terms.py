"""What an installation pays: a contract's own prices, a discount, machines of its own. Above the list prices."""

from decimal import Decimal

import msgspec

from headworks.catalogue.money import pico_usd
from headworks.catalogue.prices import Period, Prices, Rates

_HOUR_S = 3600
_PERCENT = Decimal(100)


class Terms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What holds for one provider of `headworks.yaml`.

    `catalogue` is the provider of the catalogue whose list prices hold, empty for none. `discount_percent` comes off
    every list price (negative: a surcharge, as for processing in a region). `models` are own prices, by the upstream's
    name of the model, complete in themselves: no discount on them. `every` are the prices of all other models, as on a
    machine of one's own, instead of list prices. `deployments` are the catalogue's names of models, by the upstream's
    where that is another. `container_run` is what a run of code in a container is reckoned at, in pico-dollars; None
    where nobody says.
    """

    catalogue: str = ""
    discount_percent: Decimal = Decimal(0)
    models: dict[str, Prices] = {}
    every: Prices | None = None
    deployments: dict[str, str] = {}
    container_run: int | None = None

    def reckoned(self, prices: Prices) -> Prices:
        """Prices with what is reckoned for what no price list can say."""
        return prices if self.container_run is None else prices.with_rate("container_run", self.container_run)

    def discounted(self, prices: Prices) -> Prices:
        """List prices less the discount."""
        if not self.discount_percent:
            return prices
        return prices.times((_PERCENT - self.discount_percent) / _PERCENT)


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """A machine that serves models, and how fast.

    Attributes:
        gpu_hour_usd: what one of its GPUs costs in an hour, in dollars.
        gpus: how many it has.
        input_tokens_per_s: how many tokens of input it reads in a second, all requests together, when it does only
        that.
        output_tokens_per_s: how many it writes in a second, all requests together.
        busy_percent: the share of the paid hours in which it works; the rest is paid for by the tokens, too.
    """

    gpu_hour_usd: Decimal
    output_tokens_per_s: Decimal
    gpus: int = 1
    input_tokens_per_s: Decimal | None = None
    busy_percent: Decimal = _PERCENT


def machine_prices(machine: Machine) -> Prices:
    """A machine's hours as prices of tokens.

    A token costs the machine's time that it takes: the hourly price divided by the tokens of a busy hour. Without a
    speed for input, input is free and output carries all of it.
    """
    usd_per_hour = machine.gpu_hour_usd * machine.gpus
    busy = machine.busy_percent / _PERCENT

    def token(per_s: Decimal | None) -> int:
        return 0 if per_s is None else pico_usd(usd_per_hour / (per_s * _HOUR_S * busy))

    rates = Rates(input=token(machine.input_tokens_per_s), output=token(machine.output_tokens_per_s))
    return Prices(periods=(Period(rates=rates),))
