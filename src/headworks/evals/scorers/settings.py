"""What `evals.yaml` in a workload's folder may say: how answers are scored. As in `config.sections`, the descriptions
are the reference documentation, and every problem is named with file and line."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from headworks.config.reading import read_struct, read_text, read_tree
from headworks.config.sections.base import FilePath, Seconds, Section
from headworks.config.walk import Findings, suggestion
from headworks.config.walk import Path as Place
from headworks.evals.scorers.regex import pattern_problem

EVALS_FILE = "evals.yaml"
"""The name of the file in the workload's folder; it need not be there."""

Share = Annotated[float, Meta(ge=0, le=1)]
Tolerance = Annotated[float, Meta(ge=0)]
FieldPath = Annotated[
    str, Meta(pattern=r"^[^.\s]+(\.[^.\s]+)*$", max_length=256, extra={"expected": "names divided by `.`"})
]


class ExactSettings(Section, frozen=True):
    """The answer is the expected text."""


class LabelSettings(Section, frozen=True):
    """The answer is the expected label, however it is written."""

    aliases: Annotated[
        dict[Annotated[str, Meta(min_length=1, max_length=256)], tuple[str, ...]],
        Meta(description="For a label, what else means it."),
    ] = field(default_factory=dict)


class NumberSettings(Section, frozen=True):
    """The answer holds the expected number."""

    absolute: Annotated[Tolerance, Meta(description="By how much it may differ.")] = 0.0
    relative: Annotated[Tolerance, Meta(description="By which share of the expected number it may differ.")] = 0.0


class RegexSettings(Section, frozen=True):
    """The answer holds what regular expressions look for."""

    patterns: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=10_000)], ...],
        Meta(description="All must be found. Left out: each case's `expected` is its pattern, or a list of them."),
    ] = ()


class CollectionSettings(Section, frozen=True):
    """The answer is a collection: F1 of what it has in common with the expected one."""

    at_least: Annotated[Share, Meta(description="From which F1 on it is acceptable.")] = 1.0


class FieldSettings(Section, frozen=True):
    """How one field is compared."""

    weight: Annotated[float, Meta(description="Beside the others; 0: it is not compared.", ge=0, le=1000)] = 1.0
    absolute: Annotated[Tolerance, Meta(description="By how much a number may differ.")] = 0.0
    relative: Annotated[Tolerance, Meta(description="By which share of the expected number it may differ.")] = 0.0
    text: Annotated[
        Literal["label", "exact", "present"],
        Meta(description="`label`: case, punctuation and space do not count; `present`: any text will do."),
    ] = "label"


class FieldsSettings(Section, frozen=True):
    """The answer is a JSON object, compared field by field."""

    at_least: Annotated[Share, Meta(description="From which weighted share of right fields on it is acceptable.")] = 1.0
    allows_more: Annotated[bool, Meta(description="Fields that are not expected do no harm.")] = False
    fields: Annotated[
        dict[FieldPath, FieldSettings],
        Meta(description="By path: `total`, `lines.amount` (of each member of the list `lines`)."),
    ] = field(default_factory=dict)


class SchemaSettings(Section, frozen=True):
    """The answer satisfies the workload's schema."""


class RulesSettings(Section, frozen=True):
    """The answer keeps the workload's rules."""


class ToolCallsSettings(Section, frozen=True):
    """The answer calls the expected tools."""

    order: Annotated[Literal["any", "same"], Meta(description="Whether calls must come in the expected order.")] = "any"
    arguments: Annotated[
        Literal["equal", "given", "ignored"],
        Meta(description="`given`: those expected must be right, others do no harm."),
    ] = "equal"


LOCAL_EMBEDDINGS = "local"
VARIABLE_NAME = "^[a-z][a-z0-9_]{0,62}$"
WAY_NAME = "^[a-z][a-z0-9-]{0,62}$"


class EmbeddingSettings(Section, frozen=True):
    """The answer means about what is expected."""

    model: Annotated[
        str,
        Meta(
            description="`local` for the one of the extra `semantic`, which runs in this process and sends nothing "
            "anywhere; or an embeddings model of headworks.yaml.",
            min_length=1,
            max_length=256,
        ),
    ] = LOCAL_EMBEDDINGS
    at_least: Annotated[Share, Meta(description="From which cosine on it is acceptable.")] = 0.8


