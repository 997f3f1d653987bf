import pytest

from headworks.errors import CommandError
from headworks.evals.golden import GoldenFile, indexes_of, part_of


def asked(path, wanted):
    with GoldenFile(path) as cases:
        return [cases[index].id for index in indexes_of(cases, part_of(cases, wanted))]


def of(*splits):
    return [
        {"id": f"{number} {split}", "input": "Hi", **({"split": split} if split else {})}
        for number, split in enumerate(splits)
    ]


def test_test_cases_alone_decide_where_there_are_some(golden):
    path = golden(*of("train", "dev", "test", "", "held-out"))

    assert asked(path, "deciding") == ["2 test", "4 held-out"]
    assert asked(path, "dev") == ["1 dev", "3 "]
    assert asked(path, "train") == ["0 train"]
    assert len(asked(path, "all")) == 5


def test_without_test_cases_all_decide_but_examples(golden):
    assert asked(golden(*of("train", "dev", "")), "deciding") == ["1 dev", "2 "]
    assert asked(golden(*of("", "")), "deciding") == ["0 ", "1 "]


def test_examples_alone_decide_nothing(golden):
    with pytest.raises(CommandError, match="nothing can be decided by `train` cases"):
        asked(golden(*of("train")), "deciding")


def test_a_part_without_a_case_is_named(golden):
    with pytest.raises(CommandError, match="no case has the split `test`"):
        asked(golden(*of("dev")), "test")
