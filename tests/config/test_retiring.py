"""Models that are shut down soon: which of a project's are, who calls them, and where that is to be changed."""

import datetime as dt

import pytest

from headworks.catalogue import shipped
from headworks.config import Lock, Locked, find_retiring, load, load_workloads, lock_text, price_book, retiring_warnings

CONFIG = """
providers:
  openai: {kind: openai, api_key: env:KEY}
models:
  old: openai/gpt-5-nano
tiers: {nano: openai/gpt-5-nano, mini: openai/gpt-4.1, flagship: openai/gpt-6.1-sol}
"""
CONTRACT = "owner: us\ndescription: Sort.\nladder: [nano, flagship]\n"
DUE = dt.date(2026, 12, 11)
"""Of gpt-5-nano; gpt-4.1's is five weeks later (OpenAI's deprecations, 2026-10)."""


@pytest.fixture
def warned(tmp_path):
    """What is found on a day, of a project with one workload."""

    def find(today, contract=CONTRACT, locked=""):
        (tmp_path / "headworks.yaml").write_text(CONFIG)
        folder = tmp_path / "workloads" / "triage"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "workload.yaml").write_text(contract)
        if locked:
            (tmp_path / "headworks.lock").write_text(lock_text(Lock(workloads={"triage": Locked(model=locked)})))
        project = load(tmp_path)
        return find_retiring(project, price_book(project, shipped()), load_workloads(project), today)

    return find


@pytest.mark.parametrize(("days", "count"), [(181, 0), (180, 1), (1, 2), (0, 2), (-400, 2)])
def test_a_model_is_warned_of_from_180_days_before_it_goes_and_ever_after(warned, days, count):
    found = warned(DUE - dt.timedelta(days=days))

    assert [one.target for one in found] == ["openai/gpt-5-nano", "openai/gpt-4.1"][:count]
    assert [one.retirement.days_left for one in found][:1] == [days][:count]


def test_a_warning_stands_where_the_model_is_named_and_says_what_is_next(warned):
    (first, second) = retiring_warnings(warned(DUE - dt.timedelta(days=15)))

    assert str(first).partition("headworks.yaml:")[2] == (
        "5:8: models.old.model: openai/gpt-5-nano is shut down on 2026-12-11, in 15 days; its provider recommends "
        "gpt-6-luna. `headworks migrate` finds out for triage what can take its place, while it still answers"
    )
    assert "openai/gpt-4.1 is shut down on 2027-01-14, in 49 days" in second.message
    assert "migrate" not in second.message  # no workload calls it


def test_of_a_model_that_is_gone_it_is_said_that_it_is(warned):
    (first, _) = retiring_warnings(warned(DUE))
    assert "was shut down on 2026-12-11" in first.message
    assert "while it still answers" not in first.message


def test_workloads_are_those_that_may_call_it_as_a_rung_a_fallback_or_by_the_lock(warned):
    by_name = "owner: us\ndescription: Sort.\nladder: [flagship]\nfallback: [old]\n"
    by_target = "owner: us\ndescription: Sort.\nladder: [openai/gpt-5-nano, flagship]\n"
    neither = "owner: us\ndescription: Sort.\nladder: [flagship]\n"
    today = DUE - dt.timedelta(days=30)

    assert warned(today, by_name)[0].workloads == ("triage",)
    assert warned(today, by_target)[0].workloads == ("triage",)
    assert warned(today, neither)[0].workloads == ()
    assert warned(today, neither, "nano")[0].workloads == ("triage",)


def test_a_lock_that_cannot_be_read_is_left_to_those_who_need_it(warned, tmp_path):
    warned(DUE)
    (tmp_path / "headworks.lock").write_text("<<<<<<< ours\n")
    assert len(warned(DUE)) == 2


EVERYWHERE = """
providers:
  openai: {kind: openai, api_key: env:KEY, models: [gpt-5-nano, gpt-6-luna, gpt-6.1-sol]}
  other: {kind: openai, api_key: env:KEY}
models:
  many: {targets: [openai/gpt-6-luna, {target: other/gpt-4.1, tier: 1}]}
  safe: {provider: openai, model: gpt-6-luna, fallback: [other/gpt-5-mini]}
tiers: {nano: many, flagship: openai/gpt-6.1-sol}
"""


def test_a_model_is_found_wherever_the_configuration_names_it(tmp_path):
    """As one of several targets, as another model's fallback, in a provider's list: calls reach it from each."""
    (tmp_path / "headworks.yaml").write_text(EVERYWHERE)
    folder = tmp_path / "workloads" / "triage"
    folder.mkdir(parents=True)
    (folder / "workload.yaml").write_text(
        "owner: us\ndescription: Sort.\nladder: [nano, flagship]\n"
        "screening: {injection: {check: {model: other/gpt-5-nano}}}\n"
    )
    project = load(tmp_path)
    found = find_retiring(project, price_book(project, shipped()), load_workloads(project), DUE)

    assert {one.target: (one.places[0].line, one.workloads) for one in found} == {
        "openai/gpt-5-nano": (3, ()),
        "other/gpt-5-nano": (4, ("triage",)),
        "other/gpt-4.1": (6, ("triage",)),
        "other/gpt-5-mini": (7, ()),
    }
