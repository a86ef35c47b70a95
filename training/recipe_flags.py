"""Flags of segmentations: of their recipe, as dsrg.scoring.recipe says, and of the stage of a run that makes them."""

import argparse

from dsrg.scoring.multiscale import CRF_SCALE, MAX_SIDE
from dsrg.scoring.recipe import SIZES
from dsrg.scoring.run_model import STAGES
from training.shared_flags import MEAN_TEXT, add_mean, not_negative, positive, positive_number


def add_stage(parser, what):
    """Add --stage, one of the stages of a run that segment.

    Parameters
    ----------
    parser : argparse.ArgumentParser or a group of one
    what : str
        What of the stage is meant, as the help begins.
    """
    parser.add_argument("--stage", choices=STAGES, help=f"{what} (default: f where it was segmented, else s)")


def add_recipe_flags(parser):
    """Add a flag for each field of a Recipe to an argparse parser or group; None where it is not given.

    Parameters
    ----------
    parser : argparse.ArgumentParser or a group of one
    """
    scale = parser.add_mutually_exclusive_group()
    scale.add_argument("--sizes", type=positive, nargs="+", metavar="N",
                       help="sides of square inputs (0.75, 1 and 1.25 of the net's own: "
                            f"{' '.join(map(str, SIZES))} of 321)")
    scale.add_argument("--scales", type=positive_number, nargs="+", metavar="F",
                       help="instead, factors of the photo's own size, e.g. 0.75 1 1.25")
    parser.add_argument("--flip", action=argparse.BooleanOptionalAction, help="average with the mirrored photo (no)")
    parser.add_argument("--crf", action=argparse.BooleanOptionalAction, help="refine with the dense CRF (yes)")
    parser.add_argument("--crf-scale", type=positive_number, metavar="S",
                        help="divide the CRF's spatial widths, 80 and 3 pixels, by S: about 500 / the photo's longer "
                             f"side ({CRF_SCALE})")
    parser.add_argument("--max-side", type=not_negative, metavar="N",
                        help=f"score and refine photos with a longer side shrunk to N pixels; 0: never ({MAX_SIDE})")
    add_mean(parser, None, f"mean pixel to subtract ({MEAN_TEXT})")
    parser.add_argument("--output-blob", metavar="NAME", help="blob of the scores (the net's only output)")


def recipe_changes(args):
    """Arguments of Recipe.changed.

    Parameters
    ----------
    args : argparse.Namespace

    Returns
    -------
    dict
    """
    return {name: getattr(args, name) for name in ("sizes", "scales", "flip", "crf", "crf_scale", "max_side", "mean",
                                                   "output_blob")}
