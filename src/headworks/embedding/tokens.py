"""Texts into the tokens of a SentencePiece BPE vocabulary, as llama's models have it: pairs are joined as long as what
they make together is a token, the earliest token of the vocabulary first (Kudo and Richardson 2018, `bpe_model.cc`).

No token of such a vocabulary reaches over the beginning of a word, so words are divided one by one, and remembered.
"""

from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise

_SPACE = "\u2581"
"""What a space is written as, and a word begins with."""

_MOST_WORD = 64
"""Characters of a word that are looked at together; a longer one is cut: joining takes the square of its length."""

_REMEMBERED = 8192


class Pieces:
    """Divides texts. State: the tokens of the words that came last.

    Arguments:
        vocabulary: numbers of tokens by their text.
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self._vocabulary = vocabulary
        self._unknown = vocabulary.get("<unk>", 0)
        self._word = lru_cache(maxsize=_REMEMBERED)(self._divided)

    def of(self, text: str) -> list[int]:
        """The numbers of a text's tokens. White space divides, and is otherwise nothing."""
        numbers: list[int] = []
        for word in text.split():
            for at in range(0, len(word), _MOST_WORD):
                numbers += self._word(word[at : at + _MOST_WORD] if at else _SPACE + word[:_MOST_WORD])
        return numbers

    def _divided(self, word: str) -> tuple[int, ...]:
        known = self._vocabulary
        none = len(known)
        pieces = list(word)
        ranks = [known.get(one + other, none) for one, other in pairwise(pieces)]
        while ranks and (best := min(ranks)) < none:
            at = ranks.index(best)
            pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
            del ranks[at]
            # Only the pairs on both sides are others now: whoever sends long words must not hold up everybody.
            if at:
                ranks[at - 1] = known.get(pieces[at - 1] + pieces[at], none)
            if at < len(ranks):
                ranks[at] = known.get(pieces[at] + pieces[at + 1], none)
        return tuple([number for piece in pieces for number in self._numbers(piece)])

    def _numbers(self, piece: str) -> list[int]:
        """A piece that is no token is given by its bytes, which are tokens."""
        number = self._vocabulary.get(piece)
        if number is not None:
            return [number]
        written = piece.encode("utf-8", "surrogatepass")
        return [self._vocabulary.get(f"<0x{byte:02X}>", self._unknown) for byte in written]
