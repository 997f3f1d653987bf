"""What the front matter of `prompt.md` may say, every field with its meaning, bounds and default; and its rules.

The descriptions are the reference documentation, as in `headworks.config.sections`.
"""

from typing import Annotated, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from headworks.config.sections.base import Section
from headworks.config.walk import Findings, Path, nearest

VariableType = Literal["string", "integer", "number", "boolean", "enum", "list", "object"]
VARIABLE_TYPES: tuple[str, ...] = get_args(VariableType)

VARIABLE_NAME = "^[a-z][a-z0-9_]{0,62}$"
VERSION = r"^(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})$"
"""Semantic Versioning 2.0.0 without pre-release and build: what is tried out is a canary, not another number."""

MAX_LENGTH = 1_000_000
MAX_ITEMS = 10_000

RESERVED = frozenset(
    {"and", "or", "not", "in", "is", "if", "elif", "else", "endif", "for", "endfor", "true", "false", "none", "loop",
     "self", "super", "caller", "varargs", "kwargs", "recursive", "import", "as", "with", "without", "context"}
)  # fmt: skip
"""Names that mean something in Jinja, where a variable of the same name would be hidden or hide something."""


class Variable(Section, frozen=True, kw_only=True):
    """One variable of a prompt. One without a default must be given with every call."""

    type: Annotated[VariableType, Meta(description="What values it takes.")]
    description: Annotated[str, Meta(description="What it is, for whoever calls.", max_length=1000)] = ""
    max_length: Annotated[
        int,
        Meta(description="Most characters; of a list or an object, those of its JSON form.", ge=1, le=MAX_LENGTH),
    ] = 20_000
    values: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=256)], ...], Meta(description="The choices of an enum.")
    ] = ()
    items: Annotated["Variable | None", Meta(description="What a list holds; `string` if left out.")] = None
    max_items: Annotated[int, Meta(description="Most items of a list.", ge=1, le=MAX_ITEMS)] = 100
    minimum: Annotated[float | None, Meta(description="Least value of a number.")] = None
    maximum: Annotated[float | None, Meta(description="Greatest value of a number.")] = None
    default: Annotated[object | UnsetType, Meta(description="The value of calls that do not give one.")] = UNSET
    trusted: Annotated[
        bool, Meta(description="Whether its values come from people who may instruct the model. Lint asks for a fence.")
    ] = False

    @staticmethod
    def from_text(text: str) -> "Variable":
        """The short form, `ticket: string`."""
        if text not in VARIABLE_TYPES:
            near = nearest(text, VARIABLE_TYPES)
            hint = f"; did you mean `{near}`?" if near else ""
            raise ValueError(f"expected a mapping with `type`, or one of {_listed(VARIABLE_TYPES)}{hint}")
        return Variable(type=text)  # type: ignore[arg-type]  # it is one of the literals

    @property
    def is_required(self) -> bool:
        """Whether every call must give a value."""
        return self.default is UNSET

    @property
    def item(self) -> "Variable":
        """What a list holds."""
        return self.items or _TEXT


_TEXT = Variable(type="string", max_length=MAX_LENGTH)


class Cache(Section, frozen=True, kw_only=True):
    """How the provider's prompt cache is used."""

    breakpoint: Annotated[
        Literal["auto", "off"],
        Meta(description="`auto` marks the end of the reusable prefix for the provider, `off` never does."),
    ]


class FrontMatter(Section, frozen=True, kw_only=True):
    """What stands between the two `---` lines."""

    version: Annotated[
        str,
        Meta(
            description="The semantic version of the prompt.",
            pattern=VERSION,
            extra={"expected": "a semantic version like 1.2.3"},
        ),
    ]
    variables: Annotated[
        dict[
            Annotated[
                str,
                Meta(pattern=VARIABLE_NAME, extra={"expected": "a name of small letters, digits and underscores"}),
            ],
            Variable,
        ],
        Meta(description="What the template may use, by name."),
    ] = field(default_factory=dict)
    cache: Annotated[Cache | None, Meta(description="Left out: the end is marked where that pays.")] = None


_ONLY_FOR: tuple[tuple[str, tuple[VariableType, ...]], ...] = (
    ("values", ("enum",)),
    ("items", ("list",)),
    ("max_items", ("list",)),
    ("minimum", ("integer", "number")),
    ("maximum", ("integer", "number")),
    ("max_length", ("string", "list", "object")),
)


class Rules:
    """Judges each struct as soon as it has been read; notes what is wrong with the findings."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings

    def judge(self, struct: msgspec.Struct, path: Path) -> None:
        """What must hold between the fields."""
        match struct:
            case Variable():
                self._variable(struct, path)
            case FrontMatter():
                for name in struct.variables:
                    if name in RESERVED:
                        self._findings.add(
                            ("variables", name), "is a word of the template language: choose another name"
                        )
            case _:
                pass

    def _variable(self, variable: Variable, path: Path) -> None:
        for name, types in _ONLY_FOR:
            if variable.type not in types and self._findings.is_set((*path, name)):
                self._findings.add_unless_faulty((*path, name), f"has a meaning for {_listed(types)} only")
        if variable.type == "enum" and not variable.values:
            self._findings.add_unless_faulty((*path, "values"), "is missing: an enum needs its choices")
        low, high = variable.minimum, variable.maximum
        if low is not None and high is not None and low > high:
            self._findings.add_unless_faulty((*path, "maximum"), "must not be below `minimum`")
        if len(path) > 2 and self._findings.is_set((*path, "trusted")):
            self._findings.add_unless_faulty((*path, "trusted"), "belongs to the list, not to its items")


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
