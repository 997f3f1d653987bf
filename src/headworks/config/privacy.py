"""What may be said under `screening.privacy`: which personal data is looked for, and what becomes of it.

A contract says it of its workload, `headworks.yaml` of all calls that belong to none. As in `contract`, the
descriptions are the reference documentation and the JSON Schema.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

KIND_NAME = "^[a-z][a-z0-9_]{1,30}$"
"""The name of a kind of data: one that Headworks knows (`email`, `us_ssn`), or one of the contract's own."""

KindName = Annotated[str, Meta(pattern=KIND_NAME)]

PrivacyAction = Literal["tokenise", "mask", "hash", "remove", "block", "allow"]

ACTIONS = (
    "`tokenise`: a token that is turned back in the answer. `mask`: stars, with the last characters where that is "
    "customary. `hash`: a word that is the same for the same value, for good. `remove`: nothing. `block`: the call is "
    "refused. `allow`: it goes up as it is."
)


class CustomPattern(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A form of data that only this organisation has."""

    regex: Annotated[
        str,
        Meta(
            description="RE2 syntax, no look-around and no back references. A group, if there is one, is the value.",
            min_length=1,
            max_length=1000,
        ),
    ]
    context: Annotated[
        tuple[Annotated[str, Meta(min_length=2, max_length=64)], ...],
        Meta(description="Words of which one must stand shortly before the value; none: it is always one."),
    ] = ()
    ignore_case: Annotated[bool, Meta(description="Whether case makes no difference.")] = False


class WordList(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Words and phrases that must not go up: names of clients, of projects, of products to come."""

    words: Annotated[
        tuple[Annotated[str, Meta(min_length=2, max_length=200)], ...],
        Meta(description="The words and phrases.", min_length=1, max_length=10_000),
    ]
    ignore_case: Annotated[bool, Meta(description="Whether case makes no difference.")] = True
    whole_words: Annotated[bool, Meta(description="Whether a part of a longer word does not count.")] = True


EntityKind = Literal["person", "organisation", "location"]


class Names(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A local model that finds names in what goes up. It runs in processes of its own, and needs the extra `ner` or a
    package that brings another one."""

    adapter: Annotated[
        str,
        Meta(
            description="How the model is run: `spacy`, `presidio`, `gliner`, or the name of an entry point in the "
            "group `headworks.entity_models`.",
            min_length=1,
            max_length=64,
        ),
    ] = "spacy"
    model: Annotated[
        str,
        Meta(
            description="The package of the model, or a folder with it. Nothing is fetched.",
            min_length=1,
            max_length=256,
        ),
    ] = "en_core_web_sm"
    kinds: Annotated[
        tuple[EntityKind, ...], Meta(description="What is looked for. The rest that it finds is left.", min_length=1)
    ] = ("person", "organisation", "location")
    processes: Annotated[
        int, Meta(description="Processes with the model in each worker: so many calls are read at once.", ge=1, le=16)
    ] = 1
    timeout_s: Annotated[
        float,
        Meta(
            description="Seconds that the texts of a call may take, and that it may wait for a process. A process that "
            "takes longer is killed, and `on_failure` says what becomes of the call.",
            gt=0,
            le=120,
        ),
    ] = 5.0
    memory_mb: Annotated[
        int, Meta(description="Megabytes of address space that a process may have.", ge=128, le=65_536)
    ] = 2048


class Privacy(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What becomes of personal data and secrets in what goes up, and of what the model brings up itself."""

    otherwise: Annotated[
        PrivacyAction, Meta(description=f"What becomes of a kind that `kinds` does not name. {ACTIONS}")
    ] = "tokenise"
    kinds: Annotated[
        dict[KindName, PrivacyAction], Meta(description="What becomes of a kind, by its name; custom ones too.")
    ] = field(default_factory=dict)
    least_confidence: Annotated[
        float,
        Meta(
            description="From which confidence on something counts as found. Check digits and words nearby raise it.",
            ge=0.1,
            le=1,
        ),
    ] = 0.5
    patterns: Annotated[
        dict[KindName, CustomPattern], Meta(description="Further patterns; the name is the kind's.")
    ] = field(default_factory=dict)
    words: Annotated[dict[KindName, WordList], Meta(description="Lists of words; the name is the kind's.")] = field(
        default_factory=dict
    )
    identifiers: Annotated[
        tuple[Annotated[str, Meta(pattern="^[a-z]{2}\\.[a-z0-9_]{1,32}$", examples=["at.vnr", "ch.ssn"])], ...],
        Meta(description="Further identifiers, named as the modules of python-stdnum are; needs the extra `privacy`."),
    ] = ()
    recognisers: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...],
        Meta(
            description="Layers of screening that packages installed here bring along, by their names in the entry "
            "points `headworks.recognisers`: recognisers of data without a form (names, organisations, addresses), and "
            "judges of whole texts (attacks, topics), whose kinds are blocked unless `kinds` says otherwise."
        ),
    ] = ()
    names: Annotated[
        Names | None,
        Meta(
            description="A local model that finds names of people, organisations and places in what goes up. Left out: "
            "names are found by the words around them, and by `words`."
        ),
    ] = None
    never: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=256)], ...],
        Meta(
            description="Values that are nobody's secret, such as your own support address. Case makes no difference."
        ),
    ] = ()
    restore: Annotated[
        Literal["everything", "text", "nothing"],
        Meta(
            description="Where tokens of an answer are turned back: in its text and in the arguments of tool calls, in "
            "its text only, or nowhere."
        ),
    ] = "everything"
    answer: Annotated[
        Literal["allow", "report", "mask", "remove", "block"],
        Meta(description="What becomes of personal data that the model brings up itself."),
    ] = "report"
    opaque: Annotated[
        Literal["allow", "block"],
        Meta(description="What becomes of images, audio and files, which are not read."),
    ] = "allow"
    on_failure: Annotated[
        Literal["closed", "open"],
        Meta(description="When screening itself fails: `closed` refuses the call, `open` lets it through, audited."),
    ] = "closed"
    token_life_s: Annotated[
        Annotated[float, Meta(gt=0, le=31_536_000)],
        Meta(description="Seconds that the values behind a conversation's tokens are kept after they were last used."),
    ] = 604_800.0


class PlainScreening(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is screened of calls that belong to no workload. A workload's contract says it for its own."""

    privacy: Annotated[
        Privacy | None,
        Meta(description="Personal data and secrets of these calls. Left out: they go up as they are."),
    ] = None
    teams: Annotated[
        dict[str, Privacy],
        Meta(description="The same for the calls of single teams, instead of `privacy`: each says all that it wants."),
    ] = field(default_factory=dict)
    unscreened: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=256)], ...],
        Meta(
            description="Models whose calls go up as they are, whoever makes them: those on machines of your own. "
            "Names as callers send them; what such a name falls back to must stand here, too.",
            examples=[["local-small", "ollama/qwen3"]],
        ),
    ] = ()
