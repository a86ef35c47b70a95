"""Whether the Caffe at hand serves a run.

    python -m docker.check_caffe --nets work/demo --device cpu

Asks it, as ENGINE and CAFFE_ROOT find it, for the layer types of the nets, runs a Python layer, looks for the GPUs and
tries BatchNorm, each in a process of its own: what real Caffe does not like ends the process. Every missing thing is
one line, before anything is trained. With --nets, the nets of that folder (copies, as run.sh makes them) get Python
layers for DeepLab-v2's types where this Caffe lacks them; one line says so.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from docker.substitutes import SUBSTITUTES, layer_types, learns_statistics, substitute
from dsrg.caffe_device import built_with_cuda, device_numbers, missing_gpus, use_machine
from dsrg.find_caffe import is_embedded
from dsrg.io.atomic_files import write_text
from dsrg.io.errors import UserError, run_main
from dsrg.io.python_path import python_path
from training.batch_norm import normalises_batches
from training.findcaffe import ENGINE_FOLDER, folder_of_caffe

#: what the nets of prototxts/ are made of; the deploy nets need no Input
TYPES = ("Convolution", "Pooling", "ReLU", "Dropout", "Eltwise", "Concat", "BatchNorm", "Scale", "InnerProduct",
         "Power", "Flatten", "ImageData", "Python", "Interp", "SegAccuracy", "SoftmaxWithLoss",
         "SigmoidCrossEntropyLoss")

NET = """
input: "scores" input_shape { dim: 1 dim: 3 dim: 2 dim: 2 }
layer { name: "softmax" type: "Python" bottom: "scores" top: "softmax"
  python_param { module: "pylayers" layer: "SoftmaxLayer" } }
"""


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m docker.check_caffe", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", type=Path, metavar="FOLDER", help="folder of a run: its nets are checked and, where "
                        "types are missing that Python layers can stand in for, changed")
    parser.add_argument("--device", default="cpu", help="as of run.sh (default: %(default)s)")
    parser.add_argument("--batch-norm", action="store_true", help="fail also when BatchNorm does not learn statistics")
    parser.add_argument("--ask", choices=QUESTIONS, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    if args.ask:
        print(json.dumps(QUESTIONS[args.ask](args.device)))
        return 0
    folder = folder_of_caffe(os.environ.get("ENGINE", "auto"), os.environ.get("CAFFE_ROOT"))
    if args.nets and folder == ENGINE_FOLDER:
        return 0                # the engine has every type and says itself which GPU it lacks
    device_numbers(args.device)
    facts = ask("types", args.device)
    nets = {path: path.read_text(encoding="utf-8") for path in sorted(args.nets.glob("*.prototxt"))
            if not path.name.startswith("solver")} if args.nets else {}
    wanted = {name for text in nets.values() for name in layer_types(text)} if args.nets else set(TYPES)
    lacking = wanted - set(facts["types"])
    problems = [f"{facts['file']}: this Caffe lacks the layer type {name}; build one that has it, or set "
                "ENGINE=embedded" for name in sorted(lacking - set(SUBSTITUTES))]
    problems += [line for line in gpu_problems(facts, args.device) if line]
    if not problems:
        problems += python_layer_problems() + batch_norm_problems(nets, args)
    if problems:
        print("\n".join(f"error: {line}" for line in problems), file=sys.stderr)
        return 1
    put_in = sorted(lacking & set(SUBSTITUTES))
    for path, text in nets.items():
        changed, names = substitute(text, put_in)
        if names:
            write_text(path, changed)
    if put_in:
        print(f"note: {facts['file']} lacks {', '.join(put_in)}; Python layers of pylayers.deeplab stand in for them")
    print(f"{facts['file']}: {len(wanted)} layer types and a Python layer work")
    return 0


def gpu_problems(facts, device):
    """What stands between this Caffe and the device."""
    if device_numbers(device) and not facts["cuda"]:
        yield f"--device {device}: {facts['file']} was built without CUDA (CPU_ONLY); use cpu, or build it with CUDA"
    elif facts["checks_gpus"]:
        yield missing_gpus(device)


def python_layer_problems():
    values = ask("python-layer")["softmax"]
    return [] if np.allclose(values, 1 / 3) else [f"SoftmaxLayer of equal scores gave {values}, expected 1/3"]


def batch_norm_problems(nets, args):
    """BatchNorm matters where a net learns its statistics; without nets it is a note, or as --batch-norm says."""
    learning = [path.name for path, text in nets.items() if learns_statistics(text)]
    if nets and not learning or ask("batch-norm", args.device, default={"works": False})["works"]:
        return []
    line = ("BatchNorm does not normalise by the batch, as DeepLab-v2's does not: build this Caffe with BVLC's layer "
            "(docs/caffe.md)")
    if nets or args.batch_norm:
        return [f"{learning[0]}: {line}" if nets else line]
    print(f"note: {line}; nets that learn its statistics are refused")
    return []


# ---- questions, each answered by a process of its own ----------------------------------------------------------------
def types(device):
    from training.findcaffe import caffe

    embedded = is_embedded(caffe)
    return {"file": caffe.__file__, "types": list(caffe.layer_type_list()), "checks_gpus": not embedded,
            "cuda": embedded or built_with_cuda(caffe)}


def python_layer(device):
    from training.findcaffe import caffe

    caffe.set_mode_cpu()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.prototxt")
        path.write_text(NET)
        net = caffe.Net(str(path), caffe.TEST)
        net.blobs["scores"].data[...] = 0
        net.forward()
        return {"softmax": net.blobs["softmax"].data.ravel().tolist()}


def batch_norm(device):
    from training.findcaffe import caffe

    use_machine(caffe, device, "auto")
    return {"works": bool(normalises_batches(caffe))}


QUESTIONS = {"types": types, "python-layer": python_layer, "batch-norm": batch_norm}


def ask(question, device="cpu", default=None):
    """Answer of a process that loads this Caffe; UserError with its last words where it gives none, or `default`."""
    done = subprocess.run([sys.executable, "-m", "docker.check_caffe", "--ask", question, "--device", device],
                          env={**os.environ, "PYTHONPATH": python_path(os.environ)}, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    if done.returncode == 0 and lines and lines[-1].startswith("{"):
        return json.loads(lines[-1])
    if default is not None:
        return default
    said = [line for line in done.stderr.splitlines() if line.strip()] or ["(nothing said)"]
    told = next((line.removeprefix("error: ") for line in said if line.startswith("error: ")), None)
    fatal = next((line for line in said if re.match(r"F\d{4,8} ", line)), said[-1]).strip()     # glog's last word
    how = f"ended with {signal.Signals(-done.returncode).name}" if done.returncode < 0 else "failed"
    raise UserError(told or f"the Caffe of {os.environ.get('CAFFE_ROOT') or 'this Python'} {how} when asked for "
                    f"{question}: {fatal}")


if __name__ == "__main__":
    run_main(main)
