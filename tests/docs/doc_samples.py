"""Reads a page's samples: the fenced blocks, and the comments that say how one is meant.

The convention, in full (CONTRIBUTING.md tells writers the short form):

- Every fence names its language, and every sample is run, in the order of the page and in one folder.
- `console` holds commands after `$ ` and what they print; `sh` is a script; `python` is run, and a `text` block right
  after it is what it prints; `yaml` is judged as a headworks.yaml.
- A comment before a fence changes that: `<!-- file: NAME -->` (the reader writes this file), `<!-- plan -->` (the YAML
  is a simulator's plan), `<!-- not run: REASON -->` (the only way not to be run).
- `<!-- run first: COMMANDS -->` anywhere on the page stands for what its reader has done before.
"""

import re
from typing import Literal

import msgspec

_FENCE = re.compile(r"^(?P<indent> *)(?P<marks>`{3,}|~{3,})(?P<language>[^\n`]*)$")
_COMMENT = re.compile(r"<!--\s*(?P<text>.*?)\s*-->", re.DOTALL)
_RUN_FIRST = "run first:"
_LANGUAGES = {"console", "sh", "python", "yaml", "text"}


class Sample(msgspec.Struct, frozen=True):
    """One fenced block. `not_run` is the reason, `file` the name under which the reader writes it down."""

    line: int
    language: str
    text: str
    file: str = ""
    not_run: str = ""
    kind: Literal["config", "plan"] = "config"
    output: str | None = None


class Page(msgspec.Struct, frozen=True):
    """What a page shows, in order; and what its reader has done before."""

    run_first: tuple[str, ...]
    samples: tuple[Sample, ...]


class PageError(Exception):
    """A page that does not keep to the convention; names the line."""


class Step(msgspec.Struct, frozen=True):
    """A command of a `console` sample and what it is shown to print; None where nothing is shown."""

    command: str
    output: str | None


def read_page(text: str) -> Page:
    """The samples of a page.

    Raises:
        PageError: a fence without an end, without a language, or in a language that nothing here runs and with no
            word on why it is not run.
    """
    samples: list[Sample] = []
    for line, language, comment, content in _fences(text):
        if language == "text" and not comment and samples and samples[-1].language == "python" and content:
            if samples[-1].output is not None:
                raise PageError(f"line {line}: the sample before this has its output already")
            samples[-1] = msgspec.structs.replace(samples[-1], output=content)
            continue
        samples.append(_sample(line, language, comment, content))
    run_first = [
        command.strip()
        for comment in _COMMENT.findall(text)
        if comment.startswith(_RUN_FIRST)
        for command in comment.removeprefix(_RUN_FIRST).strip().splitlines()
    ]
    return Page(tuple(run_first), tuple(samples))


def _fences(text: str) -> list[tuple[int, str, str, str]]:
    """Each fence as its line, its language, the comment right before it, its content without the indent."""
    lines = text.splitlines()
    found = []
    number = 0
    while number < len(lines):
        opening = _FENCE.match(lines[number])
        if opening is None:
            number += 1
            continue
        start, indent = number, len(opening["indent"])
        number += 1
        content = []
        while number < len(lines) and lines[number].strip() != opening["marks"]:
            content.append(lines[number][indent:] if not lines[number][:indent].strip() else lines[number])
            number += 1
        if number == len(lines):
            raise PageError(f"line {start + 1}: the fence has no end")
        number += 1
        before = "\n".join(lines[:start]).rstrip()
        comment = before[before.rfind("<!--") :] if before.endswith("-->") else ""
        matched = _COMMENT.fullmatch(comment)
        meaning = matched["text"] if matched else ""
        found.append((start + 1, opening["language"].strip(), meaning, "".join(f"{line}\n" for line in content)))
    return found


def _sample(line: int, language: str, comment: str, content: str) -> Sample:
    if not language:
        raise PageError(f"line {line}: the fence does not name its language")
    sample = Sample(line, language, content)
    word, _, rest = comment.partition(":")
    if word == "not run":
        if not rest.strip():
            raise PageError(f"line {line}: it is not said why this is not run")
        return msgspec.structs.replace(sample, not_run=rest.strip())
    if word == "file":
        return msgspec.structs.replace(sample, file=rest.strip())
    if word == "plan":
        return msgspec.structs.replace(sample, kind="plan")
    if language not in _LANGUAGES:
        raise PageError(f"line {line}: `{language}` is not run here; say why in a comment: <!-- not run: ... -->")
    if language == "text":
        raise PageError(f"line {line}: no Python sample stands before this output; or: <!-- not run: ... -->")
    return sample


def steps(sample: Sample) -> list[Step]:
    """The commands of a `console` sample. Lines that end with a backslash go on.

    Raises:
        PageError: the sample begins with something else than a command.
    """
    found: list[Step] = []
    goes_on = False
    for line in sample.text.splitlines():
        if goes_on:
            found[-1] = Step(f"{found[-1].command}\n{line}", None)
        elif line.startswith("$ "):
            found.append(Step(line.removeprefix("$ "), None))
        elif not found:
            raise PageError(f"line {sample.line}: a console sample begins with `$ ` and a command")
        else:
            found[-1] = Step(found[-1].command, f"{found[-1].output or ''}{line}\n")
            continue
        goes_on = line.endswith("\\") or _is_open(found[-1].command)
    return found


def _is_open(command: str) -> bool:
    """Whether a quoted string goes on in the next line."""
    without = re.sub(r"\\.", "", command)
    return without.count("'") % 2 == 1 or re.sub(r"'[^']*'", "", without).count('"') % 2 == 1


_VARYING = (
    (re.compile(r"\bhw-(?:[A-Za-z0-9]{39}|\.\.\.)"), "hw-*"),
    (re.compile(r"\b((?:call|key|req|resp|msg)_|chatcmpl-)[0-9a-z]{8,}"), r"\1*"),
    (re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?Z?"), "WHEN"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "WHEN"),
    (re.compile(r"\b\d+(?:\.\d+)? ?(?:us|ms|s|m|h)\b"), "SOME-TIME"),
    (re.compile(r"[ \t]+"), " "),
)
"""What differs from run to run and is shown in pages as somebody saw it: keys, ids, moments, durations, widths."""


def differs(shown: str, printed: str) -> str:
    """Why what was printed is not what is shown; "" if it is.

    Lines are compared after `_VARYING`. In a shown line `...` stands for anything, alone for any number of lines.
    """
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "..." else _line_pattern(line) + r"\n"
        for line in _levelled(shown).splitlines()
    )
    if re.fullmatch(pattern, _levelled(printed)):
        return ""
    return f"shown:\n{shown}\nprinted:\n{printed}"


def _line_pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split("..."))


def _levelled(text: str) -> str:
    for varying, stand_in in _VARYING:
        text = varying.sub(stand_in, text)
    return "".join(f"{line.strip()}\n" for line in text.strip("\n").splitlines())
