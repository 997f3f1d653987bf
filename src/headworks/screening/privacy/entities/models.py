"""Local models behind one Protocol. They run in a worker's process: nothing here imports one before it is loaded.

Weights are never fetched: a model is a package that is installed, or a folder.
"""

import importlib
import importlib.util
import re
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, TypeAlias

from headworks.errors import ConfigError, Problem

GROUP = "headworks.entity_models"
"""The group of entry points: something that is called with the model's name and gives an `EntityModel`."""

ENTITY_KINDS = ("person", "organisation", "location")
"""The kinds that a model may find, by their names in `kinds.KINDS`."""

Span: TypeAlias = tuple[int, int, str, float]
"""Where something starts and ends in characters, its kind, and how sure that is (0 to 1)."""


class EntityModel(Protocol):
    """Finds entities in a text. It may take its time, and memory: both are bounded around it."""

    def find(self, text: str) -> Iterable[Span]:
        """What there is in a text, in any order. Kinds that are none of `ENTITY_KINDS` are left out."""
        ...


_LABELS = {
    "PERSON": "person", "PER": "person", "ORG": "organisation", "ORGANIZATION": "organisation",
    "NORP": "", "GPE": "location", "LOC": "location", "FAC": "location", "LOCATION": "location", "ADDRESS": "location",
}  # fmt: skip
"""Labels of OntoNotes (spaCy's English models), of CoNLL 2003 (its others, and GLiNER's usual ones), of Presidio."""

_SURE = 0.7
"""What spaCy finds has no score of its own."""


class SpacyModel:
    """A pipeline of spaCy, without the parts that finding names does not need.

    Arguments:
        name: the package, or the folder, of the model.
    """

    def __init__(self, name: str) -> None:
        spacy = importlib.import_module("spacy")
        unneeded = ["tagger", "parser", "lemmatizer", "attribute_ruler", "morphologizer", "senter", "textcat"]
        if Path(name).is_dir():
            self._read = spacy.load(name, exclude=unneeded)
        else:
            self._read = importlib.import_module(name.replace("-", "_")).load(exclude=unneeded)

    def find(self, text: str) -> Iterator[Span]:
        """As `EntityModel` has it."""
        for entity in self._read(text).ents:
            kind = _LABELS.get(entity.label_, "")
            if kind:
                yield entity.start_char, entity.end_char, kind, _SURE


class PresidioModel:
    """Presidio's analyzer over a model of spaCy: its names only, for the rest our patterns are nearer to the mark.

    Arguments:
        name: the package of spaCy's model.
    """

    def __init__(self, name: str) -> None:
        engines = importlib.import_module("presidio_analyzer.nlp_engine")
        analyzer = importlib.import_module("presidio_analyzer")
        model = {"lang_code": "en", "model_name": name.replace("-", "_")}
        provider = engines.NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": [model]})
        self._engine = analyzer.AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=["en"])

    def find(self, text: str) -> Iterator[Span]:
        """As `EntityModel` has it."""
        wanted = ["PERSON", "LOCATION", "ORGANIZATION"]
        for result in self._engine.analyze(text=text, language="en", entities=wanted):
            yield result.start, result.end, _LABELS[result.entity_type], float(result.score)


class GlinerModel:
    """GLiNER, from a folder with its weights.

    Arguments:
        name: the folder.
    """

    def __init__(self, name: str) -> None:
        gliner = importlib.import_module("gliner")
        self._model = gliner.GLiNER.from_pretrained(name, local_files_only=True)

    def find(self, text: str) -> Iterator[Span]:
        """As `EntityModel` has it."""
        for entity in self._model.predict_entities(text, ["person", "organization", "location", "address"]):
            kind = _LABELS.get(str(entity["label"]).upper(), "")
            if kind:
                yield int(entity["start"]), int(entity["end"]), kind, float(entity["score"])


_ADAPTERS: dict[str, tuple[str, Callable[[str], EntityModel]]] = {
    "spacy": ("spacy", SpacyModel),
    "presidio": ("presidio_analyzer", PresidioModel),
    "gliner": ("gliner", GlinerModel),
}


def check_model(adapter: str, name: str, file: str) -> None:
    """Whether a model is installed; it is not loaded.

    Arguments:
        file: where it is named, for errors.

    Raises:
        ConfigError: it is not, with what to install.
    """
    if adapter not in _ADAPTERS:
        if adapter not in {entry.name for entry in entry_points(group=GROUP)}:
            known = ", ".join(_ADAPTERS)
            raise _unusable(
                file, "adapter", f"there is no adapter {adapter!r}; there are: {known}, and those of packages"
            )
        return
    module, _ = _ADAPTERS[adapter]
    if importlib.util.find_spec(module) is None:
        raise _unusable(file, "adapter", f"{module} is not installed: `pip install 'headworks[ner]'` brings spaCy")
    if not Path(name).is_dir() and (adapter == "gliner" or not _is_installed(name.replace("-", "_"))):
        raise _unusable(file, "model", f"there is neither a package nor a folder {name!r}; no weights are fetched")


def load_model(adapter: str, name: str) -> EntityModel:
    """The model; whatever its library raises."""
    known = _ADAPTERS.get(adapter)
    if known is not None:
        return known[1](name)
    (entry,) = entry_points(group=GROUP, name=adapter)
    made: EntityModel = entry.load()(name)
    return made


def _is_installed(name: str) -> bool:
    return name.isidentifier() and importlib.util.find_spec(name) is not None


def _unusable(file: str, place: str, reason: str) -> ConfigError:
    return ConfigError(Problem(file, 0, 0, f"screening.privacy.names.{place} cannot be used: {reason}"))


_EDGES = " \t\r\n.,;:!?\"'()[]{}<>*_`|-\u2013\u2014\u2018\u2019\u201c\u201d"
_POSSESSIVE = re.compile(r"['\u2019]s?$")
_ARTICLE = re.compile(r"^(?:the|The|a|A|an|An) ")
_NO_NAME = re.compile(r"[=(){}\[\]<>/\\@#$%^*_|~`]|https?:|www\.")
_NUMBER = re.compile(r"\d{3}")
_MOST_LINES = 1


def tidied(text: str, span: Span) -> Span | None:
    """A span as it is used: without what stands around the name; None if it is none.

    Models take pieces of code and of logs for names: what has the signs of a program in it, no letter that is a
    capital, or goes over a line's end, is left out.
    """
    start, end, kind, score = span
    if kind not in ENTITY_KINDS or not 0 <= start < end <= len(text):
        return None
    value = text[start:end]
    inner = _POSSESSIVE.sub("", value.rstrip(_EDGES))
    value = value[: len(inner)]
    lead = len(value) - len(value.lstrip(_EDGES))
    article = _ARTICLE.match(value[lead:])
    lead += article.end() if article else 0
    value = value[lead:]
    if len(value) < 2 or value.count("\n") >= _MOST_LINES or _NO_NAME.search(value):
        return None
    if kind != "location" and _NUMBER.search(value):
        return None
    if value == value.lower() and value != value.upper():  # scripts without capitals are the same in both
        return None
    return start + lead, start + lead + len(value), kind, score


_PIECE = 8_000
_LOOK_BACK = 1_000


def pieces(text: str) -> Iterator[tuple[int, str]]:
    """A long text in pieces that end where a line or a sentence does, with the place of each."""
    start = 0
    while len(text) - start > _PIECE:
        end = start + _PIECE
        cut = max(text.rfind(sign, end - _LOOK_BACK, end) for sign in ("\n", ". ", " "))
        end = cut + 1 if cut >= 0 else end
        yield start, text[start:end]
        start = end
    yield start, text[start:]