class JudgeSettings(Section, frozen=True, kw_only=True):
    """A model judges by a rubric."""

    model: Annotated[
        str, Meta(description="The pinned model: `provider/model`, no role.", pattern="^[^/]+/.+$", max_length=256)
    ]
    rubric: Annotated[FilePath, Meta(description="A file that says what makes an answer good.")]
    at_least: Annotated[int, Meta(description="The least score, 1 to 5, that is acceptable.", ge=1, le=5)] = 4
    labels: Annotated[
        FilePath | None,
        Meta(description="Answers with human labels: cases with `answer` and `acceptable`. Without, it only warns."),
    ] = None
    bar: Annotated[Share, Meta(description="The sensitivity and specificity that it must show before it decides.")] = (
        0.95
    )


class FunctionSettings(Section, frozen=True):
    """Your own Python function."""

    call: Annotated[
        str,
        Meta(
            description="`file.py:function`, in this folder. It gets case and answer as dicts.",
            pattern=r"^[^:]+\.py:[A-Za-z_][A-Za-z0-9_]*$",
            max_length=512,
            extra={"expected": "`file.py:function`"},
        ),
    ]
    timeout_s: Annotated[Seconds, Meta(description="Seconds for one answer.")] = 5.0


class CommandSettings(Section, frozen=True):
    """Your own command: JSON on its standard input, JSON on its standard output."""

    run: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=4096)], ...],
        Meta(description="Program and arguments; no shell reads them. It runs in this folder."),
    ]
    timeout_s: Annotated[Seconds, Meta(description="Seconds for one answer.")] = 30.0


class ExtensionSettings(Section, frozen=True):
    """A scorer of another package."""

    use: Annotated[
        str,
        Meta(
            description="Its name among the entry points `headworks.scorers`. Its code runs in this process.",
            pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        ),
    ]
    settings: Annotated[
        dict[Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,63}$")], Annotated[str, Meta(max_length=4096)]],
        Meta(description="Handed to it when it is made, as text."),
    ] = field(default_factory=dict)
    timeout_s: Annotated[Seconds, Meta(description="Seconds for one answer.")] = 30.0


class ScorerSettings(Section, frozen=True):
    """One scorer: exactly one of its kinds, and how it counts. A kind without settings can be written as its name."""

    exact: Annotated[ExactSettings | None, Meta(description="The expected text, character by character.")] = None
    label: Annotated[LabelSettings | None, Meta(description="The expected label, however written.")] = None
    number: Annotated[NumberSettings | None, Meta(description="The expected number, within a tolerance.")] = None
    regex: Annotated[RegexSettings | None, Meta(description="Regular expressions, in linear time.")] = None
    set: Annotated[CollectionSettings | None, Meta(description="The same members, in any order.")] = None
    list: Annotated[CollectionSettings | None, Meta(description="The same members, in the same order.")] = None
    fields: Annotated[FieldsSettings | None, Meta(description="A JSON object, field by field.")] = None
    schema: Annotated[SchemaSettings | None, Meta(description="The workload's schema.")] = None
    rules: Annotated[RulesSettings | None, Meta(description="The workload's rules.")] = None
    tool_calls: Annotated[ToolCallsSettings | None, Meta(description="The expected tool calls.")] = None
    embedding: Annotated[EmbeddingSettings | None, Meta(description="Similarity of meaning.")] = None
    judge: Annotated[JudgeSettings | None, Meta(description="A model that judges by a rubric.")] = None
    function: Annotated[FunctionSettings | None, Meta(description="Your own Python function.")] = None
    command: Annotated[CommandSettings | None, Meta(description="Your own command.")] = None
    extension: Annotated[ExtensionSettings | None, Meta(description="A scorer of an installed package.")] = None
    field: Annotated[
        FieldPath | None, Meta(description="Of a JSON answer, the field that is scored. Left out: the whole.")
    ] = None
    weight: Annotated[float, Meta(description="Its part of the value, beside the others.", gt=0, le=1000)] = 1.0
    gates: Annotated[bool, Meta(description="`false`: it only warns. A judge must be calibrated to gate.")] = True

    @classmethod
    def from_text(cls, text: str) -> "ScorerSettings":
        """A kind by its name, with its defaults.

        Raises:
            ValueError: there is none of that name, or it needs settings.
        """
        if text not in _WITHOUT_SETTINGS:
            needs = "; it needs settings" if text in KINDS else suggestion(text, _WITHOUT_SETTINGS)
            raise ValueError(f"is no scorer without settings{needs}")
        return msgspec.convert({text: {}}, cls)

    @property
    def kind(self) -> str:
        """The kind that is set."""
        return next(name for name in KINDS if getattr(self, name) is not None)


