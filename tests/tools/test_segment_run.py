"""tools.segment with a run, and dsrg.load: the run's own settings, checked against the run's own segmentations."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from dsrg import load
from dsrg.find_caffe import the_caffe
from dsrg.io.errors import UserError
from dsrg.io.label_png import load_label_png
from dsrg.scoring.run_model import find_model
from tests.coloured_run import CLASSES, make_coloured_run, scene
from tests.conftest import ROOT
from tools import segment


@pytest.fixture(autouse=True)
def _embedded(monkeypatch):
    monkeypatch.setenv("ENGINE", "embedded")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run folder, and the current folder is what it lies below."""
    folder = tmp_path / "work/mine"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    make_coloured_run(folder)
    monkeypatch.chdir(tmp_path)
    return folder


def main(*arguments):
    return segment.main(["work/mine", *map(str, arguments), "--out", "out"])


def test_the_commands_maps_are_the_runs_own(run, capsys):
    """The documented prediction is this command, so its sizes, mean, mirroring and CRF must be those of the run."""
    assert main("work/mine/data/JPEGImages") == 0
    for k in range(5):
        ours = (run / f"segmentations/f/{k}.png").read_bytes()
        assert len(np.unique(load_label_png(run / f"segmentations/f/{k}.png"))) == 3
        assert (run.parents[1] / f"out/{k}.png").read_bytes() == ours
    settings = json.loads((run.parents[1] / "out/settings.json").read_text())["settings"]
    theirs = json.loads((run / "segmentations/f/settings.json").read_text())["settings"]
    same = ("net", "weights", "sizes", "scales", "flip", "crf", "mean", "output_blob", "max_side", "precision",
            "engine", "device", "crf_backend")
    assert {name: settings[name] for name in same} == {name: theirs[name] for name in same}
    assert "models/f_iter_30.caffemodel: 5 photos to out\n" in capsys.readouterr().err


def test_load_gives_the_same_from_paths_pil_images_and_arrays(run):
    model = load("work/mine")
    assert model.class_names == tuple(CLASSES) and model.machine["precision"] == "fp32"
    path = run / "data/JPEGImages/1.jpg"
    with Image.open(path) as image:
        results = [model.segment(path), model.segment(str(path)), model.segment(image.copy()),
                   model.segment(np.asarray(image))]
    own = load_label_png(run / "segmentations/f/1.png")
    for result in results:
        assert result.labels.dtype == np.uint8 and result.scores.dtype == np.float32
        np.testing.assert_array_equal(result.labels, own)
    assert results[0].scores.shape == (60, 80, 3)
    shares = results[0].shares()
    assert list(shares) == CLASSES and abs(sum(shares.values()) - 1) < 1e-9
    assert shares["blue"] == pytest.approx((own == 2).mean())


def test_overlay_colours_objects_and_names_them(run):
    result = load("work/mine").segment(run / "data/JPEGImages/0.jpg")
    plain = result.overlay(legend=False)
    assert plain.shape == (60, 80, 3) and plain.dtype == np.uint8
    assert (plain[32:38, 60:] == result.image[32:38, 60:]).all(), "background shows the photo"
    mixed = 0.45 * result.image[20, 20].astype(float) + 0.55 * np.array([128, 0, 0])
    assert np.abs(plain[20, 20] - mixed).max() <= 1
    sheet = result.overlay()
    assert sheet.shape[1] == 480 and sheet.shape[0] > 360 + 3 * 20, "enlarged, a line for each of three classes"


@pytest.mark.parametrize("orientation", [1, 2, 3, 6, 8])
def test_a_photo_that_exif_turns_is_scored_upright_and_its_mask_lies_as_its_file(run, orientation):
    """Mask and photo agree for readers that apply EXIF and for those that do not; the net sees the scene upright."""
    upright = scene(3)
    turn = {1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 6: lambda a: np.rot90(a, 1),
            8: lambda a: np.rot90(a, -1)}[orientation]         # what a camera held that way would have stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(turn(upright))).save("turned.png", exif=exif)
    model = load("work/mine")
    expected = model.segment(upright).labels
    assert main("turned.png") == 0
    with Image.open("out/turned.png") as mask:
        np.testing.assert_array_equal(np.asarray(ImageOps.exif_transpose(mask)), expected)
        np.testing.assert_array_equal(np.asarray(mask), turn(expected))
    result = model.segment("turned.png")
    np.testing.assert_array_equal(result.labels, turn(expected))
    with Image.open("turned.png") as photo:
        np.testing.assert_array_equal(result.image, np.asarray(photo))
    assert result.overlay(legend=False).shape == upright.shape


