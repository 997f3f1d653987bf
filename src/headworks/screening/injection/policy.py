"""Which layer may do what: a contract's `screening.injection`, compiled."""

import functools
from collections.abc import Callable, Collection
from typing import Literal, Protocol

from headworks.config.injection import Injection
from headworks.errors import CommandError, ConfigError, Problem
from headworks.screening.injection.characters import seen_steps, unusual_steps
from headworks.screening.injection.classifier import Classifier, Embed
from headworks.screening.injection.detecting import Detector
from headworks.screening.injection.egress import Egress
from headworks.screening.injection.signals import InjectionVerdict, Signal, Source
from headworks.screening.steps import Steps, drained

Mode = Literal["off", "monitor", "sanitise", "block"]

_VERDICTS: dict[Mode, InjectionVerdict] = {
    "off": "allow",
    "monitor": "flag",
    "sanitise": "sanitise",
    "block": "block",
}


class TextClassifier(Protocol):
    """Says whether a text is like known attacks."""

    def finds(self, text: str) -> bool:
        """Whether it is."""
        ...


class InjectionPolicy:
    """The policy of one workload. Compiled once, shared by its calls.

    Attributes:
        settings: what it was compiled from.
        egress: what becomes of addresses in answers.
    """

    __slots__ = ("_classifier", "_detector", "egress", "settings")

    def __init__(
        self, settings: Injection, detector: Detector | None, classifier: TextClassifier | None = None
    ) -> None:
        self.settings = settings
        self.egress = Egress({"image": settings.images, "link": settings.links}, settings.hosts)
        self._detector = detector
        self._classifier = classifier

    @classmethod
    def compile(
        cls, settings: Injection, load_embed: Callable[[], Embed] | None = None, file: str = "workload.yaml"
    ) -> "InjectionPolicy":
        """The policy of a contract.

        Arguments:
            load_embed: loads the local embedding that the classifier needs.
            file: the contract, for errors.

        Raises:
            ConfigError: it asks for the classifier, whose embedding is not installed.
        """
        classifier = None
        if settings.classifier != "off":
            assert load_embed is not None, "who compiles it has one"
            try:
                classifier = Classifier(load_embed())
            except CommandError as error:
                message = f"screening.injection.classifier cannot be used: {error}; or say `off`"
                raise ConfigError(Problem(file, 0, 0, message)) from None
        return cls(settings, None if settings.patterns == "off" else _detector(), classifier)

    @property
    def screens_output(self) -> bool:
        """Whether answers are looked at, or have to be written anew so that a stream's pieces say what its end says."""
        settings = self.settings
        by_arguments = settings.taint != "off" and settings.taint_by == "arguments"
        return by_arguments or self.egress.is_on or settings.canary != "off" or settings.unexpected_tools != "off"

    def screen(self, text: str, source: Source) -> tuple[str, list[Signal]]:
        """A text that is to go up as it may go up, and what was found. Where one of the signals is *block* it may not.

        The wordings are looked for in the text as it came: what is taken out may be what hides them, or is them.
        """
        return drained(self.steps(text, source))

    def steps(self, text: str, source: Source) -> Steps[tuple[str, list[Signal]]]:
        """`screen`, step by step."""
        signals: list[Signal] = []
        yield from self._look(text, source, signals)
        if self.settings.characters == "sanitise":
            text = yield from seen_steps(text)
        return text, signals

    def screen_output(self, text: str) -> tuple[str, list[Signal]]:
        """A text that a model has given, as it may go on, and what was found in it. What only a call knows is
        not looked for: its canary, its tools, its taint."""
        judged = self.egress.judge(text)
        return judged.text, [self.pointed(kind, count) for kind, count in judged.found.items()]

    def _look(self, text: str, source: Source, signals: list[Signal]) -> Steps[None]:
        settings = self.settings
        if settings.size != "off" and len(text) > settings.most_characters:
            signals.append(Signal("size", _VERDICTS[settings.size], source, ("too_long",)))
        if settings.characters != "off":
            found = yield from unusual_steps(text)
            if found:
                names, count = tuple(found), sum(found.values())
                signals.append(Signal("characters", _VERDICTS[settings.characters], source, names, count))
            yield
        if self._detector is not None:
            kinds = yield from self._detector.steps(text)
            if kinds:
                signals.append(Signal("patterns", _VERDICTS[settings.patterns], source, kinds, len(kinds)))
            yield
        if self._classifier is not None:
            if self._classifier.finds(text):
                signals.append(Signal("classifier", _VERDICTS[settings.classifier], source, ("like_attacks",)))
            yield

    def unexpected(self, name: str, offered: Collection[str]) -> Signal | None:
        """What is to be said of a call of a tool, given those that the request has offered."""
        mode = self.settings.unexpected_tools
        if mode == "off" or name in offered:
            return None
        return Signal("tools", _VERDICTS[mode], "output", ("not_offered",))

    def leaked(self) -> Signal:
        """What is to be said of an answer that has the canary."""
        return Signal("canary", _VERDICTS[self.settings.canary], "output", ("leaked",))

    def pointed(self, kind: Literal["image", "link"], count: int) -> Signal:
        """What is to be said of addresses of hosts that are not listed."""
        if kind == "image":
            return Signal("images", _VERDICTS[self.settings.images], "output", ("unlisted_host",), count)
        return Signal("links", _VERDICTS[self.settings.links], "output", ("unlisted_host",), count)


@functools.cache
def _detector() -> Detector:
    """The one detector of the process; it holds no state of a call."""
    return Detector()
