"""Write the generated reference pages from the code that they describe.

    .venv/bin/python docs/generate.py            write docs/reference/*.md and the JSON Schemas
    .venv/bin/python docs/generate.py --check    say which are stale, and exit with 1 if any is

A test does the same as `--check`.
"""
# ruff: noqa: INP001, T201

import argparse
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import NODEFAULT, Struct, inspect

from headworks.cli import COMMANDS, EXIT_CODES, GROUPS
from headworks.cli.parsing import Parser
from headworks.config import (
    SCHEMA_FILE,
    WORKLOAD_SCHEMA_FILE,
    Config,
    Contract,
    json_schema_text,
    workload_schema_text,
)

sys.path.insert(0, str(Path(__file__).parent))  # also where this file is loaded by its path

from administration import admin_reference
from support import support_matrix

REFERENCE = Path(__file__).parent / "reference"

CONFIGURATION_HEAD = """# headworks.yaml

<!-- Generated from the code by docs/generate.py: change the descriptions there. -->

`headworks serve` reads one YAML file. `headworks init` writes one to start from; `headworks check` names every problem
in it, with line and column. Relative paths are relative to the file's folder.

The smallest useful file:

```yaml
providers:
  openai:
    kind: openai
    api_key: env:OPENAI_API_KEY
```

**Secrets** never stand in the file, only where they are: `env:NAME` is an environment variable, `file:PATH` a file that
holds the secret as its only line; or what a [secret manager](../how-to/secrets.md) keeps.

**Editors** complete and check the file when its first line names the [JSON Schema](headworks.schema.json), which
`headworks init` puts beside it (`headworks check --schema` prints it):

```yaml
# yaml-language-server: $schema=headworks.schema.json
```

**YAML**: plain values are read as in YAML 1.2, by the type that the field wants, so `no` is text and not false.
Anchors, aliases and merge keys (`<<`) work. Unknown fields, duplicate keys and tags are errors. A file has at most
1 MiB, nested at most 64 deep.

**Models**: a caller names a model as `provider/name`, or by a public name from `models`.
"""

WORKLOAD_HEAD = """# workload.yaml

<!-- Generated from the code by docs/generate.py: change the descriptions there. -->

The contract of one workload, in `workloads/NAME/workload.yaml`: NAME is what callers send as `model`.
`headworks workloads new` writes one to start from; `headworks check` names every problem in all of them.
[Write a workload](../how-to/workloads.md) leads through it. Relative paths are relative to the contract's folder.

The smallest contract (the other fields have the defaults below):

```text
owner: support
description: Sort support tickets by urgency.
```

**Editors** complete and check the file with its [JSON Schema](workload.schema.json), which
`headworks check --schema workload` prints.

**Models** are named by a tier's role (`nano`, `mini`, `flagship`, bound under `tiers` in
[headworks.yaml](configuration.md)), by a public model name, or as `provider/name`. In `fallback`, `deterministic` may
stand last: it is the static answer in `fallback.json`.

**Files** of the usual names beside the contract belong to it without being named: `prompt.md`, `schema.json`,
`rules.py`, `tools.json`, `golden.jsonl`, `fallback.json`.
"""

CLI_HEAD = """# Command line

<!-- Generated from the code by docs/generate.py: change the help texts there. -->

`headworks COMMAND --help` prints the same. Every command ends with one of these exit codes:

| code | meaning |
|---|---|
"""


def pages() -> dict[Path, str]:
    """Every generated file and what it should hold."""
    return {
        REFERENCE / "configuration.md": reference(CONFIGURATION_HEAD, Config),
        REFERENCE / "workload.md": reference(WORKLOAD_HEAD, Contract),
        REFERENCE / "cli.md": command_line(),
        REFERENCE / "support.md": support_matrix(),
        REFERENCE / "admin-api.md": admin_reference(),
        REFERENCE / SCHEMA_FILE: json_schema_text(),
        REFERENCE / WORKLOAD_SCHEMA_FILE: workload_schema_text(),
    }


def reference(head: str, root: type[Struct]) -> str:
    """The reference of a file: its head, then a table for each kind of section in it."""
    sections: dict[type[Struct], tuple[inspect.StructType, list[str]]] = {}
    for place, section in _sections(inspect.type_info(root), ""):
        sections.setdefault(section.cls, (section, []))[1].append(place)
    parts = [head]
    for cls, (section, places) in sections.items():
        title = ", ".join(f"`{place}`" for place in places if place) or "The file"
        parts.append(f"## {title}\n\n{cls.__doc__}\n\n| field | value | default | meaning |\n|---|---|---|---|")
        parts[-1] += "".join(f"\n{_row(field)}" for field in section.fields) + "\n"
    return "\n".join(parts)


def _sections(kind: inspect.Type, place: str) -> Iterator[tuple[str, inspect.StructType]]:
    match kind:
        case inspect.Metadata():
            yield from _sections(kind.type, place)
        case inspect.UnionType():
            for inner in kind.types:
                yield from _sections(inner, place)
        case inspect.DictType():
            yield from _sections(kind.value_type, f"{place}.NAME")
        case inspect.VarTupleType():
            yield from _sections(kind.item_type, f"{place}[]")
        case inspect.StructType():
            yield place, kind
            for field in kind.fields:
                yield from _sections(field.type, f"{place}.{field.encode_name}".removeprefix("."))


