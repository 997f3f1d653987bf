"""Published versions of prompts, in an SQLite file: never changed, never removed, one of them active a workload.

To roll back is to activate an earlier version. Every activation is kept with its time. Beside them is kept what was
served without being published, so that its calls can be put together again.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from headworks.database import open_database, storage_errors, transaction
from headworks.errors import CommandError
from headworks.prompts.release import Companions
from headworks.prompts.versions import Version

_BUSY_S = 1.0
"""Changes are a row long; waiting longer than this for one means that something is wrong."""

_SHOWN = 5

_MIGRATIONS = (
    """
    CREATE TABLE prompts (
        workload TEXT NOT NULL,
        major INTEGER NOT NULL,
        minor INTEGER NOT NULL,
        patch INTEGER NOT NULL,
        hash TEXT NOT NULL,
        source TEXT NOT NULL,
        published_at REAL NOT NULL,
        number INTEGER NOT NULL UNIQUE,
        PRIMARY KEY (workload, major, minor, patch)
    );
    CREATE TABLE activations (
        workload TEXT NOT NULL,
        major INTEGER NOT NULL,
        minor INTEGER NOT NULL,
        patch INTEGER NOT NULL,
        activated_at REAL NOT NULL,
        number INTEGER NOT NULL UNIQUE
    );
    CREATE INDEX activations_by_workload ON activations (workload, number)
    """,
    """
    ALTER TABLE prompts ADD COLUMN output_schema TEXT;
    ALTER TABLE prompts ADD COLUMN parameters TEXT
    """,
    """
    CREATE TABLE drafts (
        workload TEXT NOT NULL,
        hash TEXT NOT NULL,
        version TEXT NOT NULL,
        source TEXT NOT NULL,
        served_at REAL NOT NULL,
        PRIMARY KEY (workload, hash)
    ) WITHOUT ROWID
    """,
)

_WANTED = re.compile(r"(0|[1-9][0-9]{0,8})(?:\.(0|[1-9][0-9]{0,8}))?(?:\.(0|[1-9][0-9]{0,8}))?")


class Publication(msgspec.Struct, frozen=True):
    """A published version. `source` is the text of `prompt.md`; times are Unix seconds.

    `companions` is what was sent beside it when it was published; None where that was not said.
    """

    workload: str
    version: str
    hash: str
    source: str
    published_at: float
    companions: Companions | None = None


class LogEntry(msgspec.Struct, frozen=True):
    """Something that happened to a workload's prompt."""

    what: Literal["published", "activated"]
    version: str
    hash: str
    at: float


