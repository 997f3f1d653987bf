"""`headworks models update` and `versions`: which price table an installation uses."""

import argparse
from pathlib import Path

import msgspec

from headworks.catalogue import Catalogue, PriceArchive, changes_between, read_catalogue, shipped
from headworks.catalogue.pack import MAX_BYTES
from headworks.catalogue.signature import public_key, verify
from headworks.cli.lines import json_line
from headworks.cli.model_offers import Offers
from headworks.cli.parsing import UsageError
from headworks.cli.state import tell_audit
from headworks.cli.tables import GREEN, Cell, Table, has_colours, plain
from headworks.config import Project
from headworks.errors import CommandError

_SHIPPED = "shipped"
_SHOWN = 10
_TIMEOUT_S = 30.0
_SIGNATURE_BYTES = 4096


def update(offers: Offers, options: argparse.Namespace) -> None:
    """Install what was asked for.

    Raises:
        CommandError: not signed by a trusted key, older than what is in use, or not to be had.
        CatalogueError: signed, and no catalogue all the same.
        StorageError: it cannot be kept.
    """
    project = _project(offers)
    archive = PriceArchive(project.storage)
    before = offers.catalogue
    if options.restore:
        fresh = shipped() if options.restore == _SHIPPED else archive.catalogue(options.restore)
    else:
        fresh = _signed(project, options)
        if fresh.published < before.published and not options.older:
            raise CommandError(
                f"it was published on {fresh.published}, and the one in use on {before.published}; "
                "--older installs it all the same"
            )
    archive.install(before)  # kept for --restore, even where it came with the release
    archive.install(fresh, is_pinned=bool(options.restore or options.older))
    tell_audit(project, "models", "catalogue.installed", fresh.version, {"before": before.version})
    changes = changes_between(before, fresh)
    if options.json:
        print(json_line({"installed": fresh.version, "before": before.version, **msgspec.to_builtins(changes)}))
        return
    print(f"in use: {fresh.version}")
    print(f"before: {before.version}; back to it with: headworks models update --restore {before.version}")
    for title, names in (
        ("new models", changes.came),
        ("models that are gone", changes.went),
        ("other prices", changes.repriced),
        ("another shutdown date", changes.retired),
    ):
        if names:
            more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            print(plain(f"{title} ({len(names)}): {', '.join(names[:_SHOWN])}{more}"))


def list_versions(offers: Offers, options: argparse.Namespace) -> None:
    """Print the catalogues that are kept, and the shipped one, newest first."""
    archive = None if offers.project is None else PriceArchive(offers.project.storage)
    kept = archive.versions() if archive is not None else ()
    versions = sorted({*kept, shipped().version, offers.catalogue.version}, reverse=True)
    rows = [
        (version, version == offers.catalogue.version, version == shipped().version, version in kept)
        for version in versions
    ]
    if options.json:
        for version, is_used, is_shipped, is_kept in rows:
            shown = {"version": version, "is_in_use": is_used, "is_shipped": is_shipped, "is_kept": is_kept}
            print(json_line(shown))
        return
    table = Table(("VERSION", "STATE"), coloured=has_colours())
    lines = []
    for version, is_used, is_shipped, is_kept in rows:
        states = ("in use" * is_used, "shipped" * is_shipped, "kept" * is_kept)
        lines.append([Cell(version), Cell(", ".join(filter(None, states)), GREEN if is_used else 0)])
    print("\n".join(table.lines(lines)))


def _project(offers: Offers) -> Project:
    if offers.project is None:
        raise CommandError("there is no headworks.yaml here: the catalogue is installed in a project's state folder")
    return offers.project


def _signed(project: Project, options: argparse.Namespace) -> Catalogue:
    keys = [*(public_key(text) for text in project.config.prices.update_keys), *map(_trusted, options.key)]
    if not keys:
        raise CommandError(
            "no key is trusted yet: name the publisher's public key under `prices.update_keys` in headworks.yaml, or "
            "give it with --key"
        )
    url = options.url or (None if options.file else project.config.prices.update_url)
    if options.file is not None:
        content = _read(options.file, MAX_BYTES)
    elif url is not None:
        content = _fetch(url, MAX_BYTES)
    else:
        raise UsageError("give --file or --url, or set `prices.update_url` in headworks.yaml")
    if options.signature is not None:
        signature = _read(options.signature, _SIGNATURE_BYTES)
    elif options.file is not None:
        signature = _read(options.file.with_name(f"{options.file.name}.sig"), _SIGNATURE_BYTES)
    else:
        signature = _fetch(f"{url}.sig", _SIGNATURE_BYTES)
    verify(content, signature.decode("ascii", "replace"), keys)
    return read_catalogue(content)


def _trusted(text: str) -> bytes:
    """A key as it was given: base64, or a file that holds it."""
    path = Path(text)
    try:
        if not path.is_file():
            return public_key(text)
        content = _read(path, _SIGNATURE_BYTES)
        return _pem_key(content) if content.lstrip().startswith(b"-----") else public_key(content.decode("ascii"))
    except ValueError as error:
        raise UsageError(f"--key: neither a file nor a key: {error}") from None


def _pem_key(content: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = load_pem_public_key(content)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("expected an Ed25519 public key")  # noqa: TRY004  (the caller's word for a bad key)
    return key.public_bytes_raw()


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None
    return _bounded(content, limit, str(path))


def _fetch(url: str, limit: int) -> bytes:
    from http.client import HTTPException
    from urllib.error import URLError
    from urllib.request import Request

    from headworks.config.rules import is_safe_origin
    from headworks.fetching import fetch

    if not url.startswith(("https://", "http://")) or not is_safe_origin(url):
        raise UsageError("a catalogue is fetched by `https://`; clear text is for loopback and private hosts")
    try:
        request = Request(url, headers={"accept": "*/*"})  # noqa: S310  (checked)
        with fetch(request, timeout_s=_TIMEOUT_S, follows_tls=True) as answer:
            content = answer.read(limit + 1)
    except (URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise CommandError(f"{url} cannot be fetched: {reason}; --file takes a file instead") from None
    return _bounded(content, limit, url)


def _bounded(content: bytes, limit: int, where: str) -> bytes:
    if len(content) > limit:
        raise CommandError(f"{where} is larger than {limit:,} bytes: this is not what was asked for")
    return content
