"""What an import comes to: our files, and what became of each setting."""

from collections import Counter
from typing import get_args

import msgspec

from headworks.config import FILE_NAME, SCHEMA_FILE, json_schema_text
from headworks.importing.draft import Composed
from headworks.importing.keys import Keys, Variable
from headworks.importing.ledger import Fate, Finding, Ledger, leaves
from headworks.importing.source import Source
from headworks.importing.writing import KEY_FILE, PLAN_FILE, Sections, plan_of, write


class Command(msgspec.Struct, frozen=True):
    """What has to be run: a command line, and what it is for."""

    line: str
    purpose: str


class Imported(msgspec.Struct, frozen=True):
    """Our files, and the report.

    Attributes:
        source: the name of the file that was read.
        gateway: whose it was.
        files: texts by path, relative to the folder of our project.
        findings: what became of each setting, in the order of the source.
        variables: what has to be set in the environment.
        commands: what has to be run, once the gateway is configured.
    """

    source: str
    gateway: str
    files: dict[str, str]
    findings: tuple[Finding, ...]
    variables: tuple[Variable, ...]
    commands: tuple[Command, ...] = ()

    @property
    def counts(self) -> dict[Fate, int]:
        """How many settings had each fate."""
        counted = Counter(one.fate for one in self.findings)
        fates: tuple[Fate, ...] = get_args(Fate)
        return {fate: counted[fate] for fate in fates}


def imported(
    composed: Composed,
    sections: Sections,
    ledger: Ledger,
    keys: Keys,
    *,
    source: Source,
    gateway: str,
    unknown: str,
    simulator: str | None,
    more: dict[str, str] | None = None,
    commands: tuple[Command, ...] = (),
) -> Imported:
    """The files and the report of what was composed; `unknown` is said of each setting that nobody has spoken of."""
    variables = keys.variables
    if simulator is not None:
        variables = ()
        more = {**(more or {}), PLAN_FILE: plan_of(composed), KEY_FILE: "stands-in-for-every-key\n"}
    text = write(composed, sections, source=source.name, gateway=gateway, variables=variables, simulator=simulator)
    files = {FILE_NAME: text, SCHEMA_FILE: json_schema_text(), **(more or {})}
    return Imported(source.name, gateway, files, ledger.findings(unknown), variables, commands)


def all_texts(source: Source) -> list[str]:
    """Every text of a file, for those who must know which variables it names."""
    return [value.text for _, value in leaves(source.root) if value.text is not None]
