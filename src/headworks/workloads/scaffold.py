"""The first files of a new workload, from a few answers: a contract of few lines with hints, a prompt, a schema."""

import json
from typing import Literal

import msgspec
import yaml

from headworks.config.sections.base import Sensitivity
from headworks.config.workloads import CONTRACT_FILE


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of whoever makes a workload.

    Attributes:
        owner: the team that answers for it.
        description: the job, in a sentence.
        calls_per_day: how many are expected.
        does_wait: whether somebody waits for the answer.
        sensitivity: how harmful it is when the data leaks.
        is_json: whether the answer is JSON for a program.
        ladder: the rungs, where they are not all of nano, mini and flagship.
    """

    owner: str
    description: str
    calls_per_day: int = 1000
    does_wait: bool = True
    sensitivity: Sensitivity = "internal"
    is_json: bool = False
    ladder: tuple[str, ...] = ()


_HINTS = """
# What else a contract may say, with the defaults; every field: docs/reference/workload.md.
# latency: { total_s: 60, first_token_s: 2 }
# failure_cost: medium              # low, medium, high, critical: what a wrong or missing answer costs
# quality: { bar: 0.9 }             # share of golden.jsonl that must be right
# fallback: [mini]                  # who goes on when the model fails; `deterministic` may stand last: fallback.json
# output: { max_tokens: 500 }       # the caller cannot exceed it
# validation: { repairs: 1, otherwise: fail }   # schema.json and rules.py
# retention: { content: off, days: 30 }         # what is kept for replay
"""

_PROMPT = """\
---
version: 1.0.0
variables: {}
# Typed, with limits; a template uses one as {{ audience }}:
#   audience: { type: string, max_length: 200, default: a customer }
---
{%% developer %%}
%(task)s

Answer only from what you are given. Say so when that is not enough.%(form)s
{%% input %%}
"""

_SCHEMA = {
    "type": "object",
    "properties": {
        "answer": {"type": "string", "description": "The answer, in a sentence or two."},
        "is_certain": {"type": "boolean", "description": "False where what was given is not enough."},
    },
    "required": ["answer", "is_certain"],
    "additionalProperties": False,
}

Urgency = Literal["interactive", "deferred"]


def first_files(answers: Answers) -> dict[str, str]:
    """Names and texts of a new workload's files. What was answered as the default says is left out of the contract."""
    contract: dict[str, object] = {"owner": answers.owner, "description": answers.description}
    if answers.ladder:
        contract["ladder"] = list(answers.ladder)
    contract["volume"] = {"calls_per_day": answers.calls_per_day}
    urgency: Urgency = "interactive" if answers.does_wait else "deferred"
    contract["urgency"] = urgency
    contract["data"] = {"sensitivity": answers.sensitivity}
    files = {
        CONTRACT_FILE: "".join(f"{key}: {_yaml(value)}\n" for key, value in contract.items()) + _HINTS,
        "prompt.md": _PROMPT % {
            "task": _literal(answers.description),
            "form": "\nAnswer in JSON, as the schema says." if answers.is_json else "",
        },
    }  # fmt: skip
    if answers.is_json:
        files["schema.json"] = json.dumps(_SCHEMA, indent=2) + "\n"
    return files


def _yaml(value: object) -> str:
    """A value in one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=float("inf"))
    return text.removesuffix("\n...\n").removesuffix("\n")


def _literal(text: str) -> str:
    """Text that a template shows: what would begin a tag has a space put into it."""
    for mark in ("{{", "{%", "{#"):
        text = text.replace(mark, f"{mark[0]} {mark[1]}")
    return text
