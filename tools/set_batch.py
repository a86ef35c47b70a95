"""Sets how many photos an iteration takes in every training net of a run's folder.

    python -m tools.set_batch 2 work/voc12-vgg16

For trying an experiment out on a small machine (BATCH=2 bash run.sh ...): rates and iterations stay those of the
original batch, so results are others.
"""

import argparse
from pathlib import Path

from google.protobuf import text_format

from dsrg.io.atomic_files import write_text
from dsrg.io.errors import UserError, run_main
from dsrg.io.param_str import parse_param_str


def set_batch(net, batch):
    """Set batch_size of every data layer of a NetParameter, be it a field or a key of param_str; how many there are."""
    found = 0
    for layer in net.layer:
        for field, value in layer.ListFields():
            if field.name.endswith("_param") and "batch_size" in value.DESCRIPTOR.fields_by_name:
                value.batch_size = batch
                found += 1
        if layer.type == "Python" and "batch_size" in (params := parse_param_str(layer.python_param.param_str)):
            layer.python_param.param_str = repr({**params, "batch_size": batch})
            found += 1
    return found


def parse_args(argv=None):
    parser = argparse.ArgumentParser(prog="python -m tools.set_batch", description=__doc__.split("\n\n")[0])
    parser.add_argument("batch", type=int, help="photos an iteration")
    parser.add_argument("folder", type=Path, help="folder of the run whose prototxts change")
    args = parser.parse_args(argv)
    if args.batch < 1:
        parser.error("batch must be 1 or more")
    return args


def main(argv=None):
    from training.findcaffe import caffe

    args = parse_args(argv)
    changed = {}
    for path in sorted(args.folder.glob("*.prototxt")):
        if path.name.startswith("solver"):
            continue
        net = caffe.proto.caffe_pb2.NetParameter()
        try:
            text_format.Parse(path.read_text(encoding="utf-8"), net)
        except text_format.ParseError as error:
            raise UserError(f"{path}:{error}") from None
        if set_batch(net, args.batch):
            changed[path] = net
    if not changed:
        raise UserError(f"{args.folder}: no prototxt with a batch_size there; give the folder of a run")
    for path, net in changed.items():
        write_text(path, f"# {path.name} with {args.batch} photos an iteration\n{text_format.MessageToString(net)}")
    print(f"== batch of {args.batch}: {', '.join(path.name for path in changed)}")


if __name__ == "__main__":
    run_main(main)
