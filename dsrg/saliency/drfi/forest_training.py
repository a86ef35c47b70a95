"""Train DRFI on photos and masks: features and target of each region, a random forest."""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
import sklearn
from sklearn.ensemble import RandomForestRegressor

from dsrg.io.counts import counted
from dsrg.io.errors import UserError, note
from dsrg.io.image_ids import file_of
from dsrg.io.photos import load_image_bgr
from dsrg.io.progress_bar import progress
from dsrg.io.versions import git_commit
from dsrg.io.workers import in_order
from dsrg.saliency.drfi.filters import texture_filters
from dsrg.saliency.drfi.forest import as_single, from_scikit_learn
from dsrg.saliency.drfi.model import Model
from dsrg.saliency.drfi.object_mask import read_mask
from dsrg.saliency.drfi.photo_map import photo_features, shrunk
from dsrg.saliency.drfi.segmentation import LEVELS


@dataclass(frozen=True)
class TrainOptions:
    """Settings of a training; the defaults are the authors' where they give one.

    levels : segmentations. variant : of the features. max_side : longer photos are shrunk to it first.
    purity : a region is learned from when this share of it lies on one side of the mask (theirs: 0.75).
    balance : at most so many regions of the commoner kind for one of the rarer, chosen at random (theirs: 1.2, the
        first ones); 0 keeps all.
    trees, max_features : theirs, 200 and 15. min_leaf : least regions in a leaf; theirs splits nodes above 5.
    seed : of the choice of regions and of the forest.
    """

    levels: tuple = LEVELS
    variant: str = "clean"
    max_side: int = 500
    purity: float = 0.75
    balance: float = 1.2
    trees: int = 200
    max_features: int = 15
    min_leaf: int = 5
    seed: int = 0


class _Recipe(NamedTuple):
    """The part of a model that features depend on."""

    levels: tuple
    variant: str
    filters: np.ndarray


def train(photos, masks, options=TrainOptions(), workers=1):
    """Train a model.

    Parameters
    ----------
    photos : dict of id to Path
    masks : Path
        Folder of `<id>.png`.
    options : TrainOptions
    workers : int

    Returns
    -------
    Model
    """
    commit = git_commit()  # of the code that runs: the checkout may move on meanwhile
    features, targets = gather(photos, masks, options, workers)
    chosen = balanced(targets, options.balance, np.random.default_rng(options.seed))
    if not 0 < targets[chosen].sum() < len(chosen):
        raise UserError(f"the masks in {masks} leave no region of the object or none of the ground to learn from "
                        f"({len(targets)} regions of {counted(len(photos), 'photo')}); check that 255 marks the object")
    note(f"forest: {len(chosen)} of {len(targets)} regions from {counted(len(photos), 'photo')}")
    regressor = RandomForestRegressor(options.trees, max_features=options.max_features,
                                      min_samples_leaf=options.min_leaf, n_jobs=workers, random_state=options.seed)
    regressor.fit(features[chosen], targets[chosen])
    known = {"photos": len(photos), "regions": int(len(targets)), "learned_from": int(len(chosen)),
             "options": {name: value for name, value in vars(options).items() if name != "levels"},
             "scikit_learn": sklearn.__version__, "commit": commit}
    return Model(from_scikit_learn(regressor), options.levels, options.variant, texture_filters(), options.max_side,
                 known)


def gather(photos, masks, options, workers):
    """Features (n, 93) float32 and targets (n,) float32, 1 on the object, of the regions to learn from.

    Parameters
    ----------
    photos : dict of str to Path
    masks : path
        Folder of `<id>.png`.
    options : TrainOptions
    workers : int

    Returns
    -------
    float32 array (n, 93)
    float32 array (n,), 0 or 1

    Raises
    ------
    UserError
        A photo or a mask that cannot be read.
    """
    jobs = [(path, file_of(masks, image_id)) for image_id, path in photos.items()]
    results = in_order(partial(photo_samples, options=options), jobs, workers, cv2.setNumThreads, (1,))
    samples = list(progress(results, "features", len(jobs)))
    return tuple(np.concatenate(parts) for parts in zip(*samples, strict=True))


def photo_samples(job, options):
    """Features and targets of one photo's regions, all levels, the impure left out.

    Parameters
    ----------
    job : (path, path)
        A photo and its mask.
    options : TrainOptions

    Returns
    -------
    float32 array (n, 93)
    float32 array (n,), 0 or 1
    """
    photo, mask_path = job
    image_bgr = load_image_bgr(photo)
    mask = read_mask(mask_path, image_bgr.shape[:2])
    image_bgr = shrunk(image_bgr, options.max_side)
    mask = shrunk(mask.astype(np.uint8), options.max_side, cv2.INTER_NEAREST)
    levels, features = photo_features(image_bgr, _Recipe(options.levels, options.variant, texture_filters()))
    shares = np.concatenate([np.bincount(regions.ravel(), mask.ravel()) / np.bincount(regions.ravel())
                             for regions in levels])
    pure = np.maximum(shares, 1 - shares) >= options.purity
    return as_single(np.concatenate(features)[pure]), np.rint(shares[pure]).astype(np.float32)


def balanced(targets, ratio, rng):
    """Indices, in order, with at most `ratio` times as many of the commoner target as of the rarer one.

    Parameters
    ----------
    targets : array (n,), 0 or 1
    ratio : float
        0 keeps all.
    rng : numpy.random.Generator

    Returns
    -------
    int array
    """
    groups = [np.flatnonzero(targets == value) for value in (0, 1)]
    rare, common = sorted(groups, key=len)
    most = int(ratio * len(rare))
    if ratio and len(common) > most:
        common = rng.choice(common, most, replace=False)
    return np.sort(np.concatenate([rare, common]))