def test_a_folder_with_what_people_keep_in_folders(run, capsys):
    """Suffixes, subfolders, two files of one stem, notes, a film, and a page saved as .jpg, which is reported."""
    os.makedirs("mess/sub")
    Image.fromarray(scene(0)).save("mess/a.JPG")
    Image.fromarray(scene(1)).save("mess/a.webp", lossless=True)
    Image.fromarray(scene(2)).save("mess/sub/a.bmp")
    for name in ("notes.txt", "film.mov", "more.txt"):
        (run.parents[1] / "mess" / name).write_text("x")
    (run.parents[1] / "mess/page.jpg").write_text("<html>")
    assert main("mess") == 1
    shown = capsys.readouterr()
    assert "note: left out, no pictures by their suffix: 2 .txt, 1 .mov" in shown.err
    assert shown.err.splitlines()[-1].startswith("error: photo mess/page.jpg")
    made = sorted(path.relative_to(run.parents[1] / "out").as_posix() for path in (run.parents[1] / "out").rglob("*.*"))
    assert made == ["a.JPG.png", "a.webp.png", "overlays/a.JPG.jpg", "overlays/a.webp.jpg", "overlays/sub/a.jpg",
                    "settings.json", "shares.csv", "shares.json", "sub/a.png"]


def test_shares_are_those_of_the_maps(run):
    main("work/mine/data/JPEGImages")
    with open("out/shares.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    records = json.loads((run.parents[1] / "out/shares.json").read_text())
    assert [row["photo"] for row in rows] == [f"work/mine/data/JPEGImages/{k}.jpg" for k in range(5)]
    for row, record in zip(rows, records, strict=True):
        labels = load_label_png(record["label_map"])
        assert (record["height"], record["width"]) == labels.shape
        for index, name in enumerate(CLASSES):
            assert float(row[name]) == pytest.approx((labels == index).mean(), abs=1e-6)
            assert record["shares"][name] == pytest.approx((labels == index).mean())


def test_a_stopped_command_goes_on_and_a_new_photo_of_an_old_name_is_redone(run, capsys):
    main("work/mine/data/JPEGImages")
    os.remove("out/1.png")
    os.remove("out/overlays/2.jpg")
    cv2.imwrite(str(run / "data/JPEGImages/3.jpg"), scene(4)[:, :, ::-1])
    capsys.readouterr()
    kept = {k: os.stat(f"out/{k}.png").st_mtime_ns for k in (0, 2, 3, 4)}
    main("work/mine/data/JPEGImages")
    assert "5 photos to out, 2 of them done before\n" in capsys.readouterr().err
    assert {k for k, when in kept.items() if os.stat(f"out/{k}.png").st_mtime_ns != when} == {2, 3}
    assert (run.parents[1] / "out/1.png").read_bytes() == (run / "segmentations/f/1.png").read_bytes()
    capsys.readouterr()
    main("work/mine/data/JPEGImages", "--no-crf")
    assert "redoing 5 label maps (crf" in capsys.readouterr().err


def test_the_overlays_of_an_earlier_call_are_not_segmented_into_themselves(run):
    """They are pictures, and the overlay of out/overlays/0.jpg would go to out/overlays/0.jpg."""
    main("work/mine/data/JPEGImages/0.jpg", "--no-crf")
    overlay = run.parents[1] / "out/overlays/0.jpg"
    before = overlay.read_bytes()
    for photos in ("out/overlays", "out/overlays/0.jpg"):
        with pytest.raises(UserError, match="--out would write out/overlays/0.jpg over what is read"):
            main(photos, "--no-crf", "--overwrite")
    assert overlay.read_bytes() == before


def test_a_width_of_the_crf_is_refused_where_the_run_segments_without_it(run):
    settings = run / "segmentations/f/settings.json"
    record = json.loads(settings.read_text())
    record["settings"]["crf"] = False
    settings.write_text(json.dumps(record))
    with pytest.raises(UserError, match="--crf-scale changes nothing: work/mine segments without the CRF; add --crf"):
        main("work/mine/data/JPEGImages/0.jpg", "--crf-scale", "2")
    main("work/mine/data/JPEGImages/0.jpg", "--crf-scale", "2", "--crf")


def test_what_cannot_be_done_is_said_in_a_line(run):
    (run.parents[1] / "empty").mkdir()
    Image.fromarray(scene(0)).save("a.png")
    (run.parents[1] / "b").mkdir()
    Image.fromarray(scene(0)).save("b/a.png")
    with pytest.raises(UserError, match=r"b: no run of this pipeline \(it has neither models/ nor segmentations/\)"):
        load("b")
    with pytest.raises(UserError, match="a.png: is a file, not the folder of a run"):
        load("a.png")
    for arguments, message in (
            (["nothing.jpg"], "nothing.jpg: no such photo or folder"),
            (["b.png", "c.png"], r"b\.png: no such photo or folder; did you mean a\.png\? \(and 1 more\)"),
            (["empty"], r"no picture in empty \(nothing there\)"),
            (["a.png", "b/a.png"], "a.png and b/a.png have the same name")):
        with pytest.raises(UserError, match=message):
            main(*arguments)
    with pytest.raises(UserError, match=r"--out \. would write beside a\.png, which is read; choose another folder"):
        segment.main(["work/mine", "a.png", "--out", "."])
    with pytest.raises(UserError, match="--out b/out would write into b, whose photos or masks are read"):
        segment.main(["work/mine", "b", "--out", "b/out"])
    with pytest.raises(UserError, match="work/yours: no such folder; give the folder of a run"):
        load("work/yours")
    (run / "segmentations/f/settings.json").unlink()
    with pytest.raises(UserError, match="no settings.json of any stage .* run its stage 'segment' first"):
        load("work/mine")


def test_a_misspelt_photo_stops_no_other(run, capsys):
    """One bad photo among a thousand must not cost the night: it is reported at the end, by name and by the status."""
    photos = [f"work/mine/data/JPEGImages/{name}.jpg" for name in ("0", "l", "2")]
    Image.fromarray(scene(1)).save("work/mine/data/JPEGImages/11.jpg")
    assert main(*photos) == 1
    shown = capsys.readouterr()
    assert shown.err.splitlines()[-1].startswith("error: work/mine/data/JPEGImages/l.jpg: no such photo or folder; did")
    assert sorted(name for name in os.listdir("out") if name.endswith(".png")) == ["0.png", "2.png"]
    assert main(*photos[::2]) == 0


def test_hidden_files_and_folders_are_no_photos(run, capsys):
    """macOS leaves `._a.jpg` beside every photo on a USB stick, and `.trash/` holds what somebody threw away."""
    os.makedirs("stick/.trash")
    for name in ("stick/a.png", "stick/._a.png", "stick/.trash/b.png"):
        Image.fromarray(scene(0)).save(name)
    assert main("stick") == 0
    assert "note: left out, no pictures by their suffix: 1 hidden\n" in capsys.readouterr().err
    assert sorted(os.listdir("out/overlays")) == ["a.jpg"]


def test_json_is_what_shares_json_holds(run, capsys):
    assert main("work/mine/data/JPEGImages", "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads((run.parents[1] / "out/shares.json").read_text())
    assert main("work/mine/data/JPEGImages", "--quiet") == 0
    assert capsys.readouterr().err == ""


def test_what_is_no_picture_at_all_is_said(run):
    model = load("work/mine")
    for value in (3, None, [1, 2]):
        with pytest.raises(UserError, match=rf"^image is {type(value).__name__}; expected a path, the bytes of a file"):
            model.segment(value)
    data = (run / "data/JPEGImages/1.jpg").read_bytes()
    np.testing.assert_array_equal(model.segment(data).labels, load_label_png(run / "segmentations/f/1.png"))
    with pytest.raises(UserError, match="photo picture .* not a readable picture"):
        model.segment(b"<html>")


@pytest.mark.gpu
def test_a_gpu_gives_the_labels_of_the_cpu(run):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device; run with pytest -m gpu on a machine that has one")
    path = run / "data/JPEGImages/3.jpg"
    cpu, gpu = load("work/mine").segment(path), load("work/mine", device="0").segment(path)
    assert (cpu.labels == gpu.labels).mean() > 0.999
    assert np.abs(cpu.scores - gpu.scores).max() < 1e-3 * np.abs(cpu.scores).max()


def test_a_device_that_is_not_there_is_said(run):
    with pytest.raises(UserError, match="no CUDA device|device 99"):
        load("work/mine", device="99")


def test_with_and_without_the_crf_from_one_pass(run):
    model = load("work/mine")
    scored = model.score(run / "data/JPEGImages/2.jpg")
    plain = model.changed(crf=False)
    for crf, expected in ((False, plain), (True, model), (None, model)):
        np.testing.assert_array_equal(model.label(scored, crf).labels,
                                      expected.segment(run / "data/JPEGImages/2.jpg").labels)


def test_scores_are_those_of_the_blob_that_is_asked_for(run):
    """In the photo minus its mean, pooled, blue (channel 0) is most in the blue box, red (channel 2) in the red one."""
    photo = run / "data/JPEGImages/2.jpg"
    labels = load("work/mine").changed(output_blob="pool", crf=False).segment(photo).labels
    assert labels[50, 10] == 0 and labels[15, 20] == 2
    with pytest.raises(UserError, match="the net has no blob 'nope'; its outputs are fc8"):
        main(photo, "--output-blob", "nope")


def one_by_one(*arguments):
    return segment.main(["--list", "work/mine/lists/val_id.txt", "--images", "work/mine/data/JPEGImages", "--out", "o",
                         *arguments])


def test_files_that_were_mixed_up_are_named(run):
    """Each as the stranger gave it: a training net, a solver, a photo for the weights."""
    weights = "work/mine/models/f_iter_30.caffemodel"
    folder = ROOT / "prototxts/demo"
    for net, message in (("train-s.prototxt", r"train-s\.prototxt is a net for training: its layer '.*' \(.*\) reads"),
                         ("solver-s.prototxt", r"solver-s\.prototxt is a solver, not a net; give a deploy net")):
        with pytest.raises(UserError, match=message):
            one_by_one("--net", str(folder / net), "--weights", weights)
    for name, kind in (("work/mine/data/JPEGImages/0.jpg", "a picture"), ("work/mine/deploy.prototxt", "a prototxt")):
        with pytest.raises(UserError, match=f"weights {name} are {kind}; give a .caffemodel"):
            one_by_one("--net", "work/mine/deploy.prototxt", "--weights", name)


@pytest.mark.parametrize(("arguments", "message"), [
    (["work/mine", "--out", "o"], "no photos: python -m tools.segment work/mine photo.jpg folder/ --out out/"),
    (["work/mine", "a.jpg", "--out", "o", "--weights", "w"], "leave out --weights, or the run"),
    (["--out", "o", "--net", "n"], "give a run and photos, or --weights, --list, --images too"),
    (["--out", "o", "--net", "n", "--weights", "w", "--list", "l", "--images", "i", "--stage", "s"],
     "--stage and --json go with a run"),
    (["work/mine", "a.jpg", "--out", "o", "--max-side", "-1"], "--max-side: expected a whole number, 0 or more"),
    (["work/mine", "a.jpg"], "the following arguments are required: --out"),
    (["work/mine/data/JPEGImages/0.jpg", "--out", "o"],
     "0.jpg is a file; the folder of a run stands before the photos: python -m tools.segment work/demo"),
    (["work/mine", "--web", "--out", "o"], "--web takes a run and no photos, --out or --json"),
    (["work/mine", "a.jpg", "--out", "o", "--port", "1"], "--port is a number below 65536, and goes with --web"),
])
def test_arguments_that_do_not_go_together(run, arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        segment.main(arguments)
    assert stop.value.code == 2 and message in capsys.readouterr().err


def test_the_newest_weights_of_the_last_stage(run):
    for name in ("f_iter_4", "f_iter_100", "s_iter_500", "full_iter_900"):
        (run / f"models/{name}.caffemodel").write_bytes((run / "models/f_iter_30.caffemodel").read_bytes())
    assert find_model(run).weights.name == "f_iter_100.caffemodel"
    (run / "labels").mkdir()
    text = (run / "segmentations/f/settings.json").read_text().replace("models/f_iter_30", "models/s_iter_30")
    (run / "labels/settings.json").write_text(text)
    assert find_model(run, "s").weights.name == "s_iter_500.caffemodel"
    (run / "segmentations/f/settings.json").unlink()
    assert find_model(run).weights.name == "s_iter_500.caffemodel"


def test_large_photos_are_scored_shrunk_and_labelled_at_their_size(run):
    """A photo three times as large has the map of the small one, enlarged: not one of features three times as large."""
    small = scene(1)
    large = cv2.resize(small, None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
    model = load("work/mine")
    bounded = replace(model, recipe=replace(model.recipe, max_side=80))
    result = bounded.segment(large)
    assert result.labels.shape == (180, 240) and result.scores.shape == (60, 80, 3)
    reference = model.segment(small).labels
    assert (result.labels == cv2.resize(reference, (240, 180), interpolation=cv2.INTER_NEAREST)).mean() > 0.985
    np.testing.assert_array_equal(bounded.segment(small).labels, reference)
    unbounded = replace(model, recipe=replace(model.recipe, max_side=0)).segment(large)
    assert unbounded.scores.shape == (180, 240, 3)


def test_the_documented_command_runs_from_a_clean_shell(run):
    """As docs/own-data.md has it: in the project's root, nothing set but the environment's python."""
    done = subprocess.run([sys.executable, "-m", "tools.segment", run, run / "data/JPEGImages/0.jpg", "--out",
                           run / "predictions"], cwd=ROOT, env={}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (run / "predictions/0.png").read_bytes() == (run / "segmentations/f/0.png").read_bytes()
    shares = load_label_png(run / "predictions/0.png")
    assert f"0.jpg: background {(shares == 0).mean():.1%}, " in done.stdout


def test_one_line_imports_it_from_a_clean_shell(run):
    code = "from dsrg import load; print(load('work/mine').segment('work/mine/data/JPEGImages/0.jpg').labels.shape)"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.strip() == "(60, 80)", done.stderr


def test_unresolved_precision_never_reaches_the_settings(run):
    """Resumed on another machine, 'auto' would be another arithmetic: maps of two kinds in one folder."""
    caffe = the_caffe()
    segment.main(["work/mine", "work/mine/data/JPEGImages/0.jpg", "--out", "auto", "--precision", "auto"])
    settings = json.loads((run.parents[1] / "auto/settings.json").read_text())["settings"]
    assert settings["precision"] == ("bf16" if caffe.native_bf16() else "fp32")
    assert settings["engine"].startswith("embedded engine") and settings["device"] == "cpu"
    assert settings["crf_backend"] == "own"


def test_maps_of_another_arithmetic_are_redone(run, monkeypatch, capsys):
    """The same command with --precision auto, resumed where it means another: all maps are made again."""
    caffe = the_caffe()
    for native, told in ((True, ""), (False, "redoing 5 label maps (precision: bf16 before, fp32 now)")):
        monkeypatch.setattr(caffe, "native_bf16", lambda native=native: native)
        main("work/mine/data/JPEGImages", "--precision", "auto")
        assert told in capsys.readouterr().err


def test_photos_with_odd_names_and_links_that_lead_nowhere(run, tmp_path):
    """The longest name there is, one that is no UTF-8, a link that leads to itself."""
    photos = tmp_path / "odd"
    photos.mkdir()
    photo = (run / "data/JPEGImages/0.jpg").read_bytes()
    (photos / f"{'n' * 251}.jpg").write_bytes(photo)
    (photos / "new\nline.jpg").write_bytes(photo)
    assert main(photos) == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 2
    (photos / "loop.jpg").symlink_to("loop.jpg")
    with pytest.raises(UserError, match="loop.jpg: a link to a photo that is not there$"):
        main(photos / "loop.jpg")
    (photos / os.fsdecode(b"s\xff.jpg")).write_bytes(photo)
    with pytest.raises(UserError, match=r"s\\udcff\.jpg: its name is no UTF-8, and results could not name it"):
        main(photos)
