"""Flags of segmentations: of their recipe, as dsrg.scoring.recipe says, and of the stage of a run that makes them."""

import argparse

from dsrg.io import voc
from dsrg.scoring.multiscale import CRF_SCALE, MAX_SIDE
from dsrg.scoring.recipe import SIZES
from dsrg.scoring.run_model import STAGES
from training.shared_flags import add_mean


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
    scale.add_argument("--sizes", type=int, nargs="+", metavar="N",
                       help=f"sides of square inputs ({' '.join(map(str, SIZES))})")
    scale.add_argument("--scales", type=float, nargs="+", metavar="F",
                       help="instead, factors of the photo's own size, e.g. 0.75 1 1.25")
    parser.add_argument("--flip", action=argparse.BooleanOptionalAction, help="average with the mirrored photo (no)")
    parser.add_argument("--crf", action=argparse.BooleanOptionalAction, help="refine with the dense CRF (yes)")
    parser.add_argument("--crf-scale", type=float, metavar="S",
                        help="divide the CRF's spatial widths, 80 and 3 pixels, by S: about 500 / the photo's longer "
                             f"side ({CRF_SCALE})")
    parser.add_argument("--max-side", type=int, metavar="N",
                        help=f"score and refine photos with a longer side shrunk to N pixels; 0: never ({MAX_SIDE})")
    add_mean(parser, None, f"mean pixel to subtract ({' '.join(map(str, voc.MEAN_BGR))})")
    parser.add_argument("--output-blob", metavar="NAME", help="blob of the scores (the net's only output)")


def recipe_changes(args, parser=None):
    """Arguments of Recipe.changed; with the parser, numbers that make no sense end the command.

    Parameters
    ----------
    args : argparse.Namespace
    parser : argparse.ArgumentParser, optional

    Returns
    -------
    dict
    """
    changes = {name: getattr(args, name) for name in ("sizes", "scales", "flip", "crf", "crf_scale", "max_side", "mean",
                                                      "output_blob")}
    numbers = [*(args.sizes or []), *(args.scales or []), 1 if args.crf_scale is None else args.crf_scale]
    if parser and (min(numbers) <= 0 or (args.max_side or 0) < 0):
        parser.error("--sizes, --scales and --crf-scale must be positive, --max-side 0 or more")
    return changes
