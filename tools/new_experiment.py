"""Make an experiment for your own data: a folder below prototxts/ with nets for its classes, from one that is there.

    python -m tools.new_experiment flowers --from demo --data my-data                 learns from nothing
    python -m tools.new_experiment flowers --from msrc15-squeezenet --data my-data    needs SqueezeNet's weights
    python -m tools.new_experiment flowers --from voc12-vgg16 --classes 4 --size 241 --batch 4

Copies make_nets.py and settings.yaml with the numbers changed, and writes the prototxts by that script: to change more,
edit either, and run it by its name: DATA_ROOT=my-data bash run.sh flowers.
"""

import argparse
import ast
import importlib.util
import re
import shutil
from pathlib import Path

import numpy as np

from dsrg.io.atomic_files import write_text
from dsrg.io.class_names import read_classes
from dsrg.io.errors import UserError, run_main
from dsrg.io.photos import is_photo
from dsrg.io.picture_files import open_picture
from dsrg.io.regular_files import read_file
from training.findcaffe import find_caffe

EXPERIMENTS = Path(__file__).resolve().parents[1] / "prototxts"
CRF_PHOTO_SIDE = 500  # the longer side of the photos that the CRF's widths are for (VOC)
PHOTOS_MEASURED = 50


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m tools.new_experiment", description=__doc__.split("\n")[0])
    parser.add_argument("name", help="of the new folder: letters, digits, - and _")
    parser.add_argument("--from", dest="template", required=True, metavar="EXPERIMENT", help="the experiment to copy")
    parser.add_argument("--data", type=Path, metavar="DATA_ROOT", help="count its classes, and measure its photos for "
                        "the widths of the CRF")
    parser.add_argument("--classes", type=int, metavar="N", help="number of classes with background, instead")
    parser.add_argument("--size", type=int, metavar="N", help="side of the square input (default: the template's)")
    parser.add_argument("--batch", type=int, metavar="N", help="images a step (default: the template's)")
    args = parser.parse_args(argv)
    if (args.data is None) == (args.classes is None):
        parser.error("give either --data or --classes")
    if args.classes is not None and not 2 <= args.classes <= 255:
        parser.error("--classes counts background: 2 to 255")
    if any(number is not None and number < 1 for number in (args.size, args.batch)):
        parser.error("--size and --batch must be positive")
    return args


def main(argv=None):
    args = parse_args(argv)
    source, folder = EXPERIMENTS / args.template, EXPERIMENTS / args.name
    if not re.fullmatch(r"[A-Za-z0-9][\w-]*", args.name):
        raise UserError(f"'{args.name}' is no name for an experiment; use letters, digits, - and _")
    if folder.exists():
        raise UserError(f"{folder} exists; choose another name, or remove it first")
    if not (source / "make_nets.py").is_file():
        there = ", ".join(sorted(path.parent.name for path in EXPERIMENTS.glob("*/make_nets.py")))
        raise UserError(f"no experiment '{args.template}' with a make_nets.py; choose one of {there}")
    classes = args.classes or len(read_classes(args.data / "classes.txt"))
    script = (source / "make_nets.py").read_text(encoding="utf-8")
    numbers = constants(script)
    size, stride = args.size or numbers["SIZE"], numbers["STRIDE"]
    check_size(size, stride)
    wanted = {"CLASSES": classes, "SIZE": size}
    if args.batch:
        wanted["BATCH"] = args.batch
    script = changed(script, wanted).replace(f"prototxts/{args.template}/", f"prototxts/{args.name}/")
    settings = new_settings((source / "settings.yaml").read_text(encoding="utf-8"), args,
                            rescaled(size, numbers["SIZE"], stride))
    # made under a hidden name: a failure leaves no half experiment for run.sh to find
    partial = EXPERIMENTS / f".{args.name}" / args.name
    try:
        write_text(partial / "make_nets.py", script)
        write_text(partial / "settings.yaml", settings)
        write_text(partial / "README.md", readme(args, classes, size, stride))
        write_nets(partial)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial.parent, ignore_errors=True)
    cells = (size - 1) // stride + 1
    print(f"{folder}: {classes} classes, inputs {size}x{size}, maps {cells}x{cells}")
    weights = " WEIGHTS=.." if "\n  WEIGHTS:" in settings else ""
    print(f"next: DATA_ROOT={args.data or '..'}{weights} bash run.sh {args.name}")