def _row(field: inspect.Field) -> str:
    description = _description(field.type)
    return f"| `{field.encode_name}` | {_value(field.type)} | {_default(field)} | {description} |"


def _description(kind: inspect.Type) -> str:
    if not isinstance(kind, inspect.Metadata):
        raise TypeError("every field needs a description")
    return str((kind.extra_json_schema or {})["description"])


def _default(field: inspect.Field) -> str:
    if field.required:
        return "**needed**"
    value: Any = field.default
    if value is NODEFAULT or value is None or value in ("", ()) or isinstance(value, Struct):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _value(kind: inspect.Type, extra: dict[str, Any] | None = None) -> str:
    """A type in words, with its bounds."""
    match kind:
        case inspect.Metadata():
            return _value(kind.type, kind.extra or extra)
        case inspect.UnionType():
            return _value(next(inner for inner in kind.types if not isinstance(inner, inspect.NoneType)), extra)
        case inspect.StructType():
            return "mapping, or `provider/model`" if hasattr(kind.cls, "from_text") else "mapping"
        case inspect.DictType():
            return f"names, each with: {_value(kind.value_type)}"
        case inspect.VarTupleType():
            items = _value(kind.item_type)
            return f"list of {items if items.endswith('`') else items + 's'}"
        case inspect.LiteralType():
            return ", ".join(f"`{value}`" for value in kind.values)
        case inspect.BoolType():
            return "`true` or `false`"
        case inspect.IntType() | inspect.FloatType():
            return _number(kind)
        case inspect.DecimalType():
            form = str((extra or {}).get("form"))
            words = {"amount": "number from 0", "positive-amount": "number above 0", "percent": "number above 0 to 100"}
            return words.get(form, "number from -1,000 to 100")
        case inspect.StrType():
            words = {
                "secret-reference": "secret reference",
                "local-secret-reference": "`env:` or `file:` reference",
                "base-url": "URL",
                "proxy-url": "URL",
            }
            form = (extra or {}).get("form", "text")
            return str(words.get(form, form.replace("-", " ")))
    raise TypeError(f"no words for {type(kind).__name__}")


def _number(kind: inspect.IntType | inspect.FloatType) -> str:
    name = "whole number" if isinstance(kind, inspect.IntType) else "number"
    low = f"from {kind.ge:,}" if kind.ge is not None else f"above {kind.gt:,}" if kind.gt is not None else ""
    high = f"to {kind.le:,}" if kind.le is not None else ""
    return " ".join(filter(None, (name, low, high)))


def command_line() -> str:
    """The reference of the command line."""
    parts = [CLI_HEAD + "\n".join(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()) + "\n"]
    parts.append("| to | commands |\n|---|---|")
    for title, group in GROUPS.items():
        links = ", ".join(f"[{name}](#headworks-{name})" for name in group)
        parts.append(f"| {title} | {links} |")
    parts.append("")
    for name, summary in COMMANDS.items():
        module = importlib.import_module(f"headworks.cli.{name}")
        parser = Parser(prog=f"headworks {name}", add_help=False)
        module.arguments(parser)
        rest = "\n".join((module.__doc__ or "").strip().splitlines()[1:]).strip()
        parts.append(f"## headworks {name}\n\n{summary}.\n" + (f"\n{rest}\n" if rest else ""))
        parts.extend(_command(parser, level=3))
    return "\n".join(parts)


def _command(parser: argparse.ArgumentParser, *, level: int) -> Iterator[str]:
    """The arguments of a command, then its sub-commands. argparse offers no public way to list them."""
    rows = []
    # The flags of an action that is the default are taken without its name, too: they are shown there, once.
    shown_below = {
        option
        for action in parser._actions  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
        for inner in action.choices.values()
        for option in inner._option_string_actions  # noqa: SLF001
    }
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):  # noqa: SLF001
            continue
        if action.help is argparse.SUPPRESS or not shown_below.isdisjoint(action.option_strings):
            continue
        rows.append(f"| {_invocation(action)} | {_help(parser, action)} |")
    if rows:
        yield "| argument | meaning |\n|---|---|\n" + "\n".join(rows) + "\n"
    for action in parser._actions:  # noqa: SLF001
        if not isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            continue
        summaries = {choice.dest: choice.help for choice in action._choices_actions}  # noqa: SLF001
        for name, inner in action.choices.items():
            summary = summaries.get(name) or inner.description or ""
            yield f"{'#' * level} {inner.prog}\n\n{summary}\n" if summary else f"{'#' * level} {inner.prog}\n"
            yield from _command(inner, level=level + 1)


def _invocation(action: argparse.Action) -> str:
    """`-c`, `--config FILE`; or `DIR` for a positional one."""
    if action.choices is not None and action.metavar is None:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    else:
        metavar = action.metavar or (action.dest.upper() if action.option_strings else action.dest)
        value = metavar if isinstance(metavar, str) else " ".join(metavar)
    if not action.option_strings:
        return f"`{value}`"
    suffix = "" if action.nargs == 0 else f" {value}"
    return ", ".join(f"`{option}{suffix}`" for option in action.option_strings)


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    values = {**vars(action), "prog": parser.prog}
    text = (action.help or "") % {key: getattr(value, "__name__", value) for key, value in values.items()}
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> int:
    """Write the pages, or only compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is stale")
    options = parser.parse_args()
    stale = [path for path, text in pages().items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        print(f"{'stale' if options.check else 'wrote'}: {path}")
        if not options.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(pages()[path], "utf-8")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
