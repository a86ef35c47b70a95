# PYTHON_ARGCOMPLETE_OK
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
from dataclasses import asdict
from pathlib import Path

from dsrg import layer_modules
from dsrg.io.command_line import Named, command_parser, print_json
from dsrg.io.errors import UserError, note, one_line, printable, run_main
from dsrg.io.overwriting import refuse_overwriting
from training.findcaffe import find_caffe
from training.shared_flags import whole


def parse_args(argv):
    parser = command_parser("tools.inspect_net", __doc__, json=True)
    parser.add_argument("net", type=Path, metavar="PROTOTXT")
    parser.add_argument("--weights", type=Path, metavar="FILE",
                        help=".caffemodel or .h5 whose shapes are checked against the net's")
    parser.add_argument("--input", type=_shape, action=Named, default={}, metavar="NAME=N,C,H,W",
                        help="shape of a blob that an Input, data or Python layer makes, instead of the prototxt's; "
                        "may be given several times. A data layer's other blobs follow in the batch")
    parser.add_argument("--phase", choices=("train", "test"),
                        help="phase to show (default: train where the net has a loss, else test)")
    parser.add_argument("--level", type=whole, default=0, help="level for include and exclude rules (default: 0)")
    parser.add_argument("--stage", action="append", default=[], help="stage for include and exclude rules")
    parser.add_argument("--strict", action="store_true", help="exit with status 1 for warnings, too")
    parser.add_argument("--draw", type=Path, metavar="FILE",
                        help="draw the net into FILE.svg, FILE.png or FILE.pdf; FILE.dot is text for graphviz")
    layer_modules.add_flag(parser)
    parser.add_argument("--diff", type=Path, metavar="OTHER", help="show what OTHER has otherwise, by layer, and end")
    args = parser.parse_args(argv)
    if args.diff:
        parser.refuse_unused(args, "with --diff, which compares the texts alone", "--weights", "--input", "--phase",
                             "--level", "--stage", "--strict", "--draw")
    return args


def _shape(text):
    match = re.fullmatch(r"([^=]+)=(\d{1,10}(?:,\d{1,10})*)", text.replace(" ", ""))
    if not match:
        raise argparse.ArgumentTypeError(f"expected NAME=N,C,H,W with whole numbers, got '{text}'")
    return match[1], tuple(int(n) for n in match[2].split(","))


def main(argv=None):
    args = parse_args(argv)
    refuse_overwriting(args, {"--draw": [args.draw]})
    _find_engine()
    from dsrg.netinspect.checks import State, check_inputs, default_phase
    from dsrg.netinspect.cost import as_record, rows, table
    from dsrg.netinspect.prototxt_source import Source

    source = Source(args.net)
    if args.diff:
        return _diff(source, Source(args.diff), args.json)
    findings, state, record = list(source.findings), None, {}
    if source.net is not None:
        states = {phase: State(source, phase, args.level, args.stage, args.input) for phase in ("train", "test")}
        findings += [finding for each in states.values() for finding in each.findings]
        state = states[args.phase or default_phase(source.net)]
    if state is not None and state.shapes is not None:
        check_inputs(states.values(), args.input)
        if args.weights:
            from dsrg.netinspect.weight_shapes import compare
            findings += compare(state, args.weights)
        if args.json:
            record = as_record(rows(state))
        else:
            print("\n".join(map(printable, table(rows(state)))))
        if args.draw:
            from dsrg.netinspect.net_drawing import draw
            draw(state, args.draw)
            note(f"{args.draw}: {len(state.shapes.nodes)} layers drawn")
    findings = sorted(set(findings))
    if args.json:
        print_json({"net": str(args.net), **record, "findings": [asdict(finding) for finding in findings]})
    sys.stdout.flush()
    for finding in findings:
        print(f"{args.net}:{finding.line}: {finding.severity}: {one_line(finding.text)}", file=sys.stderr)
    fatal = {"error", "warning"} if args.strict else {"error"}
    return 1 if any(finding.severity in fatal for finding in findings) else 0


def _find_engine():
    """The embedded engine, whatever ENGINE says: real pycaffe cannot tell shapes without reading data."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    find_caffe("embedded")


def _diff(old, new, as_json):
    from dsrg.netinspect.net_differences import differences
    for source in (old, new):
        if source.findings:
            first = source.findings[0]
            raise UserError(f"{source.path}:{first.line}: {first.text}")
    lines = differences(old.net, new.net)
    if as_json:
        print_json({"net": str(old.path), "other": str(new.path), "differences": lines})
        return 0
    print("\n".join(map(printable, lines)) if lines else f"{old.path} and {new.path} hold the same layers")
    return 0


if __name__ == "__main__":
    run_main(main)
