"""Write caffe_pb2.py from caffe.proto: ``python -m caffe.proto.generate``.

Needs grpcio-tools 1.62 (protoc 25.1, see requirements-dev.txt): what that protoc writes carries no
run-time version check, so it loads with protobuf 4.25 and everything newer.
"""

import argparse
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def generate(out):
    """Compile caffe.proto into ``out``/caffe_pb2.py.

    Parameters
    ----------
    out : str or os.PathLike
        A folder.

    Raises
    ------
    ImportError
        grpcio-tools is not installed.
    RuntimeError
        protoc refuses the file; what it has to say is on stderr.
    """
    from grpc_tools import protoc

    status = protoc.main(["protoc", f"--proto_path={FOLDER}", f"--python_out={out}", "caffe.proto"])
    if status != 0:
        raise RuntimeError(f"protoc failed on {FOLDER / 'caffe.proto'} with status {status}")


def main(argv=None):
    parser = argparse.ArgumentParser("python -m caffe.proto.generate", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, metavar="FOLDER", default=FOLDER,
                        help="where caffe_pb2.py is written (default: beside caffe.proto)")
    args = parser.parse_args(argv)
    if not args.out.is_dir():
        parser.error(f"--out {args.out}: no such folder; make it first")
    try:
        generate(args.out)
    except ImportError as error:
        parser.exit(1, f"error: grpcio-tools is missing ({error}); pip install -r requirements-dev.txt\n")
    except RuntimeError as error:
        parser.exit(1, f"error: {error}\n")


if __name__ == "__main__":
    main()
