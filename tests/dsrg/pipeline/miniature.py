"""A run in miniature: the real table of stages over a made data set, with commands that only hash what they read.

A hashing command reads what the real one reads, by its own words and the formats of lists, not by the table: what it
makes changes with its inputs, so that a test sees which stages a change reaches.
"""

import hashlib
import re
import shutil
from dataclasses import replace
from pathlib import Path

from dsrg.pipeline.plan import plan
from dsrg.pipeline.processes import Ended
from dsrg.pipeline.run_parts import Choice, parts
from dsrg.pipeline.runner import execute
from dsrg.pipeline.settings import Settings, read_experiment

TRAIN, VAL = ("a", "b", "c"), ("d", "e")
SOLVER = 'train_net: "{net}"\nbase_lr: 0.1\nmax_iter: 8\nsnapshot: 4\nsnapshot_prefix: "models/{name}"\n'
PHOTOS = """layer {{ name: "Input" type: "ImageData" top: "images" top: "ids"
  image_data_param {{ source: "lists/input_list.txt" batch_size: 2 root_folder: "data/JPEGImages/" }} }}
{rest}"""
PYTHON = """layer {{ name: "{name}" type: "Python" top: "{name}"
  python_param {{ module: "{module}" layer: "{layer}" param_str: "{params}" }} }}
"""
MASKS = PYTHON.format(name="data", module="pylayers.layer", layer="ImageSegDataLayer",
                      params="{'source': 'lists/train_f.txt', 'root_folder': '.', 'batch_size': 2}")


def python_layer(layer, params="", module="pylayers", name=None):
    return PYTHON.format(name=name or layer, module=module, layer=layer, params=params)


PROTOTXTS = {
    "cam-train.prototxt": PHOTOS.format(rest=python_layer("ImageLabelLayer", "{'classes': 3}")),
    "cam-deploy.prototxt": 'name: "cam"\n',
    "train-s.prototxt": PHOTOS.format(
        rest=python_layer("AnnotationLayer", "{'cues': 'cues/localization_cues.pickle', 'classes': 3}")
        + python_layer("CRFLayer") + python_layer("DSRGLayer", "{'grow': True}", name="update-seed")
        + python_layer("BalancedSeedLossLayer") + python_layer("ConstrainLossLayer")),
    "train-f.prototxt": MASKS,
    "deploy.prototxt": 'name: "deploy"\n',
    **{f"solver-{name}.prototxt": SOLVER.format(name=name, net=net) for name, net in (
        ("cam", "cam-train.prototxt"), ("s", "train-s.prototxt"), ("f", "train-f.prototxt"))},
}
SETTINGS = """weights: {s: WEIGHTS, f: s, full: s}
calibrate: true
arguments: {cues: --threshold 0.3, label: --sizes 33, segment-s: --sizes 33, segment-f: --scales 1}
"""


class HashingCommands:
    """Takes the place of processes.Children.

    Attributes
    ----------
    ran : list of str
        Modules of the commands that ran, with what tells them apart.
    before : callable
        Called with the command before it works; it may raise.
    """

    def __init__(self):
        self.wanted = 0
        self.commands = []
        self.before = lambda command: None

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        pass

    def run(self, command, folder, environment, every=None, interval=None):
        self.commands.append(command)
        self.before(command)
        assert command[1] == "-m"
        words, folder = command[3:], Path(folder)
        values = {flag: value for flag, value in zip(words, words[1:], strict=False) if flag.startswith("--")}
        return Ended(COMMANDS[command[2]](folder, values, words, environment) or 0, 10)


def hashed(folder, *names, words=()):
    out = hashlib.sha256(" ".join(words).encode())
    for name in names:
        out.update(f"{name} ".encode() + (folder / name).read_bytes())
    return out.hexdigest()


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def lines(folder, name):
    return (folder / name).read_text().splitlines()


def check_data(folder, values, words, environment):
    """Photos whose text begins with 'bad' have a fault."""
    ids = [i for name in ("train", "val") for i in lines(folder, f"data/ImageSets/Segmentation/{name}.txt")]
    bad = [i for i in ids if (folder / f"data/JPEGImages/{i}.jpg").read_text().startswith("bad")]
    write(folder, f"{values['--out']}/data.json", hashed(folder, *(f"data/JPEGImages/{i}.jpg" for i in ids)))
    write(folder, f"{values['--out']}/left_out.txt", "".join(f"{i} photo-damaged\n" for i in bad))
    return 0 if "--skip-bad" in words else int(bool(bad))


