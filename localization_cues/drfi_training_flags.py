"""Flags of `drfi train` that choose segmentations, regions and forest."""

import argparse

from dsrg.saliency.drfi.forest_training import TrainOptions
from dsrg.saliency.drfi.pixels import VARIANTS
from dsrg.saliency.drfi.segmentation import LEVELS, Level
from training.shared_flags import not_negative, positive


def add_training(parser):
    """Add the flags that `training_options` reads.

    Parameters
    ----------
    parser : argparse.ArgumentParser or a group of one
    """
    default = TrainOptions()
    parser.add_argument("--levels", type=_level, nargs="+", default=LEVELS, metavar="SIGMA,K,MIN",
                        help="segmentations (default: the authors' 15)")
    parser.add_argument("--variant", choices=VARIANTS, default=default.variant,
                        help="of the features; 'authors' copies their C++ program (default %(default)s)")
    parser.add_argument("--max-side", type=not_negative, default=default.max_side, metavar="N",
                        help="shrink longer photos to this side first, 0 never (default %(default)s)")
    parser.add_argument("--purity", type=_share, default=default.purity, metavar="P",
                        help="learn from regions with this share on one side of the mask (default %(default)s)")
    parser.add_argument("--balance", type=_ratio, default=default.balance, metavar="A",
                        help="at most so many regions of the commoner kind for one of the rarer, 0 keeps all "
                             "(default %(default)s)")
    parser.add_argument("--trees", type=positive, default=default.trees, help="(default %(default)s)")
    parser.add_argument("--max-features", type=positive, default=default.max_features, metavar="N",
                        help="features tried at a split (default %(default)s)")
    parser.add_argument("--min-leaf", type=positive, default=default.min_leaf, metavar="N",
                        help="least regions in a leaf (default %(default)s)")
    parser.add_argument("--seed", type=not_negative, default=default.seed, help="(default %(default)s)")


def training_options(args):
    """The TrainOptions that the command line asks for.

    Parameters
    ----------
    args : argparse.Namespace

    Returns
    -------
    TrainOptions
    """
    return TrainOptions(tuple(args.levels), args.variant, args.max_side, args.purity, args.balance, args.trees,
                        args.max_features, args.min_leaf, args.seed)


def _level(text):
    try:
        sigma, k, min_size = text.split(",")
        level = Level(float(sigma), float(k), int(min_size))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected SIGMA,K,MIN such as 0.8,100,150, got '{text}'") from None
    if not (0 <= level.sigma <= 1e6 and 0 < level.k <= 1e9 and 1 <= level.min_size < 2**31):
        raise argparse.ArgumentTypeError(f"expected sigma >= 0, k > 0 and min >= 1, got '{text}'")
    return level


def _share(text):
    return _within(text, 0.5, 1, "a share from 0.5 to 1")


def _ratio(text):
    return _within(text, 0, 1e6, "a ratio from 0 to 1000000")


def _within(text, low, high, expected):
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"expected {expected}, got '{text}'")
    return value
