"""Train the small classifier for injection, and measure it on what it has not seen.

    python tools/injection/train.py FOLDER            print the measures
    python tools/injection/train.py FOLDER --write    and write the weights, and the table of security-results.md

FOLDER is that of `measure.py`; needs `wordllama==0.4.0.post1`, `scikit-learn` and numpy. Everything is seeded.

Whole sources of attacks are either trained on or tested on. Of benign text each third piece is trained on, each third
sets the threshold, and each third is tested on; the words of attacks at random are tested on alone. A text that stands
in both, but for case and punctuation, is taken out of the test.
"""

import argparse
import base64
import json
import random
import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import measure
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "src")]

from headworks.embedding import load_local_model  # noqa: E402
from headworks.screening.injection.classifier import windows  # noqa: E402

WEIGHTS = ROOT / "src" / "headworks" / "screening" / "injection" / "data" / "classifier.json"
TRAINED_ON = (
    "llmail-inject",
    "satml-ctf-2024",
    "lakera/gandalf",
    "jackhhao/jailbreak",
    "deepset/prompt-injections",
)
_MOST = 1500
_MOST_TESTED = 600
_UNUSUAL = "Words of attacks, at random"
_REPEATED = 3
"""Hard benign texts are few, and weigh so many times as much."""

_HIDDEN = 64
_LEAST_SHARE = 0.005
_HARD_SHARE = 0.01
"""Of the benign pieces that set the threshold, at most so many are above it; and of the hard ones among them."""


def main() -> int:
    """Train, print, and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true", help=f"write {WEIGHTS.relative_to(ROOT)}")
    parser.add_argument("--without", action="append", default=[], metavar="SOURCE", help="a source not to train on")
    options = parser.parse_args()
    embed = load_local_model().vectors
    attacks = _attacks(options.folder)
    benign = {name: texts for name, texts in measure.benign_texts(options.folder).items() if texts}
    sources = [source for source in TRAINED_ON if source not in options.without]
    known = {_plain(text) for source in sources for text in attacks[source]}
    positive = [text for source in sources for text in attacks[source][:_MOST]]
    negative = []
    for name, texts in benign.items():
        if name != _UNUSUAL:
            negative += texts[::3] * (_REPEATED if _is_hard(name) else 1)
    bad, good = _rows(embed, positive)[0], _rows(embed, negative)[0]
    inputs, labels = np.vstack([bad, good]), np.r_[np.ones(len(bad)), np.zeros(len(good))]
    warnings.simplefilter("ignore", ConvergenceWarning)
    model = MLPClassifier((_HIDDEN,), alpha=1e-3, max_iter=60, random_state=0).fit(inputs, labels)
    weights = [
        np.asarray(one, dtype=np.float32) for pair in zip(model.coefs_, model.intercepts_, strict=True) for one in pair
    ]

    def scores(texts: Sequence[str]) -> np.ndarray:
        rows, owners = _rows(embed, texts)
        hidden = np.maximum(rows @ weights[0] + weights[1], 0)
        each = (hidden @ weights[2] + weights[3])[:, 0]
        best = np.full(len(texts), -1e9)
        np.maximum.at(best, owners, each)
        return best

    held = {name: scores(texts[1::3]) for name, texts in benign.items() if name != _UNUSUAL}
    pooled = np.quantile(np.concatenate(list(held.values())), 1 - _LEAST_SHARE)
    hard = np.concatenate([one for name, one in held.items() if _is_hard(name)])
    threshold = float(max(pooled, np.quantile(hard, 1 - _HARD_SHARE)))
    said = _Table()
    said.note(f"trained on {len(positive):,} attacks and {len(negative):,} benign texts; threshold {threshold:.3f}")
    total = wrong = 0
    for name, texts in benign.items():
        tested = texts if name == _UNUSUAL else texts[2::3]
        above = int((scores(tested) > threshold).sum())
        if name != _UNUSUAL:
            total, wrong = total + len(tested), wrong + above
        said.row("Benign", name, above, len(tested))
    said.row("Benign", "all of these but words at random", wrong, total)
    for name, texts in attacks.items():
        if name in sources:
            continue
        tested = [text for text in texts if _plain(text) not in known][:_MOST_TESTED]
        above = int((scores(tested) > threshold).sum())
        said.row("Attacks", name, above, len(tested))
    if options.write:
        WEIGHTS.parent.mkdir(exist_ok=True)
        WEIGHTS.write_text(json.dumps(_file(weights, threshold, sources), indent=1) + "\n", encoding="utf-8")
        page = measure.PAGE.read_text("utf-8")
        before, _, rest = page.partition(measure.CLASSIFIER[0])
        after = rest.partition(measure.CLASSIFIER[1])[2]
        table = "\n".join(said.lines)
        measure.PAGE.write_text(
            f"{before}{measure.CLASSIFIER[0]}\n\n{table}\n\n{measure.CLASSIFIER[1]}{after}", "utf-8"
        )
    return 0


class _Table:
    """The lines of the page's table, printed as they come."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        print(text)
        self.lines += [
            text[0].upper() + text[1:] + ".",
            "",
            "| | Texts | Cases | Taken for attacks |",
            "|---|---|--:|--:|",
        ]

    def row(self, kind: str, name: str, above: int, count: int) -> None:
        print(f"{kind:8}{name:34}{above:5} of {count:5}  {above / count:.2%}")
        self.lines.append(f"| {kind} | {name} | {count:,} | {above / count:.2%} |")


def _attacks(folder: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for source, texts in measure.attack_texts(folder).items():
        unique = {_plain(text): text for text in texts}
        found[source] = random.Random(source).sample(list(unique.values()), len(unique))  # noqa: S311 - seeded
    return found


def _is_hard(name: str) -> bool:
    return name.startswith(("Hard", "What"))


def _plain(text: str) -> str:
    return re.sub(r"\W+", " ", text.lower()).strip()


def _rows(embed: object, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The windows of texts as vectors, and whose each is."""
    pieces, owners = [], []
    for number, text in enumerate(texts):
        for piece in windows(text):
            pieces.append(piece)
            owners.append(number)
    return embed(pieces), np.array(owners)  # type: ignore[operator]


def _file(weights: Sequence[np.ndarray], threshold: float, sources: Sequence[str]) -> dict[str, object]:
    return {
        "provenance": (
            "Trained by tools/injection/train.py; licensed as the rest of this package. It holds numbers only, no text "
            "of what it was trained on: attacks as prompt-armor 0.9.1 (Apache-2.0) hands them on, of the sources named "
            "here; benign text of Python's library (PSF), package descriptions, this documentation, prompt-armor, "
            "AgentDojo (MIT), NotInject (MIT), XSTest (CC BY 4.0) and WildGuard (ODC-BY)."
        ),
        "embedding": load_local_model().identity,
        "threshold": round(threshold, 3),
        "shapes": [list(one.shape) for one in weights],
        "weights": [base64.b64encode(one.astype("<f4").tobytes()).decode() for one in weights],
        "trained_on": list(sources),
    }


if __name__ == "__main__":
    sys.exit(main())
