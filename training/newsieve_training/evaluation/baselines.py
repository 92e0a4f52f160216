"""What a student has to beat: the mean of the labels, and two linear models, one on words and one
on what the base model says of a text before any training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from newsieve.filters.tiering import round_scores

Floats = npt.NDArray[np.float64]

WORDS: Final = 50_000
RIDGE_ALPHA: Final = 1.0
# Of the frozen base's features, in units of their deviation; chosen on the training labels.
RIDGE_ALPHAS: Final = (10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0)

NAMES: Final = {
    "mean": "the labels' mean",
    "tf_idf": "TF-IDF and ridge",
    "frozen_base": "frozen base and ridge",
}


def mean(labels: Floats, count: int) -> Floats:
    """Return (count, D) scores: the mean of the training labels for every text."""
    return round_scores(np.tile(labels.mean(axis=0), (count, 1)))


def tf_idf(texts: Sequence[str], labels: Floats, unseen: Sequence[str]) -> Floats:
    """Return (N, D) scores by ridge regression on TF-IDF of words and pairs of words."""
    vectors = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2, max_features=WORDS)
    model = Ridge(alpha=RIDGE_ALPHA).fit(vectors.fit_transform(texts), labels)
    return round_scores(np.asarray(model.predict(vectors.transform(unseen)), dtype=np.float64))


def frozen_base(embedded: Floats, labels: Floats, unseen: Floats) -> Floats:
    """Return (N, D) scores by ridge regression on the base's (·, H) pooled hidden states."""
    model = make_pipeline(StandardScaler(), RidgeCV(alphas=RIDGE_ALPHAS))
    model.fit(embedded, labels)
    return round_scores(np.asarray(model.predict(unseen), dtype=np.float64))