def constants(script):
    """Whole numbers that a make_nets.py gives names to at its top; CLASSES, SIZE and STRIDE must be among them."""
    found = {}
    for node in ast.parse(script).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and type(node.value.value) is int:
            found |= {target.id: node.value.value for target in node.targets if isinstance(target, ast.Name)}
    missing = {"CLASSES", "SIZE", "STRIDE"} - found.keys()
    if missing:
        raise UserError(f"the template's make_nets.py sets no {sorted(missing)[0]}; it cannot be changed by its name")
    return found


def changed(script, numbers):
    """The script with other numbers in the assignments of these names."""
    for name, value in numbers.items():
        script, count = re.subn(rf"^{name} = \d+( *#.*)?$", f"{name} = {value}", script, flags=re.MULTILINE)
        if not count:
            raise UserError(f"the template's make_nets.py has no line '{name} = ..'; edit it by hand after the copy")
    return script


def check_size(size, stride):
    """Corner cells lie on corner pixels only at stride * n + 1."""
    if (size - 1) % stride or size < 4 * stride + 1:
        near = max(4, round((size - 1) / stride)) * stride + 1
        raise UserError(f"--size {size}: expected {stride} n + 1, at least {4 * stride + 1}, so that cells, labels and "
                        f"pixels line up; the nearest is {near}")


def rescaled(size, old, stride):
    """Function from an input size of the template to the one of the same ratio that lines up."""
    return lambda other: max(1, round((other - 1) / (old - 1) * (size - 1) / stride)) * stride + 1


def new_settings(text, args, resize):
    """settings.yaml for the new experiment: its own data, input sizes in proportion, CRF widths by the photos."""
    lines = [line for line in text.splitlines() if not line.startswith("make_data:")]
    lines = [line for line in lines if not line.startswith(f"# {args.template}:")]
    lines.insert(0, f"# {args.name}: made from {args.template} by tools.new_experiment. The nets are "
                 "the prototxts beside this file.")
    text = "\n".join(lines) + "\n"
    text = re.sub(r"--sizes((?: \d+)+)",
                  lambda match: "--sizes " + " ".join(str(resize(int(n))) for n in match[1].split()), text)
    if args.data:
        text = re.sub(r"--crf-scale [\d.]+", f"--crf-scale {crf_scale(args.data / 'JPEGImages'):g}", text)
    return text


def crf_scale(folder):
    """What to divide the CRF's widths by for the photos of a folder (a sample, by their middle longer side)."""
    photos = sorted(path for path in folder.rglob("*") if is_photo(path.name)) if folder.is_dir() else []
    if not photos:
        raise UserError(f"no photo in {folder}; --data is a data root in VOC layout (python -m tools.make_dataset)")
    sides = []
    for k in np.unique(np.linspace(0, len(photos) - 1, PHOTOS_MEASURED).astype(int)):
        with open_picture(read_file(photos[k], "photo"), photos[k], "photo") as image:
            sides.append(max(image.size))
    return round(CRF_PHOTO_SIDE / float(np.median(sides)), 2)


def readme(args, classes, size, stride):
    cells = (size - 1) // stride + 1
    return (f"# {args.name}\n\n{classes} classes with background, inputs {size}x{size}, maps {cells}x{cells}. "
            f"Made from [{args.template}](../{args.template}/README.md)\nby `python -m tools.new_experiment`; "
            "`make_nets.py` writes the prototxts.\n\nTime and result: not run.\n")


def write_nets(folder):
    """Run the folder's make_nets.py on itself."""
    find_caffe("embedded")
    from prototxts import vgg16

    spec = importlib.util.spec_from_file_location("make_nets_of_new_experiment", folder / "make_nets.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vgg16.write(folder, module.files(), "make_nets.py")


if __name__ == "__main__":
    run_main(main)
