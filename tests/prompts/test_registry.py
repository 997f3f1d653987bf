import pytest

from headworks.errors import CommandError, StorageError
from headworks.prompts import Companions, LogEntry, PromptRegistry
from tests.prompts.conftest import make


def publish(registry, *versions, workload="triage"):
    for number, version in enumerate(versions):
        registry.publish(workload, version, f"hash of {version}", f"source of {version}", float(number))


def test_what_is_published_can_be_had_again(registry):
    prompt = make("A.")

    published = registry.publish("triage", prompt.version, prompt.hash, "the source", 5.0)

    assert registry.get("triage", "1.0.0") == published
    assert (published.hash, published.source, published.published_at) == (prompt.hash, "the source", 5.0)


def test_publishing_the_same_again_is_harmless_and_keeps_the_first(registry):
    first = registry.publish("triage", "1.0.0", "hash", "source", 1.0)

    assert registry.publish("triage", "1.0.0", "hash", "source", 2.0) == first
    assert registry.publish("triage", "1.0.0", "hash", "source # with a comment", 2.0) == first
    assert registry.log("triage") == [LogEntry("published", "1.0.0", "hash", 1.0)]


def test_a_published_version_is_never_changed(registry):
    publish(registry, "1.0.0", "1.0.1", "1.0.2", "1.1.0")

    with pytest.raises(CommandError, match=r"never changes; the next free one is 1\.0\.3"):
        registry.publish("triage", "1.0.0", "another hash", "another source", 9.0)

    assert registry.get("triage", "1.0.0").source == "source of 1.0.0"


def test_the_newest_that_fits_is_the_highest_by_number(registry):
    publish(registry, "1.2.9", "1.2.10", "2.0.0", "1.10.0", "1.9.3", "0.1.0")

    resolved = {
        wanted: registry.resolve("triage", wanted).version for wanted in (None, "1", "1.2", "1.2.9", "1.10", "0")
    }

    assert resolved == {None: "2.0.0", "1": "1.10.0", "1.2": "1.2.10", "1.2.9": "1.2.9", "1.10": "1.10.0", "0": "0.1.0"}


@pytest.mark.parametrize("wanted", ["3", "1.3", "1.2.3"])
def test_a_version_that_none_fits_is_told_which_there_are(registry, wanted):
    publish(registry, "1.2.9", "2.0.0")

    with pytest.raises(CommandError, match=r"is not published; published: 1\.2\.9, 2\.0\.0"):
        registry.resolve("triage", wanted)


@pytest.mark.parametrize("wanted", ["", "one", "1.", "1.2.3.4", "01", "-1"])
def test_a_text_that_is_no_version_is_told_the_form(registry, wanted):
    with pytest.raises(CommandError, match="is no version"):
        registry.resolve("triage", wanted)
    with pytest.raises(CommandError, match="is no version"):
        registry.publish("triage", wanted, "hash", "source", 1.0)


def test_a_workload_without_prompts_is_told_the_nearest_that_has_some(registry):
    publish(registry, "1.0.0")

    with pytest.raises(CommandError, match="did you mean 'triage'"):
        registry.get("traige", "1.0.0")
    with pytest.raises(CommandError, match="headworks prompts publish"):
        registry.activate("invoices", "1.0.0", now=1.0)


def test_workloads_do_not_see_one_another(registry):
    publish(registry, "1.0.0")
    publish(registry, "2.0.0", workload="invoices")

    assert [publication.version for publication in registry.list("triage")] == ["1.0.0"]
    assert registry.active("invoices") is None


def test_rolling_back_is_activating_an_earlier_version_and_every_time_is_kept(registry):
    publish(registry, "1.0.0", "1.1.0")

    for version, now in (("1.0.0", 10.0), ("1.1.0", 20.0), ("1.1.0", 25.0), ("1.0.0", 5.0)):
        registry.activate("triage", version, now=now)

    assert registry.active("triage").version == "1.0.0"
    assert [(entry.what, entry.version, entry.at) for entry in registry.log("triage")] == [
        ("published", "1.0.0", 0.0),
        ("published", "1.1.0", 1.0),
        ("activated", "1.0.0", 10.0),
        ("activated", "1.1.0", 20.0),
        ("activated", "1.0.0", 5.0),
    ]
    assert {entry.hash for entry in registry.log("triage") if entry.version == "1.1.0"} == {"hash of 1.1.0"}


def test_what_is_not_published_cannot_be_activated(registry):
    publish(registry, "1.0.0")
    registry.activate("triage", "1.0.0", now=1.0)

    with pytest.raises(CommandError, match="is not published"):
        registry.activate("triage", "1.0.1", now=2.0)

    assert registry.active("triage").version == "1.0.0"


def test_another_process_sees_what_is_published(registry, tmp_path):
    other = PromptRegistry(tmp_path / "prompts.db")
    publish(registry, "1.0.0")

    assert other.get("triage", "1.0.0") == registry.get("triage", "1.0.0")
    other.close()


def test_the_storage_folder_is_made_when_missing(tmp_path):
    registry = PromptRegistry.below(tmp_path / "state", "prompts.db")

    assert registry.list("triage") == []
    assert (tmp_path / "state" / "prompts.db").stat().st_mode & 0o077 == 0
    registry.close()


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "prompts.db").write_bytes(b"not a database" * 100)

    with pytest.raises(StorageError, match=r"prompts\.db"):
        PromptRegistry(tmp_path / "prompts.db")


def test_what_is_sent_beside_a_prompt_is_kept_with_it(registry):
    companions = Companions('{"type":"object"}', '{"temperature":0}')

    published = registry.publish("triage", "1.0.0", "hash", "source", 1.0, companions)
    registry.publish("triage", "1.1.0", "hash", "source", 1.0)

    assert registry.get("triage", "1.0.0") == published
    assert [one.companions for one in registry.list("triage")] == [companions, None]


@pytest.mark.parametrize(
    ("activated", "previous"),
    [
        ("", None),
        ("1.0.0", None),
        ("1.0.0 1.1.0", "1.0.0"),
        ("1.0.0 1.1.0 2.0.0", "1.1.0"),
        ("1.0.0 1.1.0 2.0.0 1.1.0", "1.0.0"),
        ("1.0.0 1.1.0 2.0.0 1.1.0 2.1.0", "1.1.0"),
        ("1.0.0 1.1.0 1.0.0", None),
    ],
)
def test_going_back_never_leads_to_what_was_gone_back_from(registry, activated, previous):
    publish(registry, "1.0.0", "1.1.0", "2.0.0", "2.1.0")
    for version in activated.split():
        registry.activate("triage", version, now=1.0)

    found = registry.previous("triage")

    assert (found and found.version) == previous
