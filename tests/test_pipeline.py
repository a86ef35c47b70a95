"""run.sh from end to end on a tiny made data set: every stage, what it promises, and how it refuses."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dsrg.report.run_state import read_state
from tests.conftest import PATIENCE, ROOT

STAGES_WITHOUT_MASKS = "lists,cam,cues,train-s,label,train-f"
WEIGHTS = ("models/cam_iter_3.caffemodel", "models/s_iter_3.caffemodel", "models/f_iter_3.caffemodel")


def environment(**settings):
    """The caller's environment with the pipeline's own variables as given, in fp32 on few threads."""
    own = ("DATA_ROOT", "WEIGHTS", "VGG_WEIGHTS", "CUES", "INPUT_LIST", "MASKS", "BATCH", "SEED", "STAGES", "DEVICE",
           "ENGINE", "CRF_BACKEND", "SNAPSHOT_KEEP", "NPROC", "TENSORBOARD", "ABLATION", "EXPERIMENT")
    keep = {k: v for k, v in os.environ.items() if k not in own}
    return {**keep, "PRECISION": "fp32", "OMP_NUM_THREADS": "2", "LIVE_PAGE": "0",
            **{k: str(v) for k, v in settings.items()}}


def run(*arguments, timeout=PATIENCE, **settings):
    return subprocess.run(["bash", ROOT / "run.sh", *arguments], env=environment(**settings), text=True,
                          capture_output=True, timeout=timeout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("pipeline")
    command = ["tools.make_demo_data", "--out", path / "data", "--train", "16", "--val", "4"]
    subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def whole_run(folder):
    """The run folder of a demo of three iterations a training, every stage."""
    result = run("demo", DATA_ROOT=folder / "data", WORK=folder / "work", MAX_ITER=3, LIVE_PAGE=1)
    assert result.returncode == 0, result.stdout + result.stderr
    (folder / "output.txt").write_text(result.stdout)
    (folder / "notes.txt").write_text(result.stderr)
    return folder / "work" / "demo"


def test_ends_with_the_table(whole_run, folder):
    table = (folder / "output.txt").read_text()
    for row in ("localisation cues | train", "static seeds (growing off) | val", "DSRG, stage s | val",
                "pseudo-labels | train", "retrained, stage f | val", "fully supervised | val",
                "retrained / fully supervised | val"):
        assert f"| {row} |" in table
    assert (whole_run / "results/report.png").stat().st_size > 10_000
    assert "DSRG, stage s</th><td>val</td>" in (whole_run / "report.html").read_text()
    assert (whole_run / "results/report.md").read_text().strip() in table


def test_stages_are_told_on_stdout_and_progress_on_stderr_in_plain_text(whole_run, folder):
    out, notes = (folder / "output.txt").read_text(), (folder / "notes.txt").read_text()
    assert "\x1b" not in out + notes and "\r" not in out + notes, "no colours, no bars"
    begun = re.findall(r"^\[(\d+)/23\] (\S+): (?:tools|training|localization_cues)\.", out, re.MULTILINE)
    done = re.findall(r"^\[(\d+)/23\] (\S+): \d+ s, peak \d+ MiB$", out, re.MULTILINE)
    assert done and begun == [*done, ("23", "report")] and ("4", "cam") in begun
    assert "/23] " not in notes
    assert re.search(r"^cam: 3/3, loss \S+, lr \S+, \d\d:\d\d passed, 00:00 left", notes, re.MULTILINE)
    assert "/3, loss" not in out


def test_the_run_has_told_who_watches_it_and_its_page_is_still(whole_run):
    state = read_state(whole_run)
    assert (state["state"], state["status"], state["number"], state["of"]) == ("done", 0, 23, 23)
    assert "renews itself" not in (whole_run / "report.html").read_text()
    assert "Iteration 0, lr = " in (whole_run / "logs/train-s.log").read_text()


def test_every_val_photo_is_segmented_by_every_model(whole_run):
    ids = (whole_run / "lists/val_id.txt").read_text().split()
    for model in ("static", "s", "f", "full"):
        assert {p.stem for p in (whole_run / "segmentations" / model).glob("*.png")} == set(ids)


def test_the_run_holds_what_made_it(whole_run):
    assert (whole_run / "models/s_solver.prototxt").exists() and (whole_run / "models/static_net.prototxt").exists()
    stamp = json.loads((whole_run / "stamps/train-s.json").read_text())
    assert stamp["seconds"] > 0 and "training.train" in stamp["command"]


def test_second_call_does_nothing_again(whole_run, folder):
    before = {p: p.stat().st_mtime_ns for p in whole_run.rglob("models/*")}
    result = run("demo", DATA_ROOT=folder / "data", WORK=folder / "work", MAX_ITER=3)
    assert result.returncode == 0, result.stderr
    assert "[10/23] train-f: done\n" in result.stdout and "[22/23] evaluate-full: done\n" in result.stdout
    assert {p: p.stat().st_mtime_ns for p in whole_run.rglob("models/*")} == before
    assert not (whole_run / "stale").exists()


def test_photos_without_true_masks_are_left_out_of_the_evaluation(whole_run, folder):
    """As with VOC's own masks and the longer list of SBD; MASKS names another folder of them."""
    root = folder / "val-masks"
    shutil.copytree(folder / "data", root)
    (root / "SegmentationClass").rename(root / "Masks")
    for image_id in (whole_run / "lists/train_id.txt").read_text().split():
        (root / "Masks" / f"{image_id}.png").unlink()
    work = folder / "work3"
    shutil.copytree(whole_run, work / "demo", symlinks=True)
    for result in (work / "demo/results").glob("*.json"):
        result.unlink()
    result = run("demo", "--stages", "evaluate", DATA_ROOT=root, MASKS="Masks", WORK=work, MAX_ITER=3)
    assert result.returncode == 0, result.stderr
    assert "evaluate-cues: left out, 16 photos of lists/train_id.txt have no mask in DATA_ROOT/Masks" in result.stdout
    made = {path.stem for path in (work / "demo/results").glob("*.json")}
    assert made == {"static", "s", "f", "full"}


