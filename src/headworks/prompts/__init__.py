"""Prompts as code: `prompt.md` to a compiled prompt, versions, the lint of the layout, the registry of published ones.

`parse` reads a prompt and names every problem with its place. `Prompt.render` makes the messages of a call: roles come
from the file alone, values are typed and bounded, and no value leaves the fence that a template puts around it.
`required_bump` says by how much a change must raise the version, and `release_bump` does with what is sent beside the
prompt; `lint` what keeps text out of the provider's cache and what that costs. `parse_answer` reads the template of an
answer that no model gives. All of this is pure; `PromptRegistry` alone has a file.

May import `calls`, `errors`, `config`, `catalogue` and `database`.
"""

from headworks.prompts.answers import AnswerTemplate, AnswerUnfit, parse_answer
from headworks.prompts.layout import LintFinding, LintPrices, lint
from headworks.prompts.prompt import Piece, Prompt, Section, parse
from headworks.prompts.registry import LogEntry, PromptRegistry, Publication
from headworks.prompts.release import Companions, Release, release_bump
from headworks.prompts.rendering import Message, Rendered
from headworks.prompts.rewriting import with_version
from headworks.prompts.shape import FrontMatter, Variable
from headworks.prompts.source import Role
from headworks.prompts.versions import Level, RequiredBump, Version, check_bump, required_bump

PROMPTS_FILE = "prompts.db"
"""The registry's file, below the storage folder."""

__all__ = [
    "PROMPTS_FILE",
    "AnswerTemplate",
    "AnswerUnfit",
    "Companions",
    "FrontMatter",
    "Level",
    "LintFinding",
    "LintPrices",
    "LogEntry",
    "Message",
    "Piece",
    "Prompt",
    "PromptRegistry",
    "Publication",
    "Release",
    "Rendered",
    "RequiredBump",
    "Role",
    "Section",
    "Variable",
    "Version",
    "check_bump",
    "lint",
    "parse",
    "parse_answer",
    "release_bump",
    "required_bump",
    "with_version",
]
