"""Write caffe_pb2.py from caffe.proto: ``python -m caffe.proto.generate``.

Needs grpcio-tools 1.62 (protoc 25.1, see requirements-dev.txt): what that protoc writes carries no
run-time version check, so it loads with protobuf 4.25 and everything newer.
"""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def generate(out):
    """Compile caffe.proto into ``out``/caffe_pb2.py; RuntimeError when protoc refuses it.

    Parameters
    ----------
    out : str or os.PathLike
        A folder.
    """
    from grpc_tools import protoc

    status = protoc.main(["protoc", f"--proto_path={FOLDER}", f"--python_out={out}", "caffe.proto"])
    if status != 0:
        raise RuntimeError(f"protoc failed on {FOLDER / 'caffe.proto'} with status {status}")


if __name__ == "__main__":
    generate(FOLDER)
