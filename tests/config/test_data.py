"""Where a workload's data may go."""

import pytest

from headworks.config.contract import Data
from headworks.config.data import SENSITIVITIES, data_faults
from headworks.config.sections.providers import Provider


def provider(**fields):
    return Provider(kind="openai-compatible", base_url="https://x", **fields)


@pytest.mark.parametrize("most", SENSITIVITIES)
@pytest.mark.parametrize("of", SENSITIVITIES)
def test_data_goes_to_who_may_see_what_is_as_harmful_and_to_nobody_else(most, of):
    faults = list(data_faults(Data(sensitivity=of), "p", provider(sensitivity=most)))

    assert [field for field, _ in faults] == (
        ["sensitivity"] if SENSITIVITIES.index(of) > SENSITIVITIES.index(most) else []
    )


def test_restricted_data_goes_only_where_that_is_said():
    assert list(data_faults(Data(sensitivity="confidential"), "p", provider())) == []
    ((field, message),) = data_faults(Data(sensitivity="restricted"), "p", provider())
    assert field == "sensitivity"
    assert "`providers.p` of headworks.yaml may see data up to `confidential`" in message


def test_everything_that_is_wrong_is_named():
    data = Data(sensitivity="restricted", residency=("eu",), agreements=("zero-retention",))

    assert [field for field, _ in data_faults(data, "p", provider(regions=("us",)))] == [
        "residency", "agreements", "sensitivity",
    ]  # fmt: skip


def test_a_simulator_sees_everything_for_nothing_goes_anywhere():
    data = Data(sensitivity="restricted", residency=("eu",), agreements=("zero-retention",))

    assert list(data_faults(data, "p", Provider(kind="simulator"))) == []