#: stage -> (signal that comes once it has begun, to the whole process group, exit status)
KILLS = {"cam": (signal.SIGTERM, False, 143), "cues": (signal.SIGINT, True, 130), "train-s": (signal.SIGKILL, True, -9),
         "label": (signal.SIGTERM, True, 143), "train-f": (signal.SIGKILL, False, -9)}


def test_weak_training_reads_no_mask_and_a_run_killed_in_stage_after_stage_goes_on(whole_run, folder):
    """The same run without SegmentationClass, killed once in every stage, ends with the same weights and labels."""
    bare = folder / "bare"
    shutil.copytree(folder / "data", bare)
    shutil.rmtree(bare / "SegmentationClass")
    settings = environment(DATA_ROOT=bare, WORK=folder / "work2", MAX_ITER=3)
    command = ["bash", ROOT / "run.sh", "demo", "--stages", STAGES_WITHOUT_MASKS]
    other = folder / "work2" / "demo"
    for stage, (number, to_group, status) in KILLS.items():
        process = subprocess.Popen(command, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   start_new_session=True)
        wait_for(other / f"stamps/{stage}.begun", process)
        (os.killpg if to_group else os.kill)(process.pid, number)
        assert process.wait(PATIENCE) == status, stage
        wait_for_the_end_of_all_in(other)
        assert not (other / f"stamps/{stage}.json").exists()
    last = subprocess.run(command, env=settings, text=True, capture_output=True, timeout=PATIENCE)
    assert last.returncode == 0, last.stdout + last.stderr
    assert "[6/7] label: done\n" in last.stdout
    for name in WEIGHTS:
        assert (other / name).read_bytes() == (whole_run / name).read_bytes(), f"{name} differs without the masks"
    for label in (whole_run / "labels").glob("*.png"):
        assert (other / "labels" / label.name).read_bytes() == label.read_bytes()


@pytest.mark.parametrize(("to_group", "number", "status"), [
    (True, signal.SIGINT, 130), (False, signal.SIGINT, 130), (False, signal.SIGTERM, 143), (True, signal.SIGTERM, 143),
    (False, signal.SIGHUP, 129),
], ids=["Ctrl-C", "SIGINT to run.sh", "SIGTERM to run.sh", "SIGTERM to all", "SIGHUP to run.sh"])
def test_a_signal_ends_the_iteration_and_says_how_to_go_on(folder, tmp_path, to_group, number, status):
    """With a snapshot, no process left, and a command that goes on where it is printed."""
    settings = environment(DATA_ROOT=folder / "data", WORK=tmp_path / "my work", MAX_ITER=100000, BATCH=2)
    command = ["bash", ROOT / "run.sh", "demo", "--stages", "lists,cam"]
    process = subprocess.Popen(command, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               start_new_session=True)
    run_folder = tmp_path / "my work/demo"
    wait_for(run_folder / "logs/cam.jsonl", process, lambda log: len(log.read_text().splitlines()) > 2)
    (os.killpg if to_group else os.kill)(process.pid, number)
    error = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == status, error
    done = [json.loads(line)["iteration"] for line in (run_folder / "logs/cam.jsonl").read_text().splitlines()]
    assert (run_folder / f"models/cam_iter_{done[-1] + 1}.solverstate").is_file(), error
    assert not processes_in(run_folder)
    again = error.strip().splitlines()[-1].strip()
    assert again.endswith(f"bash {ROOT}/run.sh demo --stages lists,cam") and f"WORK='{tmp_path}/my work'" in again
    assert error.count("go on with") == 1 and "python -m training.train" not in error
    keep = {k: v for k, v in settings.items() if k not in ("DATA_ROOT", "WORK", "MAX_ITER", "BATCH", "PRECISION")}
    plan = subprocess.run(["bash", "-c", f"{again} --plan"], env=keep, cwd=tmp_path, text=True, capture_output=True,
                          timeout=PATIENCE)
    assert "cam: will run: it was stopped before its end, and goes on from what is there" in plan.stdout, plan.stderr