def make_lists(folder, values, words, environment):
    train, val = (lines(folder, f"data/ImageSets/Segmentation/{name}.txt") for name in ("train", "val"))
    bad = [line.split()[0] for line in lines(folder, values["--leave-out"])] if "--leave-out" in values else []
    numbers = {image_id: n for n, image_id in enumerate(train)}
    train, val = ([i for i in ids if i not in bad] for ids in (train, val))
    write(folder, "lists/train_id.txt", "".join(f"{i}\n" for i in train))
    write(folder, "lists/val_id.txt", "".join(f"{i}\n" for i in val))
    write(folder, "lists/input_list.txt", "".join(f"{i}.jpg {numbers[i]}\n" for i in train))
    write(folder, "lists/cam_quality.txt", (folder / "lists/input_list.txt").read_text())
    apart = train[-1:] if "--calibrate" in words else []
    write(folder, "lists/calibration_id.txt", "".join(f"{i}\n" for i in apart))
    write(folder, "lists/train_f.txt", "".join(f"/data/JPEGImages/{i}.jpg /labels/{i}.png\n" for i in train
                                               if i not in apart))
    if (folder / "masks").is_dir():
        write(folder, "lists/train_full.txt", "".join(f"/data/JPEGImages/{i}.jpg /masks/{i}.png\n" for i in train))
    for name in ("classes.txt", "image_labels.txt"):
        write(folder, f"lists/{name}", (folder / "data" / name).read_text())


