"""`headworks prompts show` and `render`: a prompt looked at, in the folder or as it was published."""

import argparse
import secrets
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headworks.calls import Endpoint
from headworks.catalogue import Tokenizer
from headworks.cli.lines import json_line, no_golden_set, note
from headworks.cli.parsing import UsageError
from headworks.cli.prompt_model import tokenizer_of
from headworks.cli.prompt_release import (
    folder_release,
    named_from_here,
    published,
    published_release,
    shown_file,
)
from headworks.cli.tables import GREY, Cell, Table, has_colours, plain, tokens
from headworks.cli.workloads import find_workload
from headworks.compiled import read_file
from headworks.composing import PromptMessage, caller_items, place_messages
from headworks.errors import CommandError, Refusal
from headworks.evals.golden import GoldenCase, read_cases
from headworks.prompts import Prompt, PromptRegistry, Publication, Release, Variable

if TYPE_CHECKING:
    from headworks.config import Project, Workload

_TEXTS = ("string", "enum")
_BOLD = 1


def run(project: "Project", registry: PromptRegistry | None, options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    workload = find_workload(project, options.workload)
    publication = published(registry, workload.name, options.version) if options.version else None
    with named_from_here(workload):
        release = folder_release(workload) if publication is None else published_release(publication)
    if options.action == "show":
        _show(workload, release, registry, publication, options, tokenizer_of(project, workload))
    else:
        _render(workload, release.prompt, options)
    return 0


# -- show -------------------------------------------------------------------------------------------------------------


def _show(
    workload: "Workload",
    release: Release,
    registry: PromptRegistry | None,
    publication: Publication | None,
    options: argparse.Namespace,
    tokenizer: Tokenizer,
) -> None:
    prompt = release.prompt
    if options.source:
        path = workload.files.prompt
        if publication is not None:
            source = publication.source.encode()
        else:
            assert path is not None, "it was read"
            source = read_file(path)
        # Bytes, so that the text can be put back where it came from: `... --source > prompt.md`.
        sys.stdout.buffer.write(source)
        return
    active = None if registry is None else registry.active(workload.name)
    known = [] if registry is None else [one for one in registry.list(workload.name) if one.hash == prompt.hash]
    is_published = any(one.version == prompt.version for one in known)
    is_active = active is not None and (active.version, active.hash) == (prompt.version, prompt.hash)
    state = "active" if is_active else "published" if is_published else "not published"
    beside = release.companions
    figures = {
        "prefix": tokenizer.count(prompt.static_prefix),
        "schema": tokenizer.count(beside.schema) if beside else 0,
        "tools": _tools_tokens(beside.parameters, tokenizer) if beside else 0,
    }
    if options.json:
        print(json_line(_as_json(workload, prompt, state, figures)))
        return
    from_tools = [f"{tokens(figures[name])} of {name}" for name in ("tools", "schema") if figures[name]]
    lines = {
        "workload": workload.name,
        "version": f"{prompt.version} ({state})",
        "hash": f"sha256:{prompt.hash}",
        "file": shown_file(workload, prompt.file) if publication is None else "as published",
        "static prefix": f"{tokens(figures['prefix'])} tokens"
        + (f", behind {' and '.join(from_tools)}" if from_tools else ""),
        "breakpoint": prompt.breakpoint or "where it pays",
    }
    for name, value in lines.items():
        print(f"{name:<14} {plain(value)}")
    if prompt.variables:
        print()
        table = Table(("VARIABLE", "TYPE", "LIMITS", "DEFAULT", "MEANING"), coloured=has_colours())
        print("\n".join(table.lines([_variable_row(name, one) for name, one in prompt.variables.items()])))
    print()
    table = Table(("LINE", "ROLE", "TOKENS", "VARIES WITH"), right=frozenset({0, 2}), coloured=has_colours())
    print("\n".join(table.lines(list(_section_rows(prompt, tokenizer)))))


def _as_json(workload: "Workload", prompt: Prompt, state: str, figures: Mapping[str, int]) -> dict[str, object]:
    return {
        "workload": workload.name,
        "version": prompt.version,
        "state": state,
        "hash": prompt.hash,
        "breakpoint": prompt.breakpoint,
        "static_tokens": figures["prefix"],
        "schema_tokens": figures["schema"],
        "tools_tokens": figures["tools"],
        "variables": {name: msgspec.to_builtins(one) for name, one in prompt.variables.items()},
        "sections": [
            {
                "role": section.role,
                "line": section.line,
                "source": section.source,
                "variables": sorted({name for piece in section.pieces for name in piece.names}),
            }
            for section in prompt.sections
        ],
        "input_at": prompt.input_at,
    }


def _tools_tokens(parameters: str, tokenizer: Tokenizer) -> int:
    tools = msgspec.json.decode(parameters).get("tools")
    return 0 if tools is None else tokenizer.count(msgspec.json.encode(tools).decode())


def _variable_row(name: str, variable: Variable) -> list[Cell]:
    is_sized = variable.type in ("string", "list", "object")
    bounds = [
        f"at most {variable.max_length:,} characters" if is_sized else "",
        f"{variable.max_items:,} items" if variable.type == "list" else "",
        ", ".join(variable.values),
        "" if variable.minimum is None else f"from {variable.minimum:g}",
        "" if variable.maximum is None else f"to {variable.maximum:g}",
        "trusted" if variable.trusted else "",
    ]
    default = "required" if variable.is_required else msgspec.json.encode(variable.default).decode()
    kind = f"list of {variable.item.type}" if variable.type == "list" else variable.type
    limits = ", ".join(bound for bound in bounds if bound)
    return [Cell(name), Cell(kind), Cell(limits or "-"), Cell(default), Cell(variable.description or "-", GREY)]


def _section_rows(prompt: Prompt, tokenizer: Tokenizer) -> Iterator[list[Cell]]:
    for number, section in enumerate((*prompt.sections, None)):
        if number == prompt.input_at:
            line = "-" if prompt.input_mark is None else str(prompt.input_mark.line)
            yield [Cell(line), Cell("(input)", GREY), Cell("-"), Cell("the caller's own messages", GREY)]
        if section is not None:
            names = sorted({name for piece in section.pieces for name in piece.names})
            fixed = tokenizer.count_all([piece.text for piece in section.pieces])
            varies = Cell(", ".join(names) if names else "nothing", 0 if names else GREY)
            yield [Cell(str(section.line)), Cell(section.role), Cell(tokens(fixed)), varies]


# -- render -----------------------------------------------------------------------------------------------------------


def _render(workload: "Workload", prompt: Prompt, options: argparse.Namespace) -> None:
    case = _case(workload, options.case) if options.case else GoldenCase("")
    if case.part == "test":
        note(f"`{plain(case.id)}` is a case that decides: a prompt that was written by it is no longer judged by it")
    values = {**case.variables, **(_values_in(options.vars) if options.vars else {})}
    values.update({name: _typed(prompt, name, text) for name, text in options.var})
    try:
        rendered = prompt.render(values, marker=secrets.token_hex(8))
        messages = [PromptMessage(message.role, message.text) for message in rendered.messages]
        fields = {"input": case.input}
        placed = place_messages(fields, Endpoint.RESPONSES, messages, rendered.input_at, ())
    except Refusal as error:
        raise CommandError(error.message) from None
    items = [msgspec.json.decode(item) for item in caller_items(placed, Endpoint.RESPONSES)]
    if options.json:
        shown = {"version": prompt.version, "hash": rendered.hash, "input_at": rendered.input_at, "messages": items}
        print(json_line({"workload": workload.name, **shown}))
        return
    theirs = len(items) - len(messages)
    for number, item in enumerate(items):
        if number == rendered.input_at and not theirs:
            _print_gap()
        is_callers = rendered.input_at <= number < rendered.input_at + theirs
        role = str(item.get("role") or item.get("type") or "item")
        _print_heading(f"{role} (the caller's)" if is_callers else role)
        content = item.get("content")
        text = content if isinstance(content, str) else msgspec.json.encode(item).decode()
        print("\n".join(plain(line) for line in text.splitlines()))
    if rendered.input_at == len(items):
        _print_gap()


def _print_heading(text: str) -> None:
    line = f"--- {plain(text)}"
    print(f"\x1b[{_BOLD}m{line}\x1b[0m" if has_colours() else line)


def _print_gap() -> None:
    line = "--- here the caller's own messages stand"
    print(f"\x1b[{GREY}m{line}\x1b[0m" if has_colours() else line)


def _case(workload: "Workload", wanted: str) -> GoldenCase:
    path = workload.files.golden
    if path is None:
        raise no_golden_set(workload.name)
    with named_from_here(workload):
        cases = read_cases(path)
    found = next((case for case in cases if case.id == wanted), None)
    if found is None:
        import difflib

        near = difflib.get_close_matches(wanted, [case.id for case in cases], n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"they begin with `{cases[0].id}`" if cases else "it is empty"
        raise CommandError(f"no golden case of `{workload.name}` has the id `{plain(wanted)}`; {hint}")
    return found


def _values_in(path: Path) -> dict[str, object]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, object])
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise CommandError(f"{path} is not a JSON object of values by variable") from None


def _typed(prompt: Prompt, name: str, text: str) -> object:
    """A value given as text on the command line; one of a variable that there is not is for the prompt to refuse."""
    variable = prompt.variables.get(name)
    if variable is None or variable.type in _TEXTS:
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise UsageError(f"--var {name}: `{name}` is of type {variable.type}; give its value as JSON") from None