class PromptRegistry:
    """The published prompts in one file, which is made when missing; its folder must exist. For one thread at a time.

    Raises (here and in every method):
        StorageError: the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = open_database(path, _MIGRATIONS, busy_s=_BUSY_S)

    @classmethod
    def below(cls, storage: Path, name: str) -> "PromptRegistry":
        """The registry with this file name in the storage folder, which is made when missing."""
        with storage_errors(storage):
            storage.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(storage / name)

    def close(self) -> None:
        """Let go of the file. Harmless to call twice."""
        self._connection.close()

    def publish(
        self,
        workload: str,
        version: str,
        hash: str,  # noqa: A002
        source: str,
        now: float,
        companions: Companions | None = None,
    ) -> Publication:
        """Keep a version for good. To publish the same again changes nothing, and gives what was published first.

        Arguments:
            workload: whose prompt it is.
            version: as the prompt states it.
            hash: `Prompt.hash`, which decides whether it is the same. YAML's comments and line ends are not in it.
            source: the text of `prompt.md`.
            now: Unix seconds.
            companions: what is sent beside it. They are kept and not judged: `release_bump` does that.

        Raises:
            CommandError: the version is published with other content, or it is none.
        """
        wanted = _version(version)
        with storage_errors(self._path), transaction(self._connection):
            there = self._find(workload, wanted)
            if there is None:
                number = (wanted.major, wanted.minor, wanted.patch)
                beside = (None, None) if companions is None else (companions.schema, companions.parameters)
                row = (workload, *number, hash, source, now, self._next_number(), *beside)
                self._connection.execute("INSERT INTO prompts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
                return Publication(workload, str(wanted), hash, source, now, companions)
            if there.hash == hash:
                return there
            free = self._next_free(workload, wanted)
        raise CommandError(
            f"{workload} {wanted} is published with other content, and a published version never changes; "
            f"the next free one is {free}"
        )

    def get(self, workload: str, version: str) -> Publication:
        """The published version with exactly this number.

        Raises:
            CommandError: there is none; says which there are.
        """
        wanted = _version(version)
        with storage_errors(self._path):
            found = self._find(workload, wanted)
        if found is None:
            raise self._missing(workload, version)
        return found

    def resolve(self, workload: str, wanted: str | None) -> Publication:
        """The newest published version that fits `1`, `1.2` or `1.2.3`; the newest of all for None.

        Newest is by number, not by time.

        Raises:
            CommandError: none fits; says which there are.
        """
        numbers: list[int] = []
        if wanted is not None:
            form = _WANTED.fullmatch(wanted)
            if form is None:
                raise CommandError(f"{wanted!r} is no version; write 1, 1.2 or 1.2.3")
            numbers = [int(number) for number in form.groups() if number is not None]
        for publication in reversed(self.list(workload)):
            version = Version.parse(publication.version)
            if [version.major, version.minor, version.patch][: len(numbers)] == numbers:
                return publication
        raise self._missing(workload, wanted)

    def list(self, workload: str) -> Sequence[Publication]:
        """Every published version, the lowest first."""
        with storage_errors(self._path):
            rows = self._connection.execute(
                "SELECT workload, major, minor, patch, hash, source, published_at, output_schema, parameters "
                "FROM prompts WHERE workload = ? ORDER BY major, minor, patch",
                (workload,),
            )
            return [_publication(row) for row in rows]

    def log(self, workload: str) -> Sequence[LogEntry]:
        """What happened, in order: publications and activations."""
        with storage_errors(self._path):
            rows = self._connection.execute(
                "SELECT 'published', major, minor, patch, hash, published_at, number FROM prompts WHERE workload = ?1 "
                "UNION ALL SELECT 'activated', a.major, a.minor, a.patch, p.hash, a.activated_at, a.number "
                "FROM activations a JOIN prompts p USING (workload, major, minor, patch) WHERE workload = ?1 "
                "ORDER BY number",
                (workload,),
            )
            return [
                LogEntry(what, str(Version(major, minor, patch)), digest, at)
                for what, major, minor, patch, digest, at, _ in rows
            ]

    def active(self, workload: str) -> Publication | None:
        """The version that was activated last; None before the first."""
        with storage_errors(self._path):
            row = self._connection.execute(
                "SELECT workload, major, minor, patch, hash, source, published_at, output_schema, parameters "
                "FROM activations JOIN prompts USING (workload, major, minor, patch) WHERE workload = ? "
                "ORDER BY activations.number DESC LIMIT 1",
                (workload,),
            ).fetchone()
        return None if row is None else _publication(row)

    def activate(self, workload: str, version: str, *, now: float) -> Publication:
        """Make a published version the active one; one that is active already stays so, without a new entry.

        Arguments:
            now: Unix seconds.

        Raises:
            CommandError: it is not published; says which are.
        """
        wanted = _version(version)
        with storage_errors(self._path), transaction(self._connection):
            found = self._find(workload, wanted)
            if found is not None:
                if self.active(workload) != found:
                    row = (workload, wanted.major, wanted.minor, wanted.patch, now, self._next_number())
                    self._connection.execute("INSERT INTO activations VALUES (?, ?, ?, ?, ?, ?)", row)
                return found
        raise self._missing(workload, version)

    def previous(self, workload: str) -> Publication | None:
        """The version to go back to: the one that was active before, as if whatever was gone back from had never been.

        With 1.0.0, 1.1.0 and 2.0.0 activated in this order it is 1.1.0, and after a return to that it is 1.0.0. None
        where there is no earlier one.
        """
        way: list[str] = []
        for entry in self.log(workload):
            if entry.what == "published":
                continue
            way = way[: way.index(entry.version)] if entry.version in way else way
            way.append(entry.version)
        return self.get(workload, way[-2]) if len(way) > 1 else None

    def keep_draft(self, workload: str, version: str, hash: str, source: str, now: float) -> None:  # noqa: A002
        """Keep what is served as it lies in the folder, if it is not known yet; arguments as of `publish`."""
        if self.source_of(workload, hash) is None:
            with storage_errors(self._path), transaction(self._connection):
                row = (workload, hash, version, source, now)
                self._connection.execute("INSERT OR IGNORE INTO drafts VALUES (?, ?, ?, ?, ?)", row)

    def source_of(self, workload: str, hash: str) -> str | None:  # noqa: A002
        """The text of the `prompt.md` with this hash, published or only served; None where it is not known."""
        with storage_errors(self._path):
            row = self._connection.execute(
                "SELECT source FROM prompts WHERE workload = ?1 AND hash = ?2 "
                "UNION ALL SELECT source FROM drafts WHERE workload = ?1 AND hash = ?2 LIMIT 1",
                (workload, hash),
            ).fetchone()
        return None if row is None else str(row[0])

    def _find(self, workload: str, version: Version) -> Publication | None:
        row = self._connection.execute(
            "SELECT workload, major, minor, patch, hash, source, published_at, output_schema, parameters "
            "FROM prompts WHERE workload = ? AND major = ? AND minor = ? AND patch = ?",
            (workload, version.major, version.minor, version.patch),
        ).fetchone()
        return None if row is None else _publication(row)

    def _next_free(self, workload: str, taken: Version) -> Version:
        row = self._connection.execute(
            "SELECT max(patch) FROM prompts WHERE workload = ? AND major = ? AND minor = ?",
            (workload, taken.major, taken.minor),
        ).fetchone()
        return Version(taken.major, taken.minor, row[0] + 1)

    def _next_number(self) -> int:
        """One counter for both tables: the log's order does not hang on a clock."""
        row = self._connection.execute(
            "SELECT max(number) FROM (SELECT number FROM prompts UNION ALL SELECT number FROM activations)"
        ).fetchone()
        return (row[0] or 0) + 1

    def _missing(self, workload: str, wanted: str | None) -> CommandError:
        versions = [publication.version for publication in self.list(workload)]
        if versions:
            shown = ", ".join(versions[-_SHOWN:]) + (", and earlier ones" if len(versions) > _SHOWN else "")
            return CommandError(f"{workload} {wanted} is not published; published: {shown}")
        with storage_errors(self._path):
            known = [row[0] for row in self._connection.execute("SELECT DISTINCT workload FROM prompts")]
        near = difflib.get_close_matches(workload, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "`headworks prompts publish` does it"
        return CommandError(f"no prompt of {workload!r} is published; {hint}")


def _version(text: str) -> Version:
    try:
        return Version.parse(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is no version: {error}") from None


def _publication(row: Iterable[object]) -> Publication:
    workload, major, minor, patch, digest, source, published_at, schema, parameters = row
    return msgspec.convert(
        {
            "workload": workload,
            "version": f"{major}.{minor}.{patch}",
            "hash": digest,
            "source": source,
            "published_at": published_at,
            "companions": None if parameters is None else {"schema": schema, "parameters": parameters},
        },
        Publication,
    )
