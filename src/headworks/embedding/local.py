"""The local model: its files, found and read, and the vectors that it gives."""

import functools
import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headworks.embedding.tokens import Pieces
from headworks.errors import CommandError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

_PACKAGE = "wordllama"
_WEIGHTS = Path("weights/l2_supercat_256.safetensors")
_TOKENS = Path("tokenizers/l2_supercat_tokenizer_config.json")
_MOST_CHARACTERS = 20_000
"""Of a longer text only so much is read: an average over more tells nothing of a part."""

_MANY_TOKENS = 600
"""Some 2,000 characters of English."""

_MOST_HEAD = 1 << 20

_HINT = "the local embedding model is not installed: pip install 'headworks[semantic]'"


class _Tensor(msgspec.Struct):
    dtype: str
    shape: tuple[int, int]
    data_offsets: tuple[int, int]


class _Bpe(msgspec.Struct):
    vocab: dict[str, int]


class _TokenFile(msgspec.Struct):
    model: _Bpe


class LocalModel:
    """Gives vectors. Holds 16 MB, which the processes of a machine share, and the vocabulary.

    Arguments:
        weights: a safetensors file with one matrix of half-precision numbers, a row a token.
        tokens: a tokenizer file as Hugging Face's `tokenizers` writes it, with a BPE model.

    Attributes:
        identity: what vectors depend on, as a text: equal identities give equal vectors.
        pieces: divides texts into its tokens.
        size: numbers in a vector.

    Raises:
        CommandError: a file cannot be read, or is something else.
    """

    def __init__(self, weights: Path, tokens: Path) -> None:
        try:
            import numpy as np  # comes with the model's package; nobody else needs it
        except ImportError:
            raise CommandError(_HINT) from None
        self._np = np
        try:
            text = tokens.read_bytes()
            vocabulary = msgspec.json.decode(text, type=_TokenFile).model.vocab
            digest = hashlib.sha256(text)
            with weights.open("rb") as opened:
                begin = 8 + int.from_bytes(opened.read(8), "little")
                (tensor,) = msgspec.json.decode(
                    opened.read(min(begin - 8, _MOST_HEAD)), type=dict[str, _Tensor]
                ).values()
                opened.seek(0)
                while piece := opened.read(1 << 20):
                    digest.update(piece)
            if tensor.dtype != "F16":
                raise CommandError(f"{weights} holds numbers of another kind than F16")
            at = begin + tensor.data_offsets[0]
            self._rows = np.memmap(weights, dtype="<f2", mode="r", offset=at, shape=tensor.shape)
        except OSError as error:
            raise CommandError(f"the local embedding model cannot be read: {error.strerror or error}") from None
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, OverflowError):
            raise CommandError(f"{weights} and {tokens} are no embedding model that this release knows") from None
        self.pieces = Pieces(vocabulary)
        self.size = tensor.shape[1]
        self.identity = f"{weights.stem} casefold sha256:{digest.hexdigest()[:32]}"

    def vectors(self, texts: Sequence[str]) -> "Vectors":
        """A vector of length 1 for each text, as rows; of a text without a word, one of zeros. Capitals make no
        difference: the model knows a word with one as another word."""
        np = self._np
        found: Vectors = np.zeros((len(texts), self.size), dtype=np.float32)
        for number, text in enumerate(texts):
            tokens = [one for one in self.pieces.of(text[:_MOST_CHARACTERS].casefold()) if one < len(self._rows)]
            if len(tokens) > _MANY_TOKENS:
                # A text in a script that the model does not know is thousands of tokens, of which few are different.
                different, times = np.unique(tokens, return_counts=True)
                mean = np.average(self._rows[different].astype(np.float32), axis=0, weights=times.astype(np.float32))
                found[number] = mean / (float(np.linalg.norm(mean)) or 1.0)
            elif tokens:
                mean = self._rows[tokens].astype(np.float32).mean(axis=0)
                found[number] = mean / (float(np.linalg.norm(mean)) or 1.0)
        return found

    def packed(self, text: str) -> bytes:
        """The vector of a text in half precision, written down; b"" for a text without a word."""
        (vector,) = self.vectors([text])
        return bytes(vector.astype("<f2").tobytes()) if vector.any() else b""

    def cosines(self, vector: bytes, others: bytes) -> list[float]:
        """The cosines of a vector with each of others, which stand behind one another as `packed` has written them."""
        np = self._np
        one = np.frombuffer(vector, dtype="<f2").astype(np.float32)
        found: list[float] = (
            np.frombuffer(others, dtype="<f2").astype(np.float32).reshape(-1, self.size) @ one
        ).tolist()
        return found


@functools.cache
def load_local_model() -> LocalModel:
    """The model of the extra `semantic`, from the files that are installed; the same one for all of a process.

    Raises:
        CommandError: it is not installed, or another release of it is.
    """
    found = importlib.util.find_spec(_PACKAGE)
    places = None if found is None else found.submodule_search_locations
    if not places:
        raise CommandError(_HINT)
    folder = Path(next(iter(places)))
    return LocalModel(folder / _WEIGHTS, folder / _TOKENS)
