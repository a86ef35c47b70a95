"""tools.export and docs/export.md: the command as documented, and its example run as it stands there."""

import contextlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dsrg import load
from dsrg.io.errors import UserError
from tests.coloured_run import CLASSES, MEAN_BGR, make_coloured_run, scene
from tests.conftest import ROOT
from tests.test_failing_writes import quota
from tools import export


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """work/demo, and a photo."""
    folder = tmp_path_factory.mktemp("export")
    (folder / "work/demo").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENGINE", "embedded")
        patch.chdir(folder / "work/demo")
        make_coloured_run(folder / "work/demo", ("s", "f"))
    Image.fromarray(scene(2, 90, 130)).save(folder / "photo.jpg", quality=95)
    return folder


@pytest.fixture(autouse=True)
def _there(folder, monkeypatch):
    monkeypatch.setenv("ENGINE", "embedded")
    monkeypatch.chdir(folder)


def test_the_documents_example_gives_the_engines_labels():
    """ONNX Runtime, numpy and Pillow alone, as a reader would paste it."""
    assert not export.main(["work/demo", "--stage", "f", "--format", "onnx", "--out", "demo.onnx"])
    code = re.search(r"^```python\n(.*?)^```", (ROOT / "docs/export.md").read_text(), re.DOTALL | re.MULTILINE)[1]
    assert "dsrg import" not in code and "import caffe" not in code
    names, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "docs/export.md", "exec"), names)
    model = load("work/demo", "f")
    expected = model.changed(crf=False).segment("photo.jpg")
    assert len(np.unique(expected.labels)) == 3
    assert (names["labels"] == expected.labels).mean() > 0.9995
    assert np.abs(names["total"] - expected.scores).max() < 1e-3 * np.abs(expected.scores).max()
    assert "'red': " in printed.getvalue()
    assert names["said"]["class_names"] == CLASSES and names["rules"]["mean_bgr"] == list(MEAN_BGR)
    assert names["rules"]["scales"] == [0.75, 1.0] and names["rules"]["sizes"] is None
    assert names["said"]["crf_scale"] == 3


@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:DeprecationWarning")
def test_torchscript_of_named_weights(capsys):
    export.main(["work/demo/models/s_iter_30.caffemodel", "--net", "work/demo/deploy.prototxt", "--classes",
                 "work/demo/lists/classes.txt", "--format", "torchscript", "--out", "new/s.pt"])
    assert re.fullmatch(r"new/s\.pt: \d+\.\d MiB\n", capsys.readouterr().out)
    beside = {"dsrg": ""}
    script = torch.jit.load("new/s.pt", _extra_files=beside)
    said = json.loads(beside["dsrg"])
    assert said["class_names"] == CLASSES and "preprocessing" not in said
    assert script(torch.zeros(1, 3, 40, 31)).shape == (1, 3, 21, 16)


def test_weights_of_a_run_there_and_back():
    for form, name in (("safetensors", "f.safetensors"), ("pth", "f.pth"), ("caffemodel", "f.caffemodel")):
        export.main(["work/demo", "--format", form, "--out", name])
    export.main(["f.safetensors", "--format", "caffemodel", "--out", "back.caffemodel"])
    with open("work/demo/models/f_iter_30.caffemodel", "rb") as one, open("back.caffemodel", "rb") as other:
        assert one.read() == other.read()
    with pytest.raises(UserError, match="over what is read"):
        export.main(["f.safetensors", "--format", "caffemodel", "--out", "f.safetensors"])


@pytest.mark.parametrize(("arguments", "message"), [
    (["work/demo", "--format", "onnx", "--net", "n"], "a run brings its own net and class names"),
    (["f.caffemodel", "--format", "onnx"], "--format onnx of weights needs their --net"),
    (["f.caffemodel", "--format", "pth", "--net", "n"], "are for onnx and torchscript"),
    (["f.caffemodel", "--format", "pth", "--stage", "s"], "--stage is a run's"),
    (["work/demo", "--format", "tflite"], "invalid choice: 'tflite'"),
])
def test_arguments_that_do_not_go_together(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        export.main([*arguments, "--out", "o"])
    assert stop.value.code == 2 and message in capsys.readouterr().err


def test_a_disk_that_is_full_leaves_no_half_file(monkeypatch):
    from dsrg.export import export_run

    files = (("onnx", "x.onnx"), ("torchscript", "x.pt"), ("safetensors", "x.safetensors"), ("pth", "x.pth"),
             ("caffemodel", "x.caffemodel"))
    for form, name in files:            # the libraries' own writers abort here, or name neither file nor reason
        with pytest.raises((UserError, RuntimeError)) as error, quota():
            export_run("work/demo", name, form=form)
        assert re.fullmatch(rf"cannot write {name}: File too large; (free space or )?choose another folder",
                            str(error.value))
    monkeypatch.setattr("os.fsync", lambda number: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    for form, name in files:
        with pytest.raises((UserError, RuntimeError), match=f"^cannot write {name}: No space left on device"):
            export_run("work/demo", name, form=form)
    assert not [path.name for path in Path().iterdir() if path.name.startswith((".x", "x."))]