def test_nothing_outlives_a_killed_run(folder, tmp_path):
    settings = environment(DATA_ROOT=folder / "data", WORK=tmp_path, MAX_ITER=100000, BATCH=2)
    process = subprocess.Popen(["bash", ROOT / "run.sh", "demo", "--stages", "lists,cam"], env=settings,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(tmp_path / "demo/logs/cam.jsonl", process)
    assert processes_in(tmp_path / "demo")
    other = run("demo", "--stages", "lists", DATA_ROOT=folder / "data", WORK=tmp_path)
    assert other.returncode == 1 and f"is in use by process {process.pid} on " in other.stderr
    process.kill()
    process.wait()
    wait_for_the_end_of_all_in(tmp_path / "demo")


def processes_in(folder):
    """Numbers of the processes that work in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if Path(os.readlink(entry)) == folder:
                found.append(int(entry.parent.name))
    return found


def wait_for_the_end_of_all_in(folder):
    end = time.monotonic() + 20
    while processes_in(folder):
        assert time.monotonic() < end, "a stage outlived its run"
        time.sleep(0.1)


def wait_for(path, process, enough=lambda path: True, seconds=200):
    end = time.monotonic() + seconds
    while not (path.exists() and enough(path)):
        assert process.poll() is None, "the run ended before it was killed"
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.05)


@pytest.mark.parametrize(("arguments", "settings", "status", "says"), [
    (["nope"], {}, 2, "unknown experiment 'nope'; expected one of: coco-vgg16 demo "),
    (["demo", "--stages", "cue"], {}, 2, "unknown stage 'cue'; expected some of: data check lists"),
    (["--fast"], {}, 2, "unrecognized arguments: --fast; see --help"),
    (["demo", "demo"], {}, 2, "one experiment at a time"),
    (["demo"], {"SEED": "x"}, 2, "SEED=x: expected a whole number"),
    (["demo"], {"ENGINE": "tensorflow"}, 2, "ENGINE=tensorflow: expected auto, embedded or caffe"),
    (["voc12-vgg16"], {}, 2, "experiment voc12-vgg16 needs DATA_ROOT, a folder in VOC layout"),
    (["voc12-vgg16"], {"DATA_ROOT": "/no/such"}, 1, "DATA_ROOT=/no/such: no such folder"),
    (["voc12-vgg16"], {"DATA_ROOT": "EMPTY"}, 1, "has no folder JPEGImages"),
    (["voc12-vgg16"], {"DATA_ROOT": "DATA"}, 2, "experiment voc12-vgg16 needs WEIGHTS, VGG16 trained on ImageNet"),
    (["voc12-vgg16"], {"DATA_ROOT": "DATA", "WEIGHTS": "/no/such"}, 1, "WEIGHTS=/no/such: no such file"),
    (["demo"], {"CUES": "/no/such"}, 1, "CUES=/no/such: no such file"),
    (["demo"], {"INPUT_LIST": "/no/such"}, 1, "INPUT_LIST=/no/such: no such file"),
    (["demo"], {"BATCH": "0"}, 2, "BATCH=0: expected a whole number, 1 or more"),
])
def test_refuses_in_one_line(folder, tmp_path, arguments, settings, status, says):
    places = {"EMPTY": tmp_path, "DATA": folder / "data"}
    result = run(*arguments, WORK=tmp_path / "work", **{k: places.get(v, v) for k, v in settings.items()})
    assert result.returncode == status
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and says in lines[0]
    assert not (tmp_path / "work").exists()


def test_an_ablation_that_does_not_fit_is_refused_before_anything_is_trained(folder, tmp_path):
    weights = folder / "w.caffemodel"
    weights.touch()
    result = run("voc12-sec", "--ablation", "static", DATA_ROOT=folder / "data", WEIGHTS=weights, WORK=tmp_path)
    assert result.returncode == 1
    assert "error: ablation static: train-s.prototxt: the net has no layer 'update-seed'" in result.stderr
    assert not (tmp_path / "voc12-sec").exists() and not (tmp_path / "voc12-sec-static").exists()


def test_help_lists_experiments_stages_and_settings():
    result = run("--help")
    assert result.returncode == 0
    for word in ("demo", "voc12-vgg16", "train-s", "DATA_ROOT", "PRECISION [auto]"):
        assert word in result.stdout


def test_set_up_with_nothing_changed_is_quick():
    subprocess.run(["bash", ROOT / "setup.sh"], check=True, capture_output=True)
    result = subprocess.run(["bash", ROOT / "setup.sh"], check=True, capture_output=True, text=True)
    assert result.stdout == "", "nothing has changed, so nothing is installed or built"


def test_paths_named_in_readmes_exist():
    """Links of every README lead somewhere, and so do the modules that its commands name."""
    import re

    for readme in [ROOT / "README.md", *ROOT.glob("*/README.md"), *ROOT.glob("prototxts/*/README.md")]:
        if "work" in readme.relative_to(ROOT).parts or ".venv" in readme.parts:
            continue
        text = readme.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (readme.parent / target).exists(), f"{readme}: {target}"
        for module in re.findall(r"python -m ((?:tools|training|localization_cues|benchmarks)\.[a-z]\w*)", text):
            path = Path(ROOT, *module.split("."))
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), f"{readme}: {module}"
