"""Flags that several commands have in common, beside those of device_flags.py; each function adds some to a parser."""

import argparse
from pathlib import Path

from dsrg.io import voc
from dsrg.io.workers import available_cpus

MOST = 2**31 - 1        # of whole numbers: Caffe's are of 32 bits


def positive(text):
    """Type of a flag: a whole number, 1 or more.

    Parameters
    ----------
    text : str

    Returns
    -------
    int

    Raises
    ------
    argparse.ArgumentTypeError
    """
    return _whole_number(text, 1)


def not_negative(text):
    """Type of a flag: a whole number, 0 or more.

    Parameters
    ----------
    text : str

    Returns
    -------
    int

    Raises
    ------
    argparse.ArgumentTypeError
    """
    return _whole_number(text, 0)


def whole(text):
    """Type of a flag: a whole number of 32 bits.

    Parameters
    ----------
    text : str

    Returns
    -------
    int

    Raises
    ------
    argparse.ArgumentTypeError
    """
    return _whole_number(text, -MOST)


def positive_number(text):
    """Type of a flag: a number above 0, a millionth to a million.

    Parameters
    ----------
    text : str

    Returns
    -------
    float

    Raises
    ------
    argparse.ArgumentTypeError
    """
    return _number(text, lambda value: 1e-6 <= value <= 1e6, "a number from 0.000001 to 1000000")


def number(text):
    """Type of a flag: a number, a million at most on either side of 0.

    Parameters
    ----------
    text : str

    Returns
    -------
    float

    Raises
    ------
    argparse.ArgumentTypeError
    """
    return _number(text, lambda value: -1e6 <= value <= 1e6, "a number from -1000000 to 1000000")


def fraction(text):
    """Type of a flag: a number from 0 to below 1.

    Parameters
    ----------
    text : str

    Returns
    -------
    float

    Raises
    ------
    argparse.ArgumentTypeError
    """
    return _number(text, lambda value: 0 <= value < 1, "a fraction from 0 to below 1")


def temperature(text):
    """Type of a flag: what scores are divided by, 0.001 to 1000.

    Parameters
    ----------
    text : str

    Returns
    -------
    float

    Raises
    ------
    argparse.ArgumentTypeError
    """
    return _number(text, lambda value: 1e-3 <= value <= 1e3, "a number from 0.001 to 1000")


def _number(text, fits, expected):
    try:
        value = float(text)
    except ValueError:
        value = float("nan")        # fits nowhere
    if not fits(value):
        raise argparse.ArgumentTypeError(f"expected {expected}, got '{text}'")
    return value


def _whole_number(text, least):
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= MOST:
        bounds = f"from {least} to {MOST}" if value > MOST or least < 0 else f"{least} or more"
        raise argparse.ArgumentTypeError(f"expected a whole number, {bounds}, got '{text[:40]}'")
    return value


def add_workers(parser, what="processes (default: the number of cores)"):
    """Add --workers N.

    Parameters
    ----------
    parser : argparse.ArgumentParser or a group of one
    what : str
        Its help.
    """
    parser.add_argument("--workers", type=positive, default=available_cpus(), metavar="N", help=what)


def add_classifier_net(parser):
    """Add --net and --weights of a trained classifier.

    Parameters
    ----------
    parser : argparse.ArgumentParser or a group of one
    """
    parser.add_argument("--net", type=Path, required=True, help="deploy prototxt of the classifier")
    parser.add_argument("--weights", type=Path, required=True, help="its caffemodel")


def add_classifier(parser):
    """Add --net and --weights of a trained classifier, and --list, --images and --labels of the photos it is run on.

    Parameters
    ----------
    parser : argparse.ArgumentParser or a group of one
    """
    add_classifier_net(parser)
    parser.add_argument("--list", type=Path, required=True, help='photos, "<name>.jpg <number>" a line')
    parser.add_argument("--images", type=Path, required=True, help="folder of the photos")
    parser.add_argument("--labels", type=Path, required=True, help='image labels, "<id> <class> ..." a line')


MEAN_TEXT = " ".join(f"{value:g}" for value in voc.MEAN_BGR)    # as it is typed


def add_mean(parser, default=voc.MEAN_BGR, help_text=f"mean pixel to subtract (default: {MEAN_TEXT})"):
    """Add --mean B G R.

    Parameters
    ----------
    parser : argparse.ArgumentParser or a group of one
    default : three floats or None
    help_text : str
    """
    parser.add_argument("--mean", type=number, nargs=3, default=default, metavar=("B", "G", "R"), help=help_text)


def add_map_size(parser, help_text):
    """Add --size H W, the size of a map of cues.

    Parameters
    ----------
    parser : argparse.ArgumentParser or a group of one
    help_text : str
    """
    parser.add_argument("--size", type=positive, nargs=2, metavar=("H", "W"), help=help_text)


def add_allow_random(parser):
    """Add --allow-random LAYER.

    Parameters
    ----------
    parser : argparse.ArgumentParser or a group of one
    """
    parser.add_argument("--allow-random", metavar="LAYER", action="append", default=[],
                        help="a layer of --net with parameters that may lack weights; without it such a net is refused")
