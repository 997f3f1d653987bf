import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from headworks.embedding import LocalModel, Pieces, load_local_model
from headworks.errors import CommandError


@pytest.fixture(scope="module")
def model():
    return load_local_model()


@pytest.fixture(scope="module")
def oracle():
    """The tokenizer that the model was made with."""
    import importlib.util

    folder = importlib.util.find_spec("wordllama").submodule_search_locations[0]
    return Tokenizer.from_file(f"{folder}/tokenizers/l2_supercat_tokenizer_config.json")


def written(tmp_path, rows, *, dtype="F16", vocabulary=("<unk>", "▁a", "▁", "a", "b", "▁ab")):
    """Model files with these rows."""
    weights, tokens = tmp_path / "tiny.safetensors", tmp_path / "tokens.json"
    data = np.array(rows, dtype="<f2").tobytes()
    shape = [len(rows), len(rows[0])]
    head = json.dumps({"rows": {"dtype": dtype, "shape": shape, "data_offsets": [0, len(data)]}}).encode()
    weights.write_bytes(len(head).to_bytes(8, "little") + head + data)
    tokens.write_text(json.dumps({"model": {"vocab": {one: number for number, one in enumerate(vocabulary)}}}))
    return weights, tokens


WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Zs", "Zl", "Zp", "Cc", "Cs")), min_size=1, max_size=12
)


@given(words=st.lists(WORDS, min_size=1, max_size=6))
def test_texts_are_divided_as_the_model_was_trained(oracle, model, words):
    text = " ".join(word for word in words if not word.isspace() and "<" not in word) or "a"
    if text.split() != text.split(" "):
        return  # another kind of space: here it divides

    assert model.pieces.of(text) == oracle.encode(text, add_special_tokens=False).ids


def test_a_long_word_takes_no_long_time_and_white_space_is_nothing(model):
    assert len(model.pieces.of("a" * 10_000)) > 100
    assert model.pieces.of("  when\n\tthen ") == model.pieces.of("when then")
    assert model.pieces.of(" \n") == []


class Counting(dict):
    """A vocabulary that counts how often it is looked into."""

    looks = 0

    def get(self, *asked):
        self.looks += 1
        return super().get(*asked)


def test_dividing_looks_at_no_pair_twice_so_that_nobody_holds_up_others_by_long_words(model):
    vocabulary = Counting(model.pieces._vocabulary)
    pieces = Pieces(vocabulary)
    vocabulary.looks = 0
    text = "".join(chr(ord("a") + (7 * number * number + number // 3) % 26) for number in range(2000))

    assert pieces.of(text) == model.pieces.of(text)
    assert vocabulary.looks < 5 * len(text)


def test_what_means_the_same_in_nearly_the_same_words_is_nearer_than_what_does_not(model):
    asked, same, other = model.vectors(
        ["How do I reset my password", "how can i reset my password", "how do i return my order"]
    )

    assert float(asked @ same) > 0.9 > 0.7 > float(asked @ other)


def test_vectors_have_the_length_one_but_for_a_text_without_a_word(model):
    found = model.vectors(["when do you open", "", "x" * 100_000])

    assert found.shape == (3, model.size)
    assert np.linalg.norm(found, axis=1) == pytest.approx([1.0, 0.0, 1.0], abs=1e-5)


def test_a_vector_is_the_mean_of_its_tokens(tmp_path):
    model = LocalModel(*written(tmp_path, [[0, 0], [3, 0], [0, 0], [0, 0], [0, 9], [0, 4]]))

    (found,) = model.vectors(["a ab"])

    assert found == pytest.approx([0.6, 0.8], abs=1e-6)
    assert model.identity.startswith("tiny casefold sha256:")


def test_a_vector_of_many_tokens_is_the_mean_of_them_too(tmp_path):
    model = LocalModel(*written(tmp_path, [[0, 0], [3, 0], [0, 0], [0, 0], [0, 9], [0, 4]]))

    (found,) = model.vectors(["a ab " * 700])

    assert found == pytest.approx([0.6, 0.8], abs=1e-6)


def test_models_that_differ_have_other_identities(tmp_path):
    rows = [[1, 0], [0, 1]]
    one = LocalModel(*written(tmp_path, rows, vocabulary=("<unk>", "▁a"))).identity
    other = LocalModel(*written(tmp_path, rows, vocabulary=("<unk>", "▁b"))).identity

    assert one != other


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, (1 << 40).to_bytes(8, "little"), b"\x02" + b"\0" * 7 + b"[]"])
def test_files_of_something_else_are_told_of(tmp_path, content):
    weights, tokens = written(tmp_path, [[1, 0]])
    weights.write_bytes(content)

    with pytest.raises(CommandError, match="no embedding model that this release knows"):
        LocalModel(weights, tokens)


def test_a_model_of_another_kind_of_number_is_refused(tmp_path):
    with pytest.raises(CommandError, match="another kind than F16"):
        LocalModel(*written(tmp_path, [[1, 0]], dtype="F32"))


def test_where_it_is_not_installed_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CommandError, match=r"headworks\[semantic\]"):
        load_local_model.__wrapped__()
    with pytest.raises(CommandError, match="cannot be read"):
        LocalModel(tmp_path / "none", tmp_path / "none")


def test_a_vocabulary_without_bytes_gives_what_is_unknown():
    assert Pieces({"<unk>": 0, "▁": 1}).of("é") == [1, 0, 0]
