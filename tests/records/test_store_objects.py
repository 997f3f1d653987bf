import pytest

from headworks.calls import Caller, ObjectNote
from headworks.records import CallLookup, ObjectSelection, drain_once
from headworks.records.stores import Batch

ANNA = Caller(key_id="key_a", team="red")
BERT = Caller(key_id="key_b", team="red")
CARL = Caller(key_id="key_c")


def note(object_id: str, made_us: int = 1, caller: Caller = ANNA, **changes: object) -> ObjectNote:
    fields: dict[str, object] = {"kind": "file", "noted_us": made_us, "provider": "openai:one"} | changes
    return ObjectNote(object_id, made_us=made_us, key_id=caller.key_id, team=caller.team, **fields)


def ids(store, caller: Caller, **changes: object) -> list[str]:
    fields: dict[str, object] = {"kind": "file"} | changes
    return [found.object_id for found in store.objects(ObjectSelection(caller=caller, **fields))]


def test_an_object_is_found_by_its_id_as_it_was_noted(store):
    assert not store.has_objects()
    made = note("file-1", 7, label="batch", models="gpt\nnano")
    store.commit(Batch(objects=[made]))

    assert store.has_objects()
    assert store.object_note("file-1") == made
    assert store.object_note("file-2") is None


def test_lists_hold_what_the_key_or_its_team_has_made_and_nothing_else(store):
    store.commit(Batch(objects=[note("file-a", 1), note("file-b", 2, BERT), note("file-c", 3, CARL)]))

    assert ids(store, ANNA) == ids(store, BERT) == ["file-b", "file-a"]
    assert ids(store, CARL) == ["file-c"]
    assert ids(store, Caller(key_id="key_d")) == []


def test_lists_are_of_one_kind_and_of_one_label(store):
    store.commit(Batch(objects=[note("file-a", label="batch"), note("vs_1", kind="vector_store")]))

    assert ids(store, ANNA) == ids(store, ANNA, label="batch") == ["file-a"]
    assert ids(store, ANNA, label="assistants") == []
    assert ids(store, ANNA, kind="vector_store") == ["vs_1"]


@pytest.mark.parametrize("is_ascending", [False, True])
def test_pages_put_together_are_the_whole_list(store, is_ascending):
    store.commit(Batch(objects=[note(f"file-{n}", n // 2) for n in range(7)]))
    whole = ids(store, ANNA, is_ascending=is_ascending)

    pages: list[str] = []
    after = None
    while page := store.objects(ObjectSelection("file", ANNA, after=after, is_ascending=is_ascending, limit=2)):
        pages += [found.object_id for found in page]
        after = (page[-1].made_us, page[-1].object_id)

    assert pages == whole
    assert len(whole) == 7


def test_the_later_note_holds_whichever_is_drained_first_and_the_owner_stays(store):
    store.commit(Batch(objects=[note("file-a", 1), note("file-a", 1, CARL, noted_us=9, label="seen")]))
    store.commit(Batch(objects=[note("file-a", 1, noted_us=5, label="old", is_gone=True)]))

    found = store.object_note("file-a")

    assert (found.label, found.is_gone, found.key_id) == ("seen", False, "key_a")


def test_what_is_gone_is_in_no_list_but_still_known(store):
    store.commit(Batch(objects=[note("file-a"), note("file-a", noted_us=2, is_gone=True)]))

    assert ids(store, ANNA) == []
    assert store.object_note("file-a").is_gone


def test_objects_outlive_the_calls_that_made_them(store):
    store.commit(Batch(objects=[note("file-a")]))

    store.forget(2**60)

    assert store.object_note("file-a") is not None


def test_notes_of_a_journal_are_drained_and_looked_up(tmp_path, write_segment):
    write_segment(tmp_path / "journal", note("file-a"))
    drain_once(tmp_path)
    lookup = CallLookup(tmp_path)

    assert lookup.note_of("file-a").provider == "openai:one"
    assert [found.object_id for found in lookup.objects(ObjectSelection("file", BERT))] == ["file-a"]
    lookup.close()
