"""`headworks golden export`: cases of a golden set as examples to fine-tune a model on."""

import argparse
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from headworks.calls import Endpoint
from headworks.cli.check_workloads import unfit_cases
from headworks.cli.lines import json_line, no_golden_set, note
from headworks.cli.prompt_release import named_from_here, prompt_of
from headworks.cli.tables import plain
from headworks.cli.workloads import find_workload
from headworks.composing import PromptMessage, caller_items, place_messages
from headworks.config.privacy import Privacy
from headworks.errors import CommandError, Refusal, StorageError
from headworks.evals.golden import CaseReader, GoldenCase
from headworks.screening.privacy import PrivacyPolicy

if TYPE_CHECKING:
    from headworks.config import Project
    from headworks.prompts import Prompt

LEAST_EXAMPLES = 10
"""Fewer are refused by the provider (OpenAI fine-tuning guide, 2026-10)."""

_ROLES = {"developer": "system", "system": "system", "user": "user", "assistant": "assistant"}
"""Of a conversation, as training files call them."""


def write_examples(project: "Project", options: argparse.Namespace) -> int:
    """Write them; returns the exit code.

    Raises:
        CommandError: there is no golden set, no case of the split, none that can be used, or the file is there already.
        ConfigError: the golden set or the prompt is not good.
    """
    workload = find_workload(project, options.workload)
    path = workload.files.golden
    if path is None:
        raise no_golden_set(workload.name)
    if workload.files.tools is not None:
        raise CommandError(f"`{workload.name}` has tools: examples of answers that may call one are not made")
    with named_from_here(workload):
        cases = [(one.line, one.case) for one in CaseReader(path) if one.case.part == options.split]
        prompt = prompt_of(workload) if workload.files.prompt is not None else None
        unfit = {problem.line for problem in unfit_cases(workload)}
    if not cases:
        raise CommandError(
            f"no case of `{workload.name}` has the split `{options.split}`; cases that decide (`test`) are never "
            "trained on: `headworks golden import --split train` gives new ones theirs"
        )
    policy = PrivacyPolicy.compile(workload.contract.screening.privacy or Privacy(), file=str(workload.file))
    left_out: Counter[str] = Counter()
    examples = []
    for line, case in cases:
        if line in unfit:
            left_out["do not fit the prompt or the schema (`headworks golden lint` names them)"] += 1
            continue
        made = _example(case, prompt)
        if isinstance(made, str):
            left_out[made] += 1
        elif any(policy.finder.find(text) for text in _texts([case.variables, case.input_value(), made[-1]])):
            left_out["have personal data in them"] += 1
        else:
            examples.append(msgspec.json.encode({"messages": made}))
    for why, count in left_out.items():
        note(f"left out ({count:,}): cases that {why}", "golden")
    if not examples:
        raise CommandError("no case is left to train on; nothing was written")
    _write(options, examples)
    if options.json:
        print(json_line({"file": str(options.file), "examples": len(examples), "left_out": dict(left_out)}))
        return 0
    print(
        f"{len(examples):,} examples in {plain(str(options.file))}, one a line: upload it with the purpose `fine-tune`"
    )
    if len(examples) < LEAST_EXAMPLES:
        note(f"providers want {LEAST_EXAMPLES} examples at least", "golden")
    return 0


def _example(case: GoldenCase, prompt: "Prompt | None") -> list[dict[str, str]] | str:
    """The conversation as the model has it in calls, and the right answer; or why there is none."""
    if not case.has_expected:
        return "do not say what is right (`expected`)"
    fields = {"input": case.input}
    try:
        if prompt is not None:
            rendered = prompt.render(case.variables, marker=secrets.token_hex(8))
            messages = [PromptMessage(message.role, message.text) for message in rendered.messages]
            fields = place_messages(fields, Endpoint.RESPONSES, messages, rendered.input_at, ())
        asked = list(_messages([msgspec.json.decode(item) for item in caller_items(fields, Endpoint.RESPONSES)]))
    except (Refusal, ValueError):
        return "have an input that is more than messages of text"
    expected = case.expected_value()
    answer = expected if isinstance(expected, str) else msgspec.json.encode(expected).decode()
    return [*asked, {"role": "assistant", "content": answer}]


def _messages(items: list[dict[str, object]]) -> Iterator[dict[str, str]]:
    """Messages as training files have them. Raises ValueError for what is no message of text."""
    for item in items:
        role, content = _ROLES.get(str(item.get("role"))), item.get("content")
        if isinstance(content, list):
            parts = [part.get("text") if isinstance(part, dict) else None for part in content]
            content = "\n".join(part for part in parts if isinstance(part, str)) if all(parts) else None
        if role is None or not isinstance(content, str):
            raise ValueError("no message of text")
        yield {"role": role, "content": content}


def _texts(value: object) -> Iterator[str]:
    """Every text in a value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _write(options: argparse.Namespace, lines: list[bytes]) -> None:
    try:
        with options.file.open("xb") as opened:
            opened.writelines(line + b"\n" for line in lines)
    except FileExistsError:
        raise CommandError(f"{options.file} is there already; nothing was written") from None
    except OSError as error:
        raise StorageError(f"{options.file} cannot be written: {error.strerror or error}") from error
