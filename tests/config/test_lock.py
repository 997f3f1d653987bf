import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from headworks.config import Lock, Locked, lock_text, read_lock
from headworks.config.lock import parse_lock
from headworks.errors import ConfigError

texts = st.text(st.characters(codec="utf-8"), max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
names = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)
locks = st.builds(
    Lock,
    workloads=st.dictionaries(
        names,
        st.builds(
            Locked,
            prompt_version=texts,
            prompt_hash=texts,
            schema_hash=texts,
            model=texts,
            served_model=texts,
            evidence=st.none() | st.dictionaries(texts, json_values, max_size=4),
        ),
        max_size=4,
    ),
)


@given(locks)
def test_a_lock_reads_back_as_it_was_written(lock):
    assert parse_lock(lock_text(lock), file="headworks.lock") == lock


@given(locks)
def test_every_other_reader_of_yaml_sees_a_mapping_of_workloads(lock):
    assert list(yaml.safe_load(lock_text(lock))["workloads"]) == sorted(lock.workloads)


@given(st.permutations(["b", "a", "c"]))
def test_equal_locks_are_equal_bytes_in_whatever_order_they_were_made(order):
    lock = Lock(workloads={name: Locked(evidence=dict.fromkeys(order, 1)) for name in order})

    assert lock_text(lock) == lock_text(Lock(workloads=dict(sorted(lock.workloads.items()))))


def test_one_workload_is_one_block_and_one_field_one_line():
    evidence = {"score": 0.97, "run": {"cases": 50, "at": "2026-11-25"}, "tried": ["nano", "mini"]}
    lock = Lock(workloads={"triage": Locked(prompt_version="1.0.0", model="nano", evidence=evidence)})

    assert lock_text(lock) == (
        "# What each workload runs on, and why. Written by `headworks`; commit it.\n"
        "version: 1\n"
        "workloads:\n"
        "  triage:\n"
        '    prompt_version: "1.0.0"\n'
        '    prompt_hash: ""\n'
        '    schema_hash: ""\n'
        '    model: "nano"\n'
        '    served_model: ""\n'
        "    evidence:\n"
        "      run:\n"
        '        at: "2026-11-25"\n'
        "        cases: 50\n"
        "      score: 0.97\n"
        '      tried: ["nano", "mini"]\n'
    )


def test_a_project_without_a_lock_has_an_empty_one(tmp_path):
    assert read_lock(tmp_path / "headworks.lock") == Lock()


def test_a_lock_is_read_from_its_file(tmp_path):
    lock = Lock(workloads={"triage": Locked(model="mini")})
    (tmp_path / "headworks.lock").write_text(lock_text(lock))

    assert read_lock(tmp_path / "headworks.lock") == lock


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("workloads: {a: {modle: x}}", "1:17: workloads.a: `modle` is not a field; did you mean `model`?"),
        ("version: 2", "1:10: version: expected `1`"),
        ("workloads: {A b: {}}", "1:13: workloads.A b: expected text like ^[a-z][a-z0-9-]{0,62}$"),
        ("workloads: {a: {evidence: {x: 1e999}}}", "1:31: workloads.a.evidence.x: expected a smaller number"),
        ("version: 1\n<<<<<<< ours\n", "2:1: a merge was left unfinished here: keep one side of each conflict"),
    ],
)
def test_what_is_no_lock_is_refused_with_its_place(tmp_path, text, problem):
    file = tmp_path / "headworks.lock"
    file.write_text(text)

    with pytest.raises(ConfigError) as raised:
        read_lock(file)

    assert str(raised.value) == f"{file}:{problem}"


@pytest.mark.parametrize("evidence", [{"x": float("nan")}, {"k" * 300: 1}])
def test_evidence_that_a_lock_cannot_hold_is_refused_when_it_is_written(evidence):
    with pytest.raises(ValueError, match=r"JSON compliant|at most 256 characters"):
        lock_text(Lock(workloads={"a": Locked(evidence=evidence)}))
