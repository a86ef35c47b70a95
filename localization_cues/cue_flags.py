"""Flags of make_cues: how class maps are computed, and the rules by which they become cues."""

import argparse
from pathlib import Path

from localization_cues.background_rules import parse_rule
from localization_cues.cues_of_photos import Rules
from localization_cues.gradient import BLOB
from localization_cues.merge import OVERLAP_RULES
from training.shared_flags import add_allow_random, add_map_size, add_mean, fraction, positive


def add_class_maps(parser):
    """Add the flags of the class maps to a parser or group.

    Parameters
    ----------
    parser : argparse.ArgumentParser or a group of one
    """
    parser.add_argument("--maps-blob", metavar="NAME",
                        help="blob of the class maps (default: found from the net's output upwards, as are features "
                             "and classifier where the classes are scored behind the global pooling)")
    parser.add_argument("--features-blob", metavar="NAME", help="with --classifier: blob of the features f_k")
    parser.add_argument("--classifier", metavar="LAYER", help="layer whose weights w_ck make the maps from features")
    add_allow_random(parser)
    parser.add_argument("--sizes", type=positive, nargs="+", metavar="N",
                        help="sides of square inputs whose maps are averaged (default: the net's own input)")
    parser.add_argument("--flip", action="store_true", help="average with the mirrored photo")
    add_mean(parser)
    add_map_size(parser, "size of the cue map (default: of the net's maps at its own input)")


def add_rules(parser):
    """Add the flags that `rules_of` reads, and the net of sec-gradient, to a parser or group.

    Parameters
    ----------
    parser : argparse.ArgumentParser or a group of one
    """
    parser.add_argument("--threshold", type=fraction, default=0.2,
                        help="a cell is of a class above this fraction of its maximum (default 0.2: SEC's foreground "
                             "cues)")
    parser.add_argument("--background", type=_rule(None), nargs="+", metavar="RULE",
                        default=[parse_rule("saliency:0.06")],
                        help="cam-low:T, saliency:T, sec-gradient:F or none; of several every one must hold (default "
                             "saliency:0.06: DSRG's threshold of its saliency map; SEC: sec-gradient:0.1)")
    parser.add_argument("--background-net", type=Path, metavar="FILE",
                        help="deploy prototxt of the classifier of sec-gradient (default: the one of --net)")
    parser.add_argument("--background-weights", type=Path, metavar="FILE", help="its caffemodel")
    parser.add_argument("--background-blob", default=BLOB, metavar="NAME",
                        help="where sec-gradient reads the gradient; resized to the cue size (default %(default)s: "
                             "SEC's)")
    parser.add_argument("--gate", type=_rule(("saliency",)), metavar="saliency:T",
                        help="no class may claim a cell of saliency below T (default: no gate, as SEC and DSRG)")
    parser.add_argument("--prior", choices=("none", "saliency"), default="none",
                        help="saliency: multiply the class maps by it before they are cut (default: none, as SEC and "
                             "DSRG)")
    parser.add_argument("--remainder", type=fraction, metavar="F",
                        help="a class on most of whose photos another one is that is never without it (body and face) "
                             "gets what is salient and of no other class, above this fraction of the maximum (default: "
                             "its own map, as of any class)")
    parser.add_argument("--companion", type=fraction, metavar="F",
                        help="with --remainder: threshold of the other one on such a photo (default: --threshold)")
    parser.add_argument("--overlap", choices=OVERLAP_RULES, default=OVERLAP_RULES[0],
                        help="who gets a cell that several classes claim: the class of the smaller area (default: "
                             "SEC), the one whose relative map is higher there, or nobody")
    parser.add_argument("--leave-empty", action="store_true",
                        help="a class that nowhere passes threshold and gate gets no cue (default: its largest cell)")


def refuse_unused_rules(parser, args):
    """End with an error for a flag of the rules that none of the rules in force looks at.

    Parameters
    ----------
    parser : CommandParser
        With the flags of `add_rules`, and --saliency-maps.
    args : argparse.Namespace
    """
    needs = rules_of(args).needs
    if (args.background_net is None) != (args.background_weights is None):
        parser.error("--background-net and --background-weights go together")
    if len(args.background) > 1 and any(rule.name == "none" for rule in args.background):
        parser.error("--background none goes alone: where one rule calls no cell background the others change nothing")
    if "gradient" not in needs:
        parser.refuse_unused(args, "without --background sec-gradient:F", "--background-net", "--background-weights",
                             "--background-blob")
    if "saliency" not in needs:
        parser.refuse_unused(args, "where no --background, --gate, --prior or --remainder goes by saliency",
                             "--saliency-maps")
    if args.remainder is None:
        parser.refuse_unused(args, "without --remainder", "--companion")


def rules_of(args):
    """The Rules that the command line asks for.

    Parameters
    ----------
    args : argparse.Namespace

    Returns
    -------
    Rules
    """
    return Rules(args.threshold, args.background, args.gate, args.overlap, not args.leave_empty, args.prior,
                 args.remainder, args.companion)


def _rule(names):
    def parse(text):
        try:
            return parse_rule(text, names) if names else parse_rule(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
    return parse
