"""A write that fails (disk full, quota, no folder) is one line with file and remedy, and leaves no half file."""

import contextlib
import errno
import io
import os
import re
import resource
from pathlib import Path
from types import SimpleNamespace

import caffe
import numpy as np
import pytest
from caffe import modelfile as caffe_files

from dsrg.cuefile.format import save_cues
from dsrg.datasets.demo_data import make_demo_data
from dsrg.io import errors
from dsrg.io.atomic_files import write_text
from dsrg.io.errors import UserError
from dsrg.io.label_png import save_label_png
from dsrg.pipeline.digests import DigestCache
from dsrg.pipeline.locks import Lock
from dsrg.report.comparison import draw
from dsrg.saliency.background_detection import write_saliency
from dsrg.scoring.label_map_folder import LabelMapFolder
from training.caffe_log import CaffeLog
from training.loss_log import LossLog
from training.run_files import RunFiles
from training.tensorboard_log import TensorboardLog

RNG = np.random.default_rng(0)
CUES = {k: (np.array([1, 2]), np.stack([np.ones(400, int), *np.divmod(np.arange(400), 41)])) for k in range(4)}
RUN = {"runs": [{"miou": {"s": 0.5}}], "settings": {}}
LIMIT = 50      # bytes; each of the files is longer


def loss_log(folder):
    with contextlib.closing(LossLog(folder / "log.jsonl")) as log:
        for k in range(9):
            log.write(k, 0.1, {"loss-seed": 1.0}, 0.2)


def caffe_log(folder):
    net = SimpleNamespace(blob_loss_weights={"loss": 1.0}, outputs=[], blobs={})
    with contextlib.closing(CaffeLog(folder / "caffe.log", SimpleNamespace(net=net), "n" * 99)) as log:
        log.write(0, 0.1, {"loss": 1.0}, 0.2)


def tensorboard(folder):
    net = SimpleNamespace(layers=[])
    log = TensorboardLog(folder / "events", SimpleNamespace(net=net), SimpleNamespace(layer=[]), 0, 9)
    for k in range(9):
        log.write(k, 0.1, {"loss": 1.0}, 0.2)
    log.close()


def model(folder):
    with contextlib.suppress(FileExistsError):
        (folder / "models").mkdir()
    caffe_files.write_atomic(folder / "models" / "s_iter_1.caffemodel", b"x" * 99)


def digests(folder):
    (folder / "photo.jpg").touch()
    os.utime(folder / "photo.jpg", (0, 0))
    cache = DigestCache(folder / "digests.json")
    cache._cache._kept = {str(folder / "photo.jpg"): [0, 0, 0, 0, 0, "f" * 64]}
    cache._cache._changed = True
    cache.save()


def run_files(folder):
    RunFiles(SimpleNamespace(snapshot_prefix=str(folder / "s")), "s" * 99, "n" * 99).write("fp32")


def saliency(folder):
    from PIL import Image

    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit[1], limit[1]))
    Image.fromarray(RNG.integers(0, 255, (40, 50, 3)).astype(np.uint8)).save(folder / "photo.png")
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    write_saliency((folder / "photo.png", folder / "map.png"))


WRITERS = {
    "text": (lambda folder: write_text(folder / "a.txt", "x" * 99), "a.txt"),
    "label map": (lambda folder: save_label_png(folder / "a.png", RNG.integers(0, 9, (40, 40))), "a.png"),
    "folder of label maps": (lambda folder: LabelMapFolder(folder, {"net": "n" * 99}, {}).start_or_resume(["a"]),
                             "settings.json"),
    "cues, pickle": (lambda folder: save_cues(folder / "cues.pickle", CUES), "cues.pickle"),
    "cues, npz": (lambda folder: save_cues(folder / "cues.npz", CUES), "cues.npz"),
    "saliency": (saliency, "map.png"),
    "drawing": (lambda folder: draw({"demo": RUN}, folder / "runs.png"), "runs.png"),
    "losses": (loss_log, "log.jsonl"),
    "log as Caffe's": (caffe_log, "caffe.log"),
    "TensorBoard": (tensorboard, "events"),
    "model": (model, "models/s_iter_1.caffemodel"),
    "digests": (digests, "digests.json"),
    "prototxts of a training": (run_files, "s_net.prototxt"),
    "demo data": (lambda folder: make_demo_data(folder / "demo", 1, 1, 0), "demo/JPEGImages/train_0000.jpg"),
}


@contextlib.contextmanager
def quota():
    """No file grows beyond LIMIT bytes, as on a small disk; Python ignores the signal for it.

    That holds for the output of the tests as well where it is a file: nothing may be printed meanwhile.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("write, name", WRITERS.values(), ids=WRITERS)
def test_write_beyond_the_quota_names_file_and_remedy(write, name, tmp_path):
    folder = tmp_path
    with pytest.raises((UserError, caffe.CaffeError)) as error, quota():
        write(folder)
    line = re.sub(r"/\.[^/]+\.[a-z0-9_]{8}\.partial/", "/", str(error.value))     # the folder that is made beside
    assert str(folder / name) in line and ("free space" in line or "choose another" in line) and "\n" not in line
    assert not [path for path in folder.iterdir() if path.name.startswith((f".{Path(name).stem}.", ".demo."))]


@pytest.mark.parametrize("number, remedy", [
    (errno.ENOSPC, "free space or choose another folder"), (errno.EROFS, "free space or choose another folder")])
def test_disk_that_fails_at_the_last_moment(number, remedy, tmp_path, monkeypatch):
    """NFS and quotas report a full disk when the file is synced; what was there before stays."""
    (tmp_path / "a.txt").write_text("old")

    def fsync(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(UserError, match=rf"cannot write .*a\.txt: {os.strerror(number)}; {remedy}"):
        write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("write", [
    lambda folder: write_text(folder / "a.txt", "x"), lambda folder: save_cues(folder / "a.npz", CUES),
    lambda folder: LossLog(folder / "a.jsonl"), lambda folder: Lock(folder / "lock", "the run"),
    lambda folder: save_label_png(folder / "a.png", np.zeros((2, 2), int)),
    lambda folder: CaffeLog(folder / "a.log", SimpleNamespace(net=None), "s")])
def test_folder_that_cannot_be_made_is_named(write, tmp_path):
    """A file stands where the folder would be: as with a read-only folder, but true for root, too."""
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=rf"cannot write .*{tmp_path.name}/file/folder.*: .*; "):
        write(tmp_path / "file" / "folder")


def test_writes_that_nothing_explains_name_file_and_remedy(capsys, monkeypatch):
    def main(argv):
        raise OSError(errno.ENOSPC, "No space left on device", "results/x")

    with pytest.raises(SystemExit):
        errors.run_main(main, [])
    assert capsys.readouterr().err == (
        "error: results/x: No space left on device; free space or write to another folder\n")
