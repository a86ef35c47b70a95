"""A regression forest as flat arrays: one predictor for scikit-learn's trees and for the authors' file."""

from dataclasses import dataclass

import numpy as np

_WALKERS = 1 << 15   # rows times trees that walk at a time


@dataclass(frozen=True)
class Forest:
    """Trees laid one after another; numbers of nodes count from the first node of the first tree.

    roots : (T,) int64. feature : (M,) int16, column to look at. threshold : (M,) float64.
    children : (M, 2) int32, where to go for ``x <= threshold`` and for ``x > threshold``; a leaf has itself twice.
    value : (M,) float64, the prediction of a leaf.
    columns : number of features a row must have.
    single : rows are rounded to float32 first, as scikit-learn does with what it is given.
    """

    roots: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    children: np.ndarray
    value: np.ndarray
    columns: int
    single: bool

    def __post_init__(self):
        nodes = len(self.feature)
        shapes = [("feature", (nodes,)), ("threshold", (nodes,)), ("children", (nodes, 2)), ("value", (nodes,))]
        for name, shape in shapes:
            if getattr(self, name).shape != shape:
                raise ValueError(f"forest: {name} is {getattr(self, name).shape}, expected {shape}")
        if any(getattr(self, name).dtype.kind != kind for name, kind in
               (("roots", "i"), ("feature", "i"), ("threshold", "f"), ("children", "i"), ("value", "f"))):
            raise ValueError("forest: expected whole numbers in roots, feature and children, floats in the rest")
        if self.roots.ndim != 1 or not len(self.roots) or not nodes:
            raise ValueError("forest: it has no trees")
        if self.roots.min() < 0 or self.roots.max() >= nodes:
            raise ValueError("forest: the root of a tree lies outside of the nodes")
        if self.feature.min() < 0 or self.feature.max() >= self.columns:
            raise ValueError(f"forest: splits on feature {self.feature.max()} of {self.columns}")
        # Children after their parents: no path goes in a circle, so every walk ends.
        own = np.arange(nodes)[:, None]
        leaf = (self.children == own).all(1)
        if not (leaf[:, None] | (self.children > own)).all() or self.children.max() >= nodes:
            raise ValueError("forest: a node's children do not stand after it")
        if not np.isfinite(self.value[leaf]).all():
            raise ValueError("forest: the value of a leaf is not finite")

    def predict(self, rows):
        """Mean of the trees' values.

        Parameters
        ----------
        rows : (R, columns) array

        Returns
        -------
        (R,) float64 array
        """
        rows = np.asarray(rows, np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.columns:
            raise ValueError(f"rows is {rows.shape}, expected (R, {self.columns})")
        if self.single:
            rows = as_single(rows).astype(np.float64)
        total = np.zeros(len(rows))
        together = max(_WALKERS // max(len(rows), 1), 1)
        for start in range(0, len(self.roots), together):
            total += self.value[self._leaves(rows, self.roots[start:start + together])].sum(0)
        return total / len(self.roots)

    def _leaves(self, rows, roots):
        """Leaf that each row reaches from each root, (len(roots), R)."""
        places = np.repeat(roots, len(rows))
        cells, children = rows.ravel(), self.children.ravel()
        starts = np.tile(np.arange(len(rows)) * self.columns, len(roots))
        walking, at = np.arange(len(places)), places.copy()
        while walking.size:
            right = cells[starts[walking] + self.feature[at]] > self.threshold[at]
            onward = children[2 * at + right]
            places[walking] = onward
            on = onward != at
            walking, at = walking[on], onward[on].astype(np.int64)
        return places.reshape(len(roots), len(rows))


def as_single(rows):
    """Rows as float32, what is beyond its range at its ends (the authors' aspect of a flat region is).

    Parameters
    ----------
    rows : float array (n, features)

    Returns
    -------
    float32 array (n, features)
    """
    most = np.finfo(np.float32).max
    return np.clip(rows, -most, most).astype(np.float32)


def from_scikit_learn(regressor):
    """The trees of a fitted RandomForestRegressor of one output.

    Parameters
    ----------
    regressor : RandomForestRegressor

    Returns
    -------
    Forest
    """
    trees = [estimator.tree_ for estimator in regressor.estimators_]
    sizes = [tree.node_count for tree in trees]
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    children, features = [], []
    for root, tree in zip(roots, trees, strict=True):
        both = np.stack([tree.children_left, tree.children_right], 1)
        leaf = both[:, 0] < 0
        children.append(np.where(leaf[:, None], np.arange(len(both))[:, None], both) + root)
        features.append(np.where(leaf, 0, tree.feature))
    return Forest(roots, np.concatenate(features).astype(np.int16),
                  np.concatenate([tree.threshold for tree in trees]), np.concatenate(children).astype(np.int32),
                  np.concatenate([tree.value[:, 0, 0] for tree in trees]), regressor.n_features_in_, single=True)