KINDS = tuple(name for name in ScorerSettings.__struct_fields__ if name not in ("field", "weight", "gates"))
_WITHOUT_SETTINGS = (
    "exact",
    "label",
    "number",
    "regex",
    "set",
    "list",
    "fields",
    "schema",
    "rules",
    "tool_calls",
    "embedding",
)


class WaySettings(Section, frozen=True):
    """One way of finding a context: exactly one of these."""

    file: Annotated[
        FilePath | None, Meta(description='JSON lines `{"id": ..., "context": ...}`, one for each case.')
    ] = None
    function: Annotated[
        FunctionSettings | None,
        Meta(description="Your own Python function: it gets the case, and gives a text or a list of texts."),
    ] = None
    command: Annotated[
        CommandSettings | None,
        Meta(description="Your own command: the case as JSON in, a text or a list of texts as JSON out."),
    ] = None


class RetrievalSettings(Section, frozen=True, kw_only=True):
    """What an arm can find for a case before it asks: `--arm retrieval=NAME`."""

    variable: Annotated[
        str, Meta(description="The prompt's variable that what was found is the value of.", pattern=VARIABLE_NAME)
    ]
    ways: Annotated[
        dict[Annotated[str, Meta(pattern=WAY_NAME)], WaySettings],
        Meta(description="By name: what is held against one another.", min_length=1, max_length=50),
    ]
    most_s: Annotated[float, Meta(description="Seconds for all cases of one way together.", gt=0, le=86_400)] = 600.0


class EvalSettings(Section, frozen=True):
    """The whole of `evals.yaml`."""

    version: Annotated[Literal[1], Meta(description="The version of this file's format.")] = 1
    scorers: Annotated[
        tuple[ScorerSettings, ...],
        Meta(description="All of them must accept an answer. Left out: what fits the cases' `expected`."),
    ] = ()
    timeout_s: Annotated[Seconds, Meta(description="Seconds for one case, the model's answer and its scoring.")] = 120.0
    retrieval: Annotated[
        RetrievalSettings | None, Meta(description="Ways of finding a context, as arms of an eval.")
    ] = None


def read_settings(folder: Path) -> EvalSettings:
    """What the `evals.yaml` of a workload's folder says; the defaults where there is none.

    Raises:
        ConfigError: carries every problem, with file and line.
    """
    path = folder / EVALS_FILE
    return parse_settings(read_text(path), file=str(path), folder=folder) if path.exists() else EvalSettings()


def parse_settings(text: str, *, file: str, folder: Path) -> EvalSettings:
    """The settings that a text is.

    Arguments:
        file: what problems name.
        folder: where the files lie that it names.

    Raises:
        ConfigError: carries every problem, with file and line.
    """
    findings = Findings()
    root = read_tree(text, file=file, findings=findings)
    judge = _SettingsRules(findings, folder).judge
    return read_struct(root, EvalSettings, file=file, findings=findings, judge=judge)


class _SettingsRules:
    """What must hold between the fields, and between them and the files that they name."""

    def __init__(self, findings: Findings, folder: Path) -> None:
        self._findings = findings
        self._folder = folder

    def judge(self, struct: msgspec.Struct, path: Place) -> None:
        match struct:
            case ScorerSettings():
                kinds = [name for name in KINDS if getattr(struct, name) is not None]
                if len(kinds) != 1:
                    what = "one" if kinds else f"one of {', '.join(f'`{name}`' for name in KINDS)}"
                    self._findings.add_unless_faulty(path, f"expected {what} kind of scorer, got {len(kinds)}")
            case WaySettings():
                self._way(struct, path)
            case RegexSettings():
                for index, pattern in enumerate(struct.patterns):
                    problem = pattern_problem(pattern)
                    if problem:
                        self._findings.add_unless_faulty((*path, "patterns", index), problem)
            case JudgeSettings():
                self._file((*path, "rubric"), struct.rubric)
                if struct.labels is not None:
                    self._file((*path, "labels"), struct.labels)
            case FunctionSettings():
                self._file((*path, "call"), struct.call.rpartition(":")[0])
            case CommandSettings():
                if not struct.run:
                    self._findings.add_unless_faulty((*path, "run"), "must not be empty")
            case _:
                pass

    def _file(self, path: Place, name: str) -> None:
        if not (self._folder / name).is_file():
            self._findings.add_unless_faulty(path, "there is no such file beside this one")

    def _way(self, way: WaySettings, path: Place) -> None:
        kinds = [name for name in way.__struct_fields__ if getattr(way, name) is not None]
        if len(kinds) != 1:
            self._findings.add_unless_faulty(path, f"expected one of `file`, `function`, `command`, got {len(kinds)}")
        if way.file is not None:
            self._file((*path, "file"), way.file)
