"""Prints the snapshot that each solver ends with: <snapshot_prefix>_iter_<max_iter>.caffemodel, one a line.

    python -m tools.final_model solver-s.prototxt solver-f.prototxt

A solver file that does not exist gives an empty line (an experiment may leave stages out).
"""

import argparse
from pathlib import Path

from google.protobuf import text_format

from dsrg.io.errors import UserError, run_main


def final_model(path, param, max_iter=None):
    """Path of the last snapshot of the solver in file `path`; `param` is an empty SolverParameter to read it into."""
    try:
        text_format.Parse(Path(path).read_text(encoding="utf-8"), param)
    except text_format.ParseError as error:
        raise UserError(f"{path}:{error}") from None
    suffix = ".h5" if param.snapshot_format == param.HDF5 else ""
    return f"{param.snapshot_prefix}_iter_{max_iter or param.max_iter}.caffemodel{suffix}"


def parse_args(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("solvers", nargs="+", help="solver prototxts")
    parser.add_argument("--max-iter", type=int, help="what training is told instead of the solver's max_iter")
    return parser.parse_args(argv)


def main(argv=None):
    from training.findcaffe import caffe

    args = parse_args(argv)
    for path in args.solvers:
        param = caffe.proto.caffe_pb2.SolverParameter()
        print(final_model(path, param, args.max_iter) if Path(path).is_file() else "")


if __name__ == "__main__":
    run_main(main)
