"""How well a classifier ranks photos by class: average precision, from image-level labels alone."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score


@dataclass(frozen=True)
class Ranking:
    """Average precision of one class.

    Attributes
    ----------
    name : str
    photos : int
        Photos that show the class.
    average_precision : float or None
        None where all photos or none show the class.
    chance : float
        What scores without meaning reach on average: the share of photos that show the class.
    """

    name: str
    photos: int
    average_precision: float | None
    chance: float


def rank_classes(scores, targets, class_names):
    """Average precision of each class.

    Parameters
    ----------
    scores : ndarray of float, shape (N, C)
        Larger means surer; the order alone counts.
    targets : ndarray of bool, shape (N, C)
    class_names : sequence of str, length C
        Without background.

    Returns
    -------
    list of Ranking
        In class order.
    """
    rankings = []
    for name, column, truth in zip(class_names, np.asarray(scores).T, np.asarray(targets, bool).T, strict=True):
        defined = truth.any() and not truth.all()
        value = float(average_precision_score(truth, column)) if defined else None
        rankings.append(Ranking(name, int(truth.sum()), value, float(truth.mean()) if truth.size else 0.0))
    return rankings


def mean_average_precision(rankings):
    """Means of average precision and of chance over the classes where both are defined; (None, None) without one.

    Parameters
    ----------
    rankings : list of Ranking
        As of rank_classes.

    Returns
    -------
    float or None
        Mean average precision, 0 to 1.
    float or None
        Mean chance, 0 to 1.
    """
    defined = [one for one in rankings if one.average_precision is not None]
    if not defined:
        return None, None
    return (float(np.mean([one.average_precision for one in defined])), float(np.mean([one.chance for one in defined])))
