"""What an installation keeps of price tables: `prices/` in its state folder.

    prices/catalogue-VERSION.json   every catalogue that was in use
    prices/terms-HASH.json          every set of own terms that was in use
    prices/current                  the version in use, and `pinned` where the operator chose it; no file: the shipped
    one

Files are written whole under another name and then renamed: a reader sees an old file or a new one.
"""

import contextlib
import os
from pathlib import Path

import msgspec

from headworks.catalogue.book import CHARGED, PriceBook, terms_hash, terms_text
from headworks.catalogue.pack import Catalogue, CatalogueError, shipped
from headworks.catalogue.terms import Terms
from headworks.errors import StorageError

_PINNED = "pinned"


class PriceArchive:
    """The price tables in a state folder; nothing is made before something is kept."""

    def __init__(self, state: Path) -> None:
        self.folder = state / "prices"

    def current(self) -> Catalogue:
        """The catalogue in use: the installed one, or the shipped one where that is newer and nobody pinned the other.

        Raises:
            StorageError: the installed one is not readable or not what it was.
        """
        version, is_pinned = self._chosen()
        if not version or version == shipped().version:
            return shipped()
        installed = self.catalogue(version)
        return installed if is_pinned or installed.published >= shipped().published else shipped()

    def catalogue(self, version: str) -> Catalogue:
        """A catalogue that is kept, or the shipped one.

        Raises:
            StorageError: there is none of this version, or it is not what it was.
        """
        if version == shipped().version:
            return shipped()
        path = self._catalogue_path(version)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            known = ", ".join((shipped().version, *self.versions()))
            raise StorageError(
                f"no price table of version {version} is kept in {self.folder}; there are: {known}"
            ) from None
        except OSError as error:
            raise StorageError(f"{path} cannot be read: {error.strerror}") from None
        try:
            catalogue = Catalogue(content)
        except CatalogueError as error:
            raise StorageError(f"{path}: {error}; install it again with `headworks models update`") from None
        if catalogue.version != version:
            raise StorageError(
                f"{path} is not what it was when it was kept; install it again with `headworks models update`"
            )
        return catalogue

    def versions(self) -> tuple[str, ...]:
        """The versions of all catalogues that are kept, oldest first."""
        names = (path.name for path in self.folder.glob("catalogue-*.json"))
        return tuple(sorted(name.removeprefix("catalogue-").removesuffix(".json") for name in names))

    def install(self, catalogue: Catalogue, *, is_pinned: bool = False) -> None:
        """Keep a catalogue and use it from now on; pinned: even when a release ships a newer one.

        Raises:
            StorageError: it cannot be written.
        """
        self._keep_catalogue(catalogue)
        self._write(self.folder / "current", f"{catalogue.version}{' ' + _PINNED if is_pinned else ''}\n".encode())

    def keep(self, book: PriceBook) -> None:
        """Keep what a book is made of, so that calls can be charged again by its version. Costs two looks at the disk
        when it is kept already.

        Raises:
            StorageError: it cannot be written.
        """
        self._keep_catalogue(book.catalogue)
        path = self._terms_path(terms_hash(book.terms))
        if not path.exists():
            self._write(path, terms_text(book.terms))

    def book(self, version: str) -> PriceBook:
        """The book of a version that a call has kept; what a provider had charged itself has its list prices there.

        Raises:
            StorageError: its catalogue or its terms are not kept here.
        """
        catalogue_version, _, digest = version.removesuffix(CHARGED).rpartition(".")
        path = self._terms_path(digest)
        try:
            terms = msgspec.json.decode(path.read_bytes(), type=dict[str, Terms])
        except FileNotFoundError:
            raise StorageError(f"the terms of price table {version} are not kept in {self.folder}") from None
        except (OSError, msgspec.MsgspecError) as error:
            raise StorageError(f"{path} cannot be read: {error}") from None
        return PriceBook(self.catalogue(catalogue_version), terms)

    def _chosen(self) -> tuple[str, bool]:
        """The version that `current` names, and whether it is pinned."""
        path = self.folder / "current"
        try:
            words = path.read_text("utf-8").split()
        except FileNotFoundError:
            return "", False
        except (OSError, UnicodeDecodeError):
            raise StorageError(f"{path} cannot be read; remove it to use the prices of this release") from None
        return (words[0] if words else ""), _PINNED in words[1:]

    def _keep_catalogue(self, catalogue: Catalogue) -> None:
        path = self._catalogue_path(catalogue.version)
        if not path.exists():
            self._write(path, catalogue.content)

    def _catalogue_path(self, version: str) -> Path:
        return self.folder / f"catalogue-{_plain(version)}.json"

    def _terms_path(self, digest: str) -> Path:
        return self.folder / f"terms-{_plain(digest)}.json"

    def _write(self, path: Path, content: bytes) -> None:
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(fresh, "wb", opener=_owners_only) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):  # it may not be there at all
                fresh.unlink()
            raise StorageError(f"{path} cannot be written: {error.strerror}") from None


def _owners_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _plain(name: str) -> str:
    """A version as part of a file's name: one that could lead out of the folder is none of ours."""
    if not name or not all(character.isalnum() or character == "-" for character in name):
        raise StorageError("this is not the version of a price table: expected letters, digits and `-`")
    return name
