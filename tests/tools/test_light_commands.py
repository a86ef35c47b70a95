"""Commands that read and write prototxts need no engine: they load no torch, start fast, and say nothing of one."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import PATIENCE, ROOT

#: loads more than a command of this kind may, each half a second and more
HEAVY = {"torch", "matplotlib", "scipy", "sklearn", "onnx", "flask", "tensorboard"}
LOOK = f"""
import importlib, json, sys
importlib.import_module(sys.argv[1]).main(sys.argv[2:])
print(json.dumps(sorted({HEAVY!r} & sys.modules.keys())))
"""


def run_folder(folder):
    (folder / "run/results").mkdir(parents=True)
    (folder / "run/results/s.json").write_text(json.dumps({"miou": 0.5, "commit": "abc"}))
    (folder / "run/solver-s.prototxt").touch()
    (folder / "run/train-s.prototxt").write_text((ROOT / "prototxts/demo/train-s.prototxt").read_text())
    return str(folder / "run")


COMMANDS = {
    "tools.compare": lambda folder: [run_folder(folder)],
    "tools.make_nets": lambda folder: ["prototxts/demo", "--check"],
    "tools.watch": lambda folder: [run_folder(folder), "--json"],
    "tools.set_batch": lambda folder: ["2", run_folder(folder)],
    "tools.ablate": lambda folder: ["prototxts/ablations/static.yaml", run_folder(folder)],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_on_prototxts_loads_no_engine(name, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ENGINE": "auto", "CAFFE_ROOT": ""}
    done = subprocess.run([sys.executable, "-c", LOOK, name, *COMMANDS[name](tmp_path)], cwd=ROOT, env=environment,
                          capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout.splitlines()[-1]) == []
