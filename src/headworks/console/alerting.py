"""Tells people that a budget is reached: by webhook, in a chat that takes Slack's messages, by e-mail.

Told from a thread of its own: whoever keeps the books does not wait for anybody's mail server. What cannot be delivered
is tried again, later and later, and then said in the operator's log; an alert is never the reason why a call waits.
"""

import json
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from headworks.catalogue.money import dollars, usd_text

TIMEOUT_S = 10.0
_PAUSES_S = (1.0, 5.0, 30.0, 120.0)
"""Between the attempts to deliver one alert."""

_MOST_WAITING = 1000


class Alert(msgspec.Struct, frozen=True):
    """What is told. Amounts are pico-dollars; `period` is `2026-11-26` or `2026-11`."""

    of: str
    kind: str
    period: str
    percent: int
    cap: int
    spent: int
    is_hard: bool

    @property
    def text(self) -> str:
        """In a sentence."""
        what = f"The budget of {self.of} for the {self.kind} {self.period}"
        if self.percent < 100:
            return f"{what} is used to {self.percent} %: {dollars(self.spent)} of {dollars(self.cap)}."
        then = "Calls that could exceed it are refused." if self.is_hard else "Calls go on."
        return f"{what} is reached: {dollars(self.spent)} of {dollars(self.cap)} are spent. {then}"

    def as_json(self) -> bytes:
        """For programs; dollars are exact decimal strings."""
        return json.dumps(
            {
                "type": "budget",
                "of": self.of,
                "kind": self.kind,
                "period": self.period,
                "percent": self.percent,
                "budget_usd": usd_text(self.cap),
                "spent_usd": usd_text(self.spent),
                "refuses": self.is_hard,
                "text": self.text,
            }
        ).encode()


class Channel(Protocol):
    """One way to tell somebody."""

    @property
    def name(self) -> str:
        """For the log: no secret in it."""
        ...

    def send(self, alert: Alert) -> None:
        """Deliver it.

        Raises:
            OSError: it was not delivered; the text holds no secret.
        """
        ...


class Alerter:
    """Delivers alerts, each to every channel. State: those that wait, and a thread from the first one on.

    Arguments:
        say: told in a sentence what could not be delivered at all.
        pauses_s: between attempts.
    """

    def __init__(
        self, channels: Sequence[Channel], say: Callable[[str], None], *, pauses_s: Sequence[float] = _PAUSES_S
    ) -> None:
        self._channels = channels
        self._say = say
        self._pauses_s = pauses_s
        self._waiting: queue.Queue[Alert | None] = queue.Queue(_MOST_WAITING)
        self._told = threading.Event()
        self._thread: threading.Thread | None = None

    def tell(self, alert: Alert) -> None:
        """Deliver it soon; it is in the log at once."""
        self._say(alert.text)
        if not self._channels or self._told.is_set():
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
            self._thread.start()
        try:
            self._waiting.put_nowait(alert)
        except queue.Full:
            self._say("too many alerts wait to be delivered: this one stands in the log alone")

    def close(self, patience_s: float = TIMEOUT_S) -> None:
        """Deliver what waits, once more and without pauses."""
        self._told.set()
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(patience_s)

    def _run(self) -> None:
        while (alert := self._waiting.get()) is not None:
            for channel in self._channels:
                self._deliver(channel, alert)

    def _deliver(self, channel: Channel, alert: Alert) -> None:
        trouble = ""
        for pause_s in (0.0, *self._pauses_s):
            if pause_s and self._told.wait(pause_s):
                break
            try:
                channel.send(alert)
            except OSError as error:
                trouble = str(error)
            else:
                return
        self._say(f"an alert could not be delivered to {channel.name}: {trouble}")
