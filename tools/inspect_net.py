"""Show and check a net without running it: layers, shapes, parameters, multiply-adds, memory.

    python -m tools.inspect_net prototxts/voc12-vgg16/train-s.prototxt
    python -m tools.inspect_net deploy.prototxt --weights models/s_iter_8000.caffemodel --input images=1,3,513,513
    python -m tools.inspect_net train-s.prototxt --draw train-s.svg
    python -m tools.inspect_net prototxts/voc12-vgg16/train-s.prototxt --diff prototxts/voc12-sec/train-s.prototxt

What is wrong is said as FILE:LINE: error: ..., with exit status 1; warnings (blobs computed for nothing, names used
twice) as well with --strict. Both phases are checked, one is shown. No photo, list, cue file or database is opened;
Python layers say their shapes by their own code, from their param_str; modules that are not this project's are not
imported unless --allow-module names them.
"""

import argparse
import os
import re
import sys
from pathlib import Path

from dsrg import layer_modules
from dsrg.io.errors import UserError, run_main
from training.findcaffe import find_caffe


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m tools.inspect_net", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("net", type=Path, metavar="PROTOTXT")
    parser.add_argument("--weights", type=Path, metavar="FILE",
                        help=".caffemodel or .h5 whose shapes are checked against the net's")
    parser.add_argument("--input", type=_shape, action="append", default=[], metavar="NAME=N,C,H,W",
                        help="shape of a blob that an Input, data or Python layer makes, instead of the prototxt's; "
                        "may be given several times. A data layer's other blobs follow in the batch")
    parser.add_argument("--phase", choices=("train", "test"),
                        help="phase to show (default: train where the net has a loss, else test)")
    parser.add_argument("--level", type=int, default=0, help="level for include and exclude rules (default: 0)")
    parser.add_argument("--stage", action="append", default=[], help="stage for include and exclude rules")
    parser.add_argument("--strict", action="store_true", help="exit with status 1 for warnings, too")
    parser.add_argument("--draw", type=Path, metavar="FILE",
                        help="draw the net into FILE.svg, FILE.png or FILE.pdf; FILE.dot is text for graphviz")
    layer_modules.add_flag(parser)
    parser.add_argument("--diff", type=Path, metavar="OTHER", help="show what OTHER has otherwise, by layer, and end")
    return parser.parse_args(argv)


def _shape(text):
    match = re.fullmatch(r"([^=]+)=(\d+(?:,\d+)*)", text.replace(" ", ""))
    if not match:
        raise argparse.ArgumentTypeError(f"expected NAME=N,C,H,W with whole numbers, got '{text}'")
    return match[1], tuple(int(n) for n in match[2].split(","))


def main(argv=None):
    args = parse_args(argv)
    _find_engine()
    from dsrg.netinspect.checks import State
    from dsrg.netinspect.cost import rows, table
    from dsrg.netinspect.prototxt_source import Source

    source = Source(args.net)
    if args.diff:
        return _diff(source, Source(args.diff))
    findings, state = list(source.findings), None
    if source.net is not None:
        states = {phase: State(source, phase, args.level, args.stage, dict(args.input)) for phase in ("train", "test")}
        findings += [finding for each in states.values() for finding in each.findings]
        state = states[args.phase or default_phase(source)]
    if state is not None and state.shapes is not None:
        check_inputs(states.values(), dict(args.input))
        if args.weights:
            from dsrg.netinspect.weight_shapes import compare
            findings += compare(state, args.weights)
        print("\n".join(table(rows(state))))
        if args.draw:
            from dsrg.netinspect.net_drawing import draw
            draw(state, args.draw)
    sys.stdout.flush()
    findings = sorted(set(findings))
    for finding in findings:
        print(f"{args.net}:{finding.line}: {finding.severity}: {' '.join(finding.text.split())}", file=sys.stderr)
    fatal = {"error", "warning"} if args.strict else {"error"}
    return 1 if any(finding.severity in fatal for finding in findings) else 0


def _find_engine():
    """The embedded engine, whatever ENGINE says: real pycaffe cannot tell shapes without reading data."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    find_caffe("embedded")


def default_phase(source):
    from dsrg.netinspect.checks import is_loss
    return "train" if any(is_loss(layer) for layer in source.net.layer) else "test"


def check_inputs(states, inputs):
    """Refuse an --input that no layer without bottoms, and no layer of unknown shape, makes."""
    states = [state for state in states if state.shapes is not None]
    sources = {name for state in states for layer, _ in state.layers if not layer.bottom for name in layer.top}
    for name in inputs:
        if not any(name in state.shapes.inputs_used for state in states):
            raise UserError(f"--input {name}: no Input or data layer makes such a blob; it can be given for "
                            f"{', '.join(sorted(sources)) or 'none'}")


def _diff(old, new):
    from dsrg.netinspect.net_differences import differences
    for source in (old, new):
        if source.findings:
            first = source.findings[0]
            raise UserError(f"{source.path}:{first.line}: {first.text}")
    lines = differences(old.net, new.net)
    print("\n".join(lines) if lines else f"{old.path} and {new.path} hold the same layers")
    return 0


if __name__ == "__main__":
    run_main(main)
