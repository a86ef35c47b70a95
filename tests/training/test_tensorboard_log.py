"""What a training writes for TensorBoard, read by TensorBoard's own EventAccumulator."""

import io
import json
import sys

import numpy as np
import pytest
from PIL import Image

from dsrg.io.errors import UserError
from tests.training.runs import NET, make_run
from training import tensorboard_log, train

WORDS = ["--solver", "solver.prototxt", "--log", "a.jsonl", "--tensorboard", "events"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A training of eight iterations in two parts, whose seeds grow; the first part had gone on to iteration 5."""
    folder = tmp_path_factory.mktemp("tensorboard")
    make_run(folder, net=NET.replace("'grow': False", "'grow': True"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ENGINE", "embedded")
        patch.setenv("GLOG_minloglevel", "1")
        assert train.main([*WORDS, "--max-iter", "6"]) == 0
        first = events(folder / "events")
        for path in folder.glob("models/tiny_iter_6*"):
            path.unlink()                   # killed after iteration 5, with its last snapshot at 3
        assert train.main([*WORDS, "--resume"]) == 0
    return folder, first, events(folder / "events")


def events(folder):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    read = accumulator.EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    read.Reload()
    return read


def curve(read, tag):
    return {one.step: one.value for one in read.Scalars(tag)}


def test_losses_and_rate_are_those_of_the_json_log_and_no_step_comes_twice(trained):
    folder, first, read = trained
    told = [json.loads(line) for line in (folder / "a.jsonl").read_text().splitlines()]
    assert len(first.Scalars("rate")) == 6 and len(told) == 8
    for tag, values in (("loss/loss-seed", [line["losses"]["loss-seed"] for line in told]),
                        ("rate", [line["lr"] for line in told])):
        assert [one.step for one in read.Scalars(tag)] == list(range(8))
        np.testing.assert_allclose(list(curve(read, tag).values()), values, rtol=1e-6)
    steps, waits = curve(read, "time/step"), curve(read, "time/data wait")
    np.testing.assert_allclose(list(steps.values()), [line["seconds"] for line in told], atol=1e-3)
    assert all(0 <= waits[step] <= steps[step] for step in steps)


def test_seeds_are_counted_and_drawn(trained):
    """Three cells of each photo's 64 are cues: one of background and two of its class, or one."""
    _, _, read = trained
    cues, grown = curve(read, "seeds/cues"), curve(read, "seeds/grown")
    assert all(2 / 64 <= value <= 3 / 64 for value in cues.values())
    assert all(cues[step] <= grown[step] <= 1 for step in cues)
    cells = sum(np.array(list(curve(read, f"seeds/class {c}").values())) for c in range(3)) / 64
    np.testing.assert_allclose(cells, list(grown.values()), atol=1e-6)
    pictures = read.Images("seeds")
    assert [one.step for one in pictures] == list(range(8))
    drawn = Image.open(io.BytesIO(pictures[-1].encoded_image_string))
    assert drawn.size == (3 * tensorboard_log.SIDE, 2 * tensorboard_log.SIDE), "two photos, three pictures of each"
    photo = np.asarray(drawn)[:tensorboard_log.SIDE, :tensorboard_log.SIDE]
    assert photo.std() > 20 and 90 < photo.mean() < 165, "the photo itself, mean added: noise of 0..255"


def test_without_the_package_one_line_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENGINE", "embedded")
    make_run(tmp_path)
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto", None)
    with pytest.raises(UserError, match=r"^TensorBoard is asked for .*, but tensorboard\.\S+ is not installed; pip"):
        train.main([*WORDS, "--max-iter", "1"])


def test_a_long_training_is_thinned(monkeypatch, tmp_path):
    """Of 20 iterations every fifth where four points are wanted."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENGINE", "embedded")
    monkeypatch.setattr(tensorboard_log, "POINTS", 4)
    monkeypatch.setattr(tensorboard_log, "PICTURES", 2)
    make_run(tmp_path)
    train.main([*WORDS, "--max-iter", "20"])
    read = events(tmp_path / "events")
    assert list(curve(read, "rate")) == [0, 5, 10, 15] and [one.step for one in read.Images("seeds")] == [0, 10]
