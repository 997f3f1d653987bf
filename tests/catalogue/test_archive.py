import json
from decimal import Decimal

import pytest

from headworks.catalogue import Catalogue, PriceArchive, PriceBook, Terms, shipped
from headworks.errors import StorageError


def edition(day):
    """The shipped catalogue with another day."""
    return Catalogue(
        shipped().content.replace(f'"published":"{shipped().published}"'.encode(), f'"published":"{day}"'.encode(), 1)
    )


def test_an_installation_without_a_price_table_uses_the_shipped_one(tmp_path):
    assert PriceArchive(tmp_path).current() is shipped()
    assert list(tmp_path.iterdir()) == []


def test_an_installed_one_is_used_as_long_as_no_release_ships_a_newer_one(tmp_path):
    archive, newer, older = PriceArchive(tmp_path), edition("2999-01-01"), edition("2001-01-01")

    archive.install(newer)
    assert archive.current().version == newer.version
    archive.install(older)
    assert archive.current() is shipped()
    archive.install(older, is_pinned=True)
    assert archive.current().version == older.version


def test_the_book_of_a_version_is_found_again(tmp_path):
    archive = PriceArchive(tmp_path)
    before = PriceBook(shipped(), {"p": Terms(catalogue="openai", discount_percent=Decimal("12.5"))})
    archive.keep(before)
    archive.keep(PriceBook(edition("2999-01-01"), {"p": Terms(catalogue="openai")}))

    again = archive.book(before.version)

    assert again.version == before.version
    assert again.for_target("p", "gpt-6-luna").prices == before.for_target("p", "gpt-6-luna").prices


def test_a_file_that_was_changed_is_not_used(tmp_path):
    archive, newer = PriceArchive(tmp_path), edition("2999-01-01")
    archive.install(newer)
    path = archive.folder / f"catalogue-{newer.version}.json"
    content = json.loads(path.read_bytes())
    content["sources"]["planted"] = {"title": "x", "seen_on": "x"}
    path.write_text(json.dumps(content))

    with pytest.raises(StorageError, match="not what it was"):
        archive.current()


def test_a_version_that_is_not_kept_is_named_with_those_that_are(tmp_path):
    archive = PriceArchive(tmp_path)

    with pytest.raises(StorageError, match=shipped().version):
        archive.catalogue("2020-01-01-000000000000")
    with pytest.raises(StorageError, match="terms"):
        archive.book(f"{shipped().version}.00000000")


@pytest.mark.parametrize("version", ["../../etc/passwd", "", "a/b", "x.y"])
def test_a_version_cannot_lead_out_of_the_folder(tmp_path, version):
    with pytest.raises(StorageError, match="not the version"):
        PriceArchive(tmp_path).catalogue(version)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "prices").write_text("in the way")

    with pytest.raises(StorageError, match="cannot be written"):
        PriceArchive(tmp_path).install(edition("2999-01-01"))
