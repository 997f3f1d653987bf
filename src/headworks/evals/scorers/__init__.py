"""Scorers: whether an answer is right, and how nearly. One interface (`Scorer`), one file each.

`read_settings` reads `evals.yaml`, `build_scorer` makes of it the one scorer of a run. What a scorer needs from
elsewhere (the workload's schema and rules, a model to ask) is passed in as `Means`. A scorer that cannot tell raises
`ScoringFailed`: that is no wrong answer. What other packages bring along keeps to `PluggedScorer`.

May import `errors`, `config` and `evals.golden`.
"""

from headworks.evals.scorers.building import Means, build_scorer, calibration_key, judge_of
from headworks.evals.scorers.calibration import Calibration, HumanLabel, calibrate, read_labels
from headworks.evals.scorers.combining import ByExpected, Combined, OfField, Weighted
from headworks.evals.scorers.judge import AskModel, Judge, JudgeReply, Preference
from headworks.evals.scorers.plugged import FoundScorer, PluggedScorer, ScorerFactory
from headworks.evals.scorers.scoring import (
    Answer,
    Part,
    Score,
    Scorer,
    ScoringFailed,
    ToolCall,
    scorer_hash,
)
from headworks.evals.scorers.settings import (
    EVALS_FILE,
    EvalSettings,
    JudgeSettings,
    RetrievalSettings,
    ScorerSettings,
    parse_settings,
    read_settings,
)

__all__ = [
    "EVALS_FILE",
    "Answer",
    "AskModel",
    "ByExpected",
    "Calibration",
    "Combined",
    "EvalSettings",
    "FoundScorer",
    "HumanLabel",
    "Judge",
    "JudgeReply",
    "JudgeSettings",
    "Means",
    "OfField",
    "Part",
    "PluggedScorer",
    "Preference",
    "RetrievalSettings",
    "Score",
    "Scorer",
    "ScorerFactory",
    "ScorerSettings",
    "ScoringFailed",
    "ToolCall",
    "Weighted",
    "build_scorer",
    "calibrate",
    "calibration_key",
    "judge_of",
    "parse_settings",
    "read_labels",
    "read_settings",
    "scorer_hash",
]
