"""The values that flow from a record to a screen."""

from fusion_core.types.explanation import (
    AttentionHead,
    AttentionMap,
    AttentionScores,
    Attribution,
    Check,
    Cost,
    Curve,
    Faithfulness,
    Ledger,
    Prediction,
    Reading,
    Seam,
    Share,
    Trace,
)
from fusion_core.types.record import MODALITIES, Failure, Media, Record, Refusal
from fusion_core.types.tokens import AxisKind, Inputs, ModalityInputs, TokenAxis, Tokens

__all__ = [
    "MODALITIES",
    "AttentionHead",
    "AttentionMap",
    "AttentionScores",
    "Attribution",
    "AxisKind",
    "Check",
    "Cost",
    "Curve",
    "Failure",
    "Faithfulness",
    "Inputs",
    "Ledger",
    "Media",
    "ModalityInputs",
    "Prediction",
    "Reading",
    "Record",
    "Refusal",
    "Seam",
    "Share",
    "TokenAxis",
    "Tokens",
    "Trace",
]
