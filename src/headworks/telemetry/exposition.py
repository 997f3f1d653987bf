"""The grammar of the Prometheus text format 0.0.4, as far as it is written here."""

from collections.abc import Iterable


def head(name: str, description: str, kind: str) -> list[str]:
    """The lines that stand before a metric's; `name` without the `headworks_` prefix."""
    return [f"# HELP headworks_{name} {description}", f"# TYPE headworks_{name} {kind}"]


def label_text(labels: Iterable[tuple[str, object]]) -> str:
    """Names and values, as they stand between the braces."""
    return ",".join(f'{name}="{_escaped(str(value))}"' for name, value in labels)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
