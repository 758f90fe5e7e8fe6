"""What a model answers: which labels are common in clean traffic, and how doubtful an answer is."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.batch import EventBatch, FloatArray, IntArray, round_sig

#: Clean rows that an answer must have to be judged by them; what the others are judged by is all rows.
LEAST_ROWS: Final = 50
_MOST_ANSWERS: Final = 255
#: Narrowest margin told apart is 2**-10; steps of doubt in a halving of the margin.
MOST_DOUBT_BITS: Final = 10.0
DOUBT_STEPS: Final = 24.0
#: In place of a doubt: the row has fewer than two scores.
NO_DOUBT: Final = 255

Codes = npt.NDArray[np.uint8]


def common_answers(labels: IntArray) -> IntArray:
    """Labels of at least 50 rows, ascending: at most 255, the most common ones."""
    found, rows = np.unique(labels, return_counts=True)
    most = np.argsort(-rows, kind="stable")[: min(_MOST_ANSWERS, np.count_nonzero(rows >= LEAST_ROWS))]
    return np.asarray(found[np.sort(most)], dtype=np.int64)


def answer_codes(answers: IntArray, labels: IntArray) -> Codes:
    """Where each label is in ``answers``, which are ascending; their number for labels that are not among them."""
    if not len(answers):
        return np.zeros(len(labels), dtype=np.uint8)
    at = np.minimum(np.searchsorted(answers, labels), len(answers) - 1)
    return np.where(answers[at] == labels, at, len(answers)).astype(np.uint8)


def means_by_answer(answers: IntArray, labels: IntArray, values: FloatArray) -> FloatArray:
    """Mean of the values of each answer, and last that of all; which also stands for answers with fewer than 50.

    NaN is left out; of nothing but NaN the mean is 0.
    """
    there = ~np.isnan(values)
    codes, values = answer_codes(answers, labels[there]), values[there]
    whole = float(values.mean()) if len(values) else 0.0
    rows = np.bincount(codes, minlength=len(answers) + 1)
    sums = np.bincount(codes, values, minlength=len(answers) + 1)
    means = np.where(rows >= LEAST_ROWS, sums / np.maximum(rows, 1), whole)
    means[-1] = whole
    return round_sig(means)


def margins(batch: EventBatch, rows: IntArray) -> FloatArray:
    """Largest less second largest class score of the given rows, ``(k,)``; NaN for those with fewer than two."""
    if batch.scores is None or batch.scores.shape[1] < 2:
        return np.full(len(rows), np.nan)
    top = np.sort(batch.scores[rows].astype(np.float64), axis=1)[:, -2:]
    return np.asarray(top[:, 1] - top[:, 0])


def doubts(batch: EventBatch, rows: IntArray) -> Codes:
    """-log2 of the margins, at most 10, in steps of 1/24; ``NO_DOUBT`` without two scores."""
    margin = margins(batch, rows)
    bits = np.minimum(-np.log2(np.maximum(margin, 2.0**-MOST_DOUBT_BITS)), MOST_DOUBT_BITS)
    return np.where(np.isnan(margin), NO_DOUBT, np.rint(bits * DOUBT_STEPS)).astype(np.uint8)
