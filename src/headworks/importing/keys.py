"""Where secrets of the source are to be found from now on. A secret that stands in clear goes into no file of ours."""

import re
from collections.abc import Iterable

import msgspec

from headworks.importing.source import Value

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_NO_KEYS = frozenset(
    {"", "none", "null", "empty", "dummy", "fake", "fake-key", "no-key", "not-needed", "not-used", "anything", "any"}
)  # fmt: skip
"""What people write where a server without keys is asked by a client that wants one."""

FORMS = (r"os\.environ/(.+)", r"env::(.+)", r"\$\{?env[:.]?(.+?)\}?", r"\$\{?([A-Z_][A-Z0-9_]*)\}?")
"""How LiteLLM, TensorZero and people name an environment variable."""


class Variable(msgspec.Struct, frozen=True):
    """An environment variable that our file refers to. `was_clear`: its value stands in clear in the source."""

    name: str
    purpose: str
    was_clear: bool = False


class Keys:
    """References for the secrets of one file. Mutable: the variables that were given out.

    Arguments:
        texts: all texts of the file; variables that they name are not given to anything else.
        usual: further variables that are in use already, as a provider without a key in the file has its own.
    """

    def __init__(self, texts: Iterable[str], usual: Iterable[str] = ()) -> None:
        self._named = {name for text in texts if (name := variable_of(text)) is not None} | set(usual)
        self._clear: dict[str, str] = {}
        self._variables: dict[str, Variable] = {}

    @property
    def variables(self) -> tuple[Variable, ...]:
        """What has to be set before the gateway starts."""
        return tuple(self._variables.values())

    def reference(self, value: Value | None, usual: str, purpose: str) -> tuple[str | None, str]:
        """Our reference to a secret, and what to say of it; None where no key is meant.

        Arguments:
            value: what the source has; None for nothing, then the usual variable is meant, if there is one.
            usual: the variable that usually holds it.
            purpose: what it is for.
        """
        text = "" if value is None or value.text is None else value.text
        if value is None or value.text is None:
            return (self._given(usual, purpose), f"env:{usual}, as usual") if usual else (None, "no key")
        if (name := variable_of(text)) is not None:
            return self._given(name, purpose), f"env:{name}"
        if text.strip().lower() in _NO_KEYS:
            return None, "no key is sent"
        name = self._clear.get(text) or self._free(usual or "UPSTREAM_API_KEY")
        self._clear[text] = name
        self._variables[name] = Variable(name, purpose, was_clear=True)
        return f"env:{name}", f"env:{name}; it stands in clear in the source and was not copied: set the variable"

    def variable(self, usual: str, purpose: str) -> str:
        """A reference to a variable that is new: what the source has in several parts becomes one."""
        return self._given(self._free(usual), purpose)

    def _given(self, name: str, purpose: str) -> str:
        self._variables.setdefault(name, Variable(name, purpose))
        return f"env:{name}"

    def _free(self, wished: str) -> str:
        taken = self._named | set(self._clear.values()) | set(self._variables)
        number, name = 1, wished
        while name in taken:
            number += 1
            name = f"{wished}_{number}"
        return name


def variable_of(text: str) -> str | None:
    """The environment variable that a text of the source names; None if it names none."""
    for form in FORMS:
        found = re.fullmatch(form, text.strip())
        if found and re.fullmatch(_NAME, found[1]):
            return found[1]
    return None