def train(folder, values, words, environment):
    solver = (folder / values["--solver"]).read_text()
    net, prefix = (re.search(f'{key}: "(.*)"', solver)[1] for key in ("train_net", "snapshot_prefix"))
    prefix = values.get("--snapshot-prefix", prefix)
    text = (folder / net).read_text()
    if values.get("--set", "").startswith("data.source="):
        text = re.sub(r"lists/\w+\.txt", values["--set"].removeprefix("data.source="), text)
    files = [values["--solver"], net, *re.findall(r"lists/\w+\.txt|cues/\w+\.pickle", text)]
    files += ["lists/image_labels.txt"] if "ImageLabelLayer" in text else []
    for name in re.findall(r"lists/\w+\.txt", text):
        words_of = [line.split() for line in lines(folder, name)]
        files += [word.strip("/") for pair in words_of for word in pair if word.startswith("/")]
        files += [f"data/JPEGImages/{first}" for first, *_ in words_of if not first.startswith("/")]
    if "--weights" in values:
        files.append(values["--weights"])
    end = int(values.get("--max-iter", 8))
    settings = [environment["ENGINE"], environment["CRF_BACKEND"] if "CRFLayer" in text else "", values["--device"],
                values["--precision"], values.get("--set", ""), str(end)]
    digest = hashlib.sha256("".join([*settings, *((folder / f).read_bytes().hex() for f in files)]).encode())
    for name in (f"{prefix}_solver.prototxt", f"{prefix}_net.prototxt", values["--log"]):
        write(folder, name, name)
    for iteration in {end // 2, end}:
        write(folder, f"{prefix}_iter_{iteration}.solverstate", "state")
        write(folder, f"{prefix}_iter_{iteration}.caffemodel", f"{digest.hexdigest()} {iteration}")


def make_cues(folder, values, words, environment):
    names = [line.split()[0] for line in lines(folder, values["--list"])]
    write(folder, values["--out"], hashed(
        folder, values["--net"], values["--weights"], values["--labels"], values["--list"],
        *(f"data/JPEGImages/{name}" for name in names), words=[values["--threshold"], environment["ENGINE"]]))


def classifier_quality(folder, values, words, environment):
    names = [line.split()[0] for line in lines(folder, values["--list"])]
    write(folder, values["--out"], hashed(
        folder, values["--net"], values["--weights"], values["--labels"], values["--list"], values["--classes"],
        *(f"data/JPEGImages/{name}" for name in names), words=[values["--device"], environment["ENGINE"]]))


def segment(folder, values, words, environment):
    shutil.rmtree(folder / values["--out"], ignore_errors=True)
    extra = [values["--labels"]] if "--labels" in values else []
    settings = [environment["CRF_BACKEND"], environment["ENGINE"], values.get("--sizes", ""), values["--device"]]
    write(folder, f"{values['--out']}/settings.json", " ".join([values["--weights"], *settings, *words[-2:]]))
    for image_id in lines(folder, values["--list"]):
        write(folder, f"{values['--out']}/{image_id}.png", hashed(
            folder, values["--net"], values["--weights"], *extra, f"data/JPEGImages/{image_id}.jpg", words=settings))


def calibrate(folder, values, words, environment):
    stage = values["--stage"]
    settings = f"segmentations/{stage}/settings.json"
    apart, val = (lines(folder, f"lists/{name}_id.txt") for name in ("calibration", "val"))
    masks = [f"masks/{i}.png" for i in val if (folder / f"masks/{i}.png").is_file()]
    weights = (folder / settings).read_text().split()[0]
    write(folder, f"calibration/{stage}.json", hashed(
        folder, settings, weights, "deploy.prototxt", re.sub(r"_iter_\d+\.caffemodel", "_net.prototxt", weights),
        "lists/train_f.txt", "lists/classes.txt", *(f"data/JPEGImages/{i}.jpg" for i in (*apart, *val)),
        *(f"labels/{i}.png" for i in apart), *masks, words=[values["--device"], environment["ENGINE"]]))


def evaluate(folder, values, words, environment):
    ids = lines(folder, values["--list"])
    files = [f"{values[flag]}/{i}.png" for i in ids for flag in ("--pred", "--gt")]
    write(folder, values["--out"], hashed(folder, *files, values["--classes"]))


def evaluate_cues(folder, values, words, environment):
    ids = [line.split()[0].removesuffix(".jpg") for line in lines(folder, values["--list"])]
    masks = [f"{values['--masks']}/{image_id}.png" for image_id in ids]
    write(folder, values["--out"], hashed(folder, values["--cues"], values["--classes"], *masks))


def make_data(folder, values, words, environment):
    make_data_root(folder / values["--out"])


COMMANDS = {"tools.check_data": check_data, "tools.make_lists": make_lists,
            "training.train": train, "localization_cues.make_cues": make_cues,
            "localization_cues.classifier_quality": classifier_quality,
            "tools.segment": segment, "tools.calibrate": calibrate, "tools.evaluate": evaluate,
            "localization_cues.evaluate_cues": evaluate_cues,
            "tools.make_demo_data": make_data, "tools.report": lambda *_: None}


def make_data_root(root):
    for image_id in (*TRAIN, *VAL):
        write(root, f"JPEGImages/{image_id}.jpg", f"photo {image_id}")
        write(root, f"SegmentationClass/{image_id}.png", f"mask {image_id}")
    write(root, "ImageSets/Segmentation/train.txt", "".join(f"{i}\n" for i in TRAIN))
    write(root, "ImageSets/Segmentation/val.txt", "".join(f"{i}\n" for i in VAL))
    write(root, "image_labels.txt", "".join(f"{i} 1\n" for i in TRAIN))
    write(root, "classes.txt", "background\ncat\ndog\n")


class Miniature:
    """A toy experiment, its data and its runs below one folder."""

    def __init__(self, folder):
        self.folder, self.data, self.experiment = folder, folder / "data-root", folder / "prototxts" / "toy"
        make_data_root(self.data)
        for name, text in PROTOTXTS.items():
            write(self.experiment, name, text)
        write(self.experiment, "settings.yaml", SETTINGS)
        write(folder, "init.caffemodel", "weights")
        write(folder, "prototxts/ablations/static.yaml",
              "says: no growing\ntrain-s.prototxt:\n  update-seed: {param_str: {grow: false}}\n")
        self.settings = Settings("toy", folder / "work", data_root=self.data,
                                 weights={"WEIGHTS": folder / "init.caffemodel"})
        self.commands = HashingCommands()

    @property
    def run_folder(self):
        return self.folder / "work" / self.settings.run_name()

    def set(self, **changes):
        self.settings = replace(self.settings, **changes)

    def parts(self, *words, **choice):
        self.choice = Choice(words, **choice)
        return parts(self.settings, read_experiment(self.experiment), self.folder / "prototxts/ablations", self.choice)

    def run(self, *words, **choice):
        """Run what is not done; the names of the stages that ran, without the report."""
        self.said = []
        self.commands.commands = []
        found = self.parts(*words, **choice)
        assert execute(found, self.choice, self.said.append, self.commands) == 0
        started = [re.match(r"\[\d+/\d+\] (\S+): (?:tools|training|localization_cues)\.", line) for line in self.said]
        return {match[1] for match in started if match} - {"report"}

    def plan(self, *words, **choice):
        """What a plan says, by stage."""
        found = self.parts(*words, **choice)
        text = [re.match(r"  \[\d+/\d+\] (\S+): (.*)", line) for line in plan(found, self.choice)]
        return {match[1]: match[2] for match in text if match}
