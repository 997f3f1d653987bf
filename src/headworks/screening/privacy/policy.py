"""What becomes of which kind: a contract's `screening.privacy`, compiled."""

from collections.abc import Sequence

import msgspec

from headworks.config.privacy import Privacy, PrivacyAction
from headworks.errors import ConfigError, Problem
from headworks.screening.privacy.entities import check_model, pool_of
from headworks.screening.privacy.finding import Finder
from headworks.screening.privacy.findings import Recogniser
from headworks.screening.privacy.kinds import KINDS, Kind
from headworks.screening.privacy.plugged import JudgingRecogniser, load_recognisers
from headworks.screening.privacy.tokens import QUOTED, TokenForm

QUOTED_KIND = Kind(QUOTED, QUOTED.upper(), "what looks like a token, and was typed")


_BLOCK: PrivacyAction = "block"
"""What becomes of a text that a judge has taken for something, unless the contract says otherwise."""


class PrivacyPolicy:
    """The policy of one workload. Compiled once, shared by its calls.

    Attributes:
        settings: what it was compiled from.
        finder: finds whatever is not allowed.
        form: recognises its tokens.
        entities: the model that has to be asked for names before a body is redacted; None where there is none.
    """

    __slots__ = ("_actions", "_kinds", "entities", "finder", "form", "settings")

    def __init__(self, settings: Privacy, finder: Finder, kinds: dict[str, Kind]) -> None:
        self.settings = settings
        self.finder = finder
        self.entities = None if settings.names is None else pool_of(settings.names)
        self.form = TokenForm(kind.label for kind in kinds.values())
        self._kinds = kinds
        self._actions: dict[str, PrivacyAction] = {name: settings.kinds.get(name, settings.otherwise) for name in kinds}

    @classmethod
    def compile(
        cls,
        settings: Privacy,
        *,
        recognisers: Sequence[Recogniser] = (),
        prefers_re2: bool = True,
        file: str = "workload.yaml",
    ) -> "PrivacyPolicy":
        """The policy of a contract.

        Arguments:
            recognisers: of data without a form (names, say), beside those that the contract names.
            prefers_re2: False for Python's engine even where RE2 is installed.
            file: the contract, for errors.

        Raises:
            ConfigError: it names an unknown kind, or a pattern or a model cannot be used.
        """
        if settings.names is not None:
            check_model(settings.names.adapter, settings.names.model, file)
        recognisers = (
            *recognisers,
            *load_recognisers(settings.recognisers, file, least_confidence=settings.least_confidence),
        )
        judged = [kind.name for one in recognisers if isinstance(one, JudgingRecogniser) for kind in one.kinds]
        if judged:
            settings = msgspec.structs.replace(settings, kinds={**dict.fromkeys(judged, _BLOCK), **settings.kinds})
        own = {**settings.patterns, **settings.words}
        kinds = {**KINDS, **{name: Kind(name, _label(name), "of the contract's own") for name in own}}
        for recogniser in recognisers:
            kinds.update({kind.name: kind for kind in recogniser.kinds})
        unknown = sorted(set(settings.kinds) - set(kinds))
        if unknown:
            message = f"screening.privacy.kinds: there is no kind {unknown[0]!r}; known are {', '.join(sorted(kinds))}"
            raise ConfigError(Problem(file, 0, 0, message))
        finder = Finder(settings, recognisers=recognisers, prefers_re2=prefers_re2, file=file)
        return cls(settings, finder, kinds)

    @property
    def restores_text(self) -> bool:
        """Whether tokens are turned back in an answer's text."""
        return self.settings.restore != "nothing"

    @property
    def restores_arguments(self) -> bool:
        """Whether they are in the arguments of tool calls, too; after those have been judged and approved."""
        return self.settings.restore == "everything"

    @property
    def fails_closed(self) -> bool:
        """Whether a `ScreeningFailed` ends the call; if not, it goes on, and that is audited."""
        return self.settings.on_failure == "closed"

    def kind(self, name: str) -> Kind:
        """The kind of this name."""
        return self._kinds[name]

    def action(self, name: str) -> PrivacyAction:
        """What becomes of a kind."""
        return self._actions[name]


def _label(name: str) -> str:
    """The label of a contract's own kind. It may not hold "PII" (see `tokens`)."""
    label = name.upper().replace("_", "")
    while "PII" in label:
        label = label.replace("PII", "OWN")
    return label


def masked(kind: Kind, value: str) -> str:
    """The value with stars for letters and digits, but for the last few where a kind shows them."""
    characters = sum(character.isalnum() for character in value)
    hidden = characters - (kind.shows if characters >= 2 * kind.shows else 0)
    written = []
    for character in value:
        if character.isalnum():
            written.append("*" if hidden > 0 else character)
            hidden -= 1
        else:
            written.append(character)
    return "".join(written)
