"""What was found of changes is found again, and what another release wrote does no harm."""

import pytest

from headworks.errors import StorageError
from headworks.evals.verdict_log import VERDICTS_FILE, Verdict, find_verdict, keep_verdict, verdicts_of


def verdict(**fields):
    given = {"at_us": 1, "workload": "triage", "release": "r1", "prompt_version": "1.0.0", "model": "nano"}
    return Verdict(**(given | {"word": "worse"} | fields))


def test_the_last_verdict_of_a_release_counts(tmp_path):
    for one in (verdict(), verdict(release="r2"), verdict(word="not worse", at_us=2), verdict(workload="other")):
        keep_verdict(tmp_path, one)

    assert find_verdict(tmp_path, "triage", "r1") == verdict(word="not worse", at_us=2)
    assert find_verdict(tmp_path, "triage", "r3") is None
    assert len(verdicts_of(tmp_path, "triage")) == 3


def test_where_nothing_was_kept_nothing_is_found(tmp_path):
    assert find_verdict(tmp_path / "nowhere", "triage", "r1") is None
    assert not (tmp_path / "nowhere").exists()


def test_lines_of_another_release_are_passed_over(tmp_path):
    keep_verdict(tmp_path, verdict())
    with (tmp_path / VERDICTS_FILE).open("ab") as opened:
        opened.write(b'{"word": "splendid"}\n')

    assert find_verdict(tmp_path, "triage", "r1") == verdict()


def test_a_file_that_cannot_be_read_is_said(tmp_path):
    (tmp_path / VERDICTS_FILE).mkdir()
    with pytest.raises(StorageError):
        find_verdict(tmp_path, "triage", "r1")
