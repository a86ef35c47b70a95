"""Runs as people meet them: plans, choices, edited prototxts, older folders, ablations, failures, times."""

import json
import os
import shutil

import pytest

from dsrg.io.errors import UserError
from dsrg.pipeline.locks import Lock
from dsrg.pipeline.processes import Ended, Stopped
from dsrg.pipeline.runner import environment, execute
from dsrg.pipeline.settings import UsageError
from tests.dsrg.pipeline.miniature import Miniature, write
from tests.dsrg.pipeline.test_redone import AFTER_LISTS, AFTER_S, DATA, EVALUATE, REFERENCE, SEGMENT, change


@pytest.fixture
def toy(tmp_path):
    return Miniature(tmp_path)


# ---- plans -----------------------------------------------------------------------------------------------------


def test_a_plan_of_a_new_run_writes_nothing(toy):
    plan = toy.plan()
    assert plan["data"] == "left out, DATA_ROOT is given" and plan["lists"] == "will run: it has not run"
    assert plan["cues"] == "will run after lists, cam" and plan["report"] == "runs each time"
    assert not toy.run_folder.exists()


def test_a_plan_says_what_changed(toy):
    toy.run()
    before = {path: path.stat().st_mtime_ns for path in toy.run_folder.rglob("*") if path.is_file()}
    write(toy.data, "JPEGImages/b.jpg", "other")
    solver = (toy.experiment / "solver-f.prototxt").read_text()
    change(toy.experiment, "solver-f.prototxt")
    plan = toy.plan()
    assert plan["lists"] == "done"
    assert plan["cam"] == "will run: photos of lists/input_list.txt changed: data/JPEGImages/b.jpg"
    assert plan["train-f"] == ("will run: solver-f.prototxt changed; photos of lists/train_f.txt changed: "
                               "data/JPEGImages/b.jpg")
    assert plan["segment-f"] == "done, unless train-f makes something else"
    toy.set(crf_backend="pydensecrf")
    assert "CRF backend: own -> pydensecrf" in toy.plan()["label"]
    toy.set(max_iter=6)
    assert "its command changed: '--max-iter 6' added" in toy.plan()["cam"]
    (toy.run_folder / "models/full_iter_8.caffemodel").unlink()
    toy.set(crf_backend="own", max_iter=None)
    assert toy.plan()["full"].startswith("will run: solver-f.prototxt changed; photos of lists/train_full.txt changed")
    change(toy.experiment, "solver-f.prototxt", solver)
    write(toy.data, "JPEGImages/b.jpg", "photo b")
    assert toy.plan()["full"] == "will run: models/full_iter_8.caffemodel is gone, and goes on from what is there"
    assert {path: path.stat().st_mtime_ns for path in toy.run_folder.rglob("*") if path in before} == {
        path: time for path, time in before.items() if path.exists()}, "a plan changes nothing"


def test_a_plan_names_the_code_that_changed(toy, tmp_path, monkeypatch):
    from dsrg.pipeline.code_digests import ROOT
    from dsrg.pipeline.stamps import Stamps

    for name in ("dsrg", "tools", "training"):
        shutil.copytree(ROOT / name, tmp_path / "code" / name, ignore=shutil.ignore_patterns("__pycache__", "build"))
    monkeypatch.setattr(Stamps, "root", tmp_path / "code")
    toy.run("lists")
    path = tmp_path / "code/tools/make_lists.py"
    path.write_text(path.read_text() + "\nCHANGED = 1\n")
    assert toy.plan("lists")["lists"] == "will run: code changed: tools/make_lists.py"


# ---- choices ---------------------------------------------------------------------------------------------------


def test_stages_are_numbered_and_said_to_be_done(toy):
    toy.run("lists", "cam")
    assert toy.said[0].startswith("[1/3] lists: tools.make_lists --data data") and toy.said[1] == "[1/3] lists: 0 s, " \
        "peak 10 MiB"
    toy.run("lists", "cam")
    assert toy.said == ["[1/3] lists: done", "[2/3] cam: done", "[3/3] cam-quality: done"]


def test_from_a_stage_on(toy):
    toy.run()
    write(toy.data, "JPEGImages/b.jpg", "other")
    assert toy.run(start="train-f") == {"train-f", "full", "segment-f", "segment-full", "calibrate", "evaluate-f",
                                       "evaluate-full"}


def test_a_group_and_one_of_its_stages(toy):
    toy.run()
    shutil.rmtree(toy.run_folder / "segmentations")
    assert toy.run("segment-f") == {"segment-f"}
    assert toy.run("segment") == SEGMENT - {"segment-f"}


def test_force_runs_what_is_done_and_keeps_the_earlier_results(toy):
    toy.run()
    assert toy.run("train-f", force=True) == {"train-f"}
    assert (toy.run_folder / "stale/train-f-1/models/f_iter_8.caffemodel").is_file()
    assert (toy.run_folder / "stale/train-f-1/models/f_iter_4.solverstate").is_file()
    assert toy.run("train-f", force=True) == {"train-f"}
    assert (toy.run_folder / "stale/train-f-2/models/f_iter_8.caffemodel").is_file()


def test_a_stage_whose_inputs_are_not_there_says_what_to_run(toy):
    with pytest.raises(UserError, match="stage cues: models/cam_iter_8.caffemodel does not exist in .*; run what "
                                        "makes it first: --stages lists,cam$"):
        toy.run("lists", "cues")
    with pytest.raises(UserError, match="--stages lists,train-s$"):
        toy.run(start="label")


def test_weights_are_asked_for_by_the_stages_that_start_from_them(toy):
    text = (toy.experiment / "settings.yaml").read_text()
    (toy.experiment / "settings.yaml").write_text(text + "needs: {WEIGHTS: VGG16}\n")
    toy.set(weights={})
    with pytest.raises(UsageError, match="experiment toy needs WEIGHTS, VGG16; stage cam starts from it"):
        toy.run()
    with pytest.raises(UsageError, match="stage train-s starts from it"):
        toy.run("train-s")
    assert toy.run("lists") == {"lists"}
    toy.parts("label", "train-f", "segment", "evaluate", "report")
    toy.set(cues=toy.folder / "init.caffemodel")
    with pytest.raises(UsageError, match="stage static starts from it"):
        toy.run()


def test_masks_that_are_missing_leave_out_what_needs_them(toy):
    toy.run("lists")
    (toy.data / "SegmentationClass/b.png").unlink()
    assert toy.run() == AFTER_LISTS - {"evaluate-cues", "evaluate-labels", *REFERENCE} | {"check"}
    reason = "1 photo of lists/train_id.txt has no mask in DATA_ROOT/SegmentationClass"
    said = "\n".join(toy.said)
    assert f"evaluate-cues: left out, {reason}" in said and f"full: left out, {reason}" in said
    with pytest.raises(FileNotFoundError, match="b.png"):       # asked for by name, the reference reads all masks
        toy.run("full")


def test_without_masks_there_is_no_reference_and_nothing_to_measure(toy):
    shutil.rmtree(toy.data / "SegmentationClass")
    assert toy.run() == (AFTER_LISTS | DATA) - EVALUATE - REFERENCE - {"evaluate-cues", "evaluate-labels"}
    assert "[11/23] full: left out, DATA_ROOT has no SegmentationClass" in toy.said
    with pytest.raises(UserError, match="stage full learns from true masks, but .*data-root has no SegmentationClass"):
        toy.run("full")


@pytest.mark.parametrize(("gone", "reason"), [
    ("SegmentationClass", "left out, DATA_ROOT has no SegmentationClass"),
    ("SegmentationClass/e.png", "left out, 1 photo of lists/val_id.txt has no mask in DATA_ROOT/SegmentationClass"),
])
def test_a_plan_of_a_new_run_knows_what_missing_masks_will_leave_out(toy, gone, reason):
    path = toy.data / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    plan = toy.plan()
    models = EVALUATE - {"evaluate-full"}       # without any mask there is no reference to evaluate
    assert {stage: verdict for stage, verdict in plan.items() if stage in models} == dict.fromkeys(models, reason)
    told = {stage for stage, verdict in plan.items() if verdict.startswith("left out")}
    toy.run()
    assert {line.split()[1].rstrip(":") for line in toy.said if "left out" in line} == told


def test_masks_that_come_later_are_taken_up(toy):
    shutil.move(toy.data / "SegmentationClass", toy.folder / "masks")
    toy.run()
    shutil.move(toy.folder / "masks", toy.data / "SegmentationClass")
    assert toy.plan()["lists"] == "will run: folder of the masks changed"
    assert {"lists", "full", *EVALUATE} <= toy.run()


# ---- solvers ---------------------------------------------------------------------------------------------------


def test_a_changed_snapshot_prefix_is_followed(toy):
    toy.run()
    change(toy.experiment, "solver-s.prototxt",
           (toy.experiment / "solver-s.prototxt").read_text().replace("models/s", "models/dsrg"))
    assert toy.run() == AFTER_S
    assert (toy.run_folder / "models/dsrg_iter_8.caffemodel").is_file()
    label = json.loads((toy.run_folder / "stamps/label.json").read_text())
    assert "models/dsrg_iter_8.caffemodel" in label["command"]
    assert toy.run() == set()


@pytest.mark.parametrize(("prefix", "message"), [
    ("models/cam", "the trainings cam and s have one snapshot_prefix, 'models/cam'"),
    ("models/static", "the trainings s and static have one snapshot_prefix"),
    ("models/full", "the trainings s and full have one snapshot_prefix"),
    ("models/", "names no file"), ("/tmp/s", "leads out of the run"), ("../s", "leads out of the run"),
    ("data/s", "leads out of the run"),
])
def test_a_snapshot_prefix_that_cannot_work_is_refused_by_name(toy, prefix, message):
    change(toy.experiment, "solver-s.prototxt",
           (toy.experiment / "solver-s.prototxt").read_text().replace("models/s", prefix))
    with pytest.raises(UserError, match=message):
        toy.run()
    assert not toy.run_folder.exists()


def command_of(toy, stage):
    return json.loads((toy.run_folder / f"stamps/{stage}.json").read_text())["command"]


def test_the_reference_is_trained_as_stage_f_on_the_true_masks(toy):
    toy.run()
    words = " ".join(command_of(toy, "full"))
    assert "--solver solver-f.prototxt" in words
    assert "--set data.source=lists/train_full.txt --snapshot-prefix models/full" in words
    reads = json.loads((toy.run_folder / "stamps/full.json").read_text())["reads"]
    assert {"photos of lists/train_full.txt", "label maps of lists/train_full.txt"} <= reads.keys()
    assert not {"lists/train_f.txt", "label maps of lists/train_f.txt"} & reads.keys()


def test_a_reference_with_a_solver_of_its_own_is_trained_by_that(toy):
    """Experiments made when every experiment had one go on as they are."""
    f = (toy.experiment / "solver-f.prototxt").read_text()
    write(toy.experiment, "solver-full.prototxt",
          f.replace("train-f", "train-full").replace("models/f", "models/whole"))
    net = (toy.experiment / "train-f.prototxt").read_text()
    write(toy.experiment, "train-full.prototxt", net.replace("train_f.txt", "train_full.txt"))
    toy.run()
    words = command_of(toy, "full")
    assert "solver-full.prototxt" in words and not {"--set", "--snapshot-prefix"} & set(words)
    assert (toy.run_folder / "models/whole_iter_8.caffemodel").is_file()
    change(toy.experiment, "solver-f.prototxt")
    assert "full" not in toy.run()
    change(toy.experiment, "train-full.prototxt")
    assert toy.run() == {"full", "segment-full", "evaluate-full"}


def test_a_net_without_the_layer_that_the_reference_changes_is_refused_by_name(toy):
    path = toy.experiment / "train-f.prototxt"
    path.write_text(path.read_text().replace('"data"', '"masks"'))
    with pytest.raises(UserError, match="train-f.prototxt has no Python layer 'data' for data.source=.*: masks; "):
        toy.run()
    settings = toy.experiment / "settings.yaml"
    settings.write_text(settings.read_text() + "full: masks.source=lists/train_full.txt\n")
    toy.run("full")
    assert "masks.source=lists/train_full.txt" in command_of(toy, "full")


def test_prefixes_that_begin_alike_keep_their_files_apart(toy):
    change(toy.experiment, "solver-f.prototxt",
           (toy.experiment / "solver-f.prototxt").read_text().replace("models/f", "models/s_iter"))
    toy.run()
    change(toy.experiment, "solver-s.prototxt")
    toy.run("train-s")
    assert {p.name for p in (toy.run_folder / "stale/train-s-1/models").iterdir()} == {
        "s_iter_4.caffemodel", "s_iter_4.solverstate", "s_iter_8.caffemodel", "s_iter_8.solverstate",
        "s_net.prototxt", "s_solver.prototxt"}


# ---- prototxts edited in the run's folder ----------------------------------------------------------------------


def test_an_edited_copy_is_named_and_neither_used_nor_lost(toy):
    toy.run("lists", "cam", "cues", "train-s")
    copy = toy.run_folder / "train-s.prototxt"
    change(toy.run_folder, "train-s.prototxt")
    edited = copy.read_text()
    for _ in range(2):
        with pytest.raises(UserError, match=f"{copy} was edited: .* add --keep-edits; .* remove the copy"):
            toy.run()
    with pytest.raises(UserError, match="was edited"):
        toy.plan()
    assert copy.read_text() == edited
    assert toy.run("train-s", keep_edits=True) == {"train-s"} and copy.read_text() == edited
    with pytest.raises(UserError, match="was edited"):
        toy.run()
    copy.unlink()
    assert toy.run("train-s") == {"train-s"}
    assert copy.read_text() == (toy.experiment / "train-s.prototxt").read_text()


@pytest.mark.parametrize("where", ["experiment", "run_folder"])
@pytest.mark.parametrize("kind", ["bytes", "fifo"])
def test_a_prototxt_that_is_no_text_is_named(toy, where, kind):
    path = getattr(toy, where) / "train-s.prototxt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(b"\xff\xfe") if kind == "bytes" else os.mkfifo(path)
    if (where, kind) == ("run_folder", "fifo"):
        assert toy.plan()["train-s"]        # nothing of the run reads it there
        return
    with pytest.raises(UserError, match="train-s.prototxt is (not text|a FIFO); expected a"):
        toy.plan()


def test_an_edit_that_went_into_the_experiment_too_is_taken(toy):
    toy.run("lists", "cam")
    change(toy.run_folder, "solver-cam.prototxt")
    shutil.copy(toy.run_folder / "solver-cam.prototxt", toy.experiment)
    assert toy.run("lists", "cam") == {"cam", "cam-quality"}
    change(toy.experiment, "solver-cam.prototxt")
    assert toy.run("lists", "cam") == {"cam", "cam-quality"}, "and the copy follows the experiment again"


def test_a_copy_whose_original_is_gone_is_removed_unless_it_was_edited(toy):
    """Of two copies the edited one is named; runs go on when it is removed."""
    for name in ("train-full.prototxt", "old.prototxt"):
        shutil.copy(toy.experiment / "train-f.prototxt", toy.experiment / name)
    toy.run("lists")
    for name in ("train-full.prototxt", "old.prototxt"):
        (toy.experiment / name).unlink()
    change(toy.run_folder, "train-full.prototxt")
    edited = toy.run_folder / "train-full.prototxt"
    with pytest.raises(UserError, match=f"{edited} was edited, but the experiment has no train-full.prototxt any more"):
        toy.run("lists")
    assert toy.run("lists", keep_edits=True) == set() and edited.is_file()
    assert not (toy.run_folder / "old.prototxt").exists()
    edited.unlink()
    assert toy.run("lists") == set()


# ---- folders of an earlier version -----------------------------------------------------------------------------


def test_an_older_folder_is_refused_with_the_remedy_and_adopted(toy):
    toy.run()
    for path in (toy.run_folder / "stamps").glob("*.json"):
        record = json.loads(path.read_text())
        path.write_text(json.dumps({"hash": "0", "command": record["command"], "seconds": 7.5, "peak_mib": 99}))
    shutil.rmtree(toy.run_folder / "stamps/manifests")
    (toy.run_folder / "stamps/prototxts.copied").unlink()
    shutil.rmtree(toy.run_folder / "segmentations/f")
    with pytest.raises(UserError, match="was made by an earlier version.*add --adopt once"):
        toy.run()
    assert toy.run(adopt=True) == set()
    assert "[14/23] segment-f: not done, nothing to adopt" in toy.said and "[8/23] train-s: adopted" in toy.said
    assert json.loads((toy.run_folder / "stamps/train-s.json").read_text())["seconds"] == 7.5
    assert toy.run() == {"segment-f", "calibrate", "evaluate-f"}


def test_what_is_not_whole_is_not_adopted_and_goes_on_from_what_is_there(toy):
    toy.run()
    maps = {path.name: path.read_text() for path in (toy.run_folder / "labels").iterdir()}
    models = {path.name for path in (toy.run_folder / "models").glob("full_iter_*")}
    change(toy.experiment, "deploy.prototxt")
    # stage label was stopped behind its first map, a map of segment-f was lost, and stage full lost its model alone
    stamps = toy.run_folder / "stamps"
    (stamps / "label.json").rename(stamps / "label.begun")
    for name in ("labels/b.png", "segmentations/f/d.png", "models/full_iter_8.caffemodel"):
        (toy.run_folder / name).unlink()
    assert toy.run(adopt=True) == set()
    assert "[9/23] label: not done; goes on from what is there" in toy.said
    assert "[14/23] segment-f: not whole, segmentations/f/d.png is gone; goes on from what is there" in toy.said
    assert "[11/23] full: not done, nothing to adopt" in toy.said
    assert "[15/23] segment-full: not done, what it reads is not there" in toy.said
    assert {"full", "label", "segment-f", "segment-full"} <= toy.run()
    assert {path.name for path in (toy.run_folder / "labels").iterdir()} == set(maps)
    assert {path.name for path in (toy.run_folder / "models").glob("full_iter_*")} == models
    assert not {"label-1", "full-1"} & {path.name for path in (toy.run_folder / "stale").iterdir()}


# ---- ablations -------------------------------------------------------------------------------------------------


def test_an_ablation_takes_data_classifier_and_cues_of_the_plain_run(toy):
    plain = toy.run_folder
    toy.set(ablation="static")
    assert toy.run() == {*DATA, "cam", "cam-quality", "cues", "train-s", "segment-s", "evaluate-s",
                         "evaluate-cues"}
    assert "== ablation static: no growing" in toy.said
    assert (toy.run_folder / "ablation.txt").read_text() == "static: no growing\n"
    assert r"\'grow\': False" in (toy.run_folder / "train-s.prototxt").read_text()
    assert os.path.realpath(toy.run_folder / "cues/localization_cues.pickle") == str(
        plain / "cues/localization_cues.pickle")
    assert toy.run() == set()
    toy.set(ablation="")
    assert toy.run("lists", "cam", "cues") == set(), "they are the plain run's"
    change(toy.experiment, "cam-deploy.prototxt")
    toy.set(ablation="static")
    assert toy.run() == {"cam-quality", "cues", "train-s", "segment-s", "evaluate-s", "evaluate-cues"}


def test_an_ablation_of_cues_makes_its_own_by_the_plain_runs_classifier(toy):
    plain = toy.run_folder
    write(toy.folder, "prototxts/ablations/other-cues.yaml", "says: surer cues\narguments: {cues: --threshold 0.6}\n")
    toy.set(ablation="other-cues")
    toy.run()
    made = [command for command in toy.commands.commands if command[2] == "localization_cues.make_cues"]
    assert [command[-2:] for command in made] == [["--threshold", "0.3"], ["--threshold", "0.6"]]
    assert made[1][made[1].index("--weights") + 1] == os.path.relpath(
        plain / made[0][made[0].index("--weights") + 1], toy.run_folder)
    cues = toy.run_folder / "cues/localization_cues.pickle"
    assert cues.is_file() and not cues.is_symlink()
    assert toy.run() == set()
    write(toy.folder, "prototxts/ablations/other-cues.yaml", "says: surer cues\narguments: {cues: --threshold 0.7}\n")
    assert toy.run() == {"cues", "train-s", "segment-s", "evaluate-s", "evaluate-cues"}
    toy.set(ablation="")
    assert toy.run("lists", "cam", "cues") == set(), "the plain run's are as they were"


def test_an_ablation_of_the_retraining_goes_on_from_the_plain_runs_stage_s(toy):
    plain = toy.run_folder
    write(toy.folder, "prototxts/ablations/flip.yaml", "says: mirrored\narguments: {label: --sizes 33 --flip}\n")
    toy.set(ablation="flip")
    plan = toy.plan()
    assert plan["train-s"] == "left out, the plain run's is taken" and "static" not in plan and "full" not in plan
    toy.run()
    trained = [command for command in toy.commands.commands if command[2] == "training.train"]
    assert [command[command.index("--solver") + 1] for command in trained] == [
        "solver-cam.prototxt", "solver-s.prototxt", "solver-f.prototxt"]
    start = trained[2][trained[2].index("--weights") + 1]
    assert start == os.path.relpath(plain / "models/s_iter_8.caffemodel", toy.run_folder)
    label = next(command for command in toy.commands.commands if command[2] == "tools.segment")
    assert label[label.index("--weights") + 1] == start and label[-1] == "--flip"
    assert toy.run() == set()
    change(toy.experiment, "train-s.prototxt")
    assert {"train-s", "label", "train-f"} <= toy.run(), "of the plain run, and what depends on it"
    toy.set(ablation="")
    assert toy.run("train-s") == set()


def test_two_ablations_read_one_plain_run_at_a_time_and_none_changes_it_meanwhile(toy):
    plain = toy.run_folder
    toy.run("check", "lists", "cam", "cues")
    with Lock(plain / ".lock", "the plain run", shared=True):
        toy.set(ablation="static")
        toy.run("lists", "train-s")
        change(toy.experiment, "cam-deploy.prototxt")
        with pytest.raises(UserError, match=f"{plain} is in use by process {os.getpid()} on "):
            toy.run("lists", "train-s")


# ---- failures and times ----------------------------------------------------------------------------------------


def test_one_run_a_folder(toy):
    with Lock(toy.run_folder / ".lock", "x"):
        with pytest.raises(UserError, match=f"{toy.run_folder} is in use by process {os.getpid()} on .* since 20"):
            toy.run("lists")
        assert toy.plan("lists") == {"lists": "will run: it has not run"}
    assert toy.run("lists") == {"lists"}


def test_a_stage_that_fails_ends_the_run_with_its_status(toy):
    def fail(command):
        raise AssertionError("must not go on")

    toy.run("check", "lists")
    toy.commands.run = lambda *_: Ended(3, 1)
    toy.commands.before = fail
    found = toy.parts()
    assert execute(found, toy.choice, toy.said.append, toy.commands) == 3
    assert not (toy.run_folder / "stamps/cam.json").exists() and (toy.run_folder / "stamps/cam.begun").exists()


def test_a_disk_that_is_full_leaves_the_last_word_to_the_stage(toy, monkeypatch):
    """What the runner notes of its time is lost then, and neither the stage's status nor that of a signal."""
    toy.run("lists")

    def full(command, folder, environment, every):
        monkeypatch.setattr("dsrg.pipeline.stamps.write_text", refuse)
        every(30.0)
        return Ended(3, 1)

    def refuse(path, text):
        raise UserError(f"cannot write {path}: No space left on device")

    toy.commands.run = full
    assert execute(toy.parts("cam"), toy.choice, toy.said.append, toy.commands) == 3
    monkeypatch.undo()
    toy.commands.run, toy.commands.wanted = full, 15
    with pytest.raises(Stopped):
        execute(toy.parts("cam"), toy.choice, toy.said.append, toy.commands)


def test_a_quiet_run_has_quiet_stages(toy, monkeypatch):
    monkeypatch.setattr("dsrg.io.terminal._quiet", True)
    assert environment(toy.settings)["QUIET"] == "1"
    monkeypatch.setattr("dsrg.io.terminal._quiet", False)
    assert environment(toy.settings)["QUIET"] == ""


def test_a_stage_that_does_not_make_what_it_should_is_not_done(toy, monkeypatch):
    monkeypatch.setattr(toy.commands, "run", lambda *_: Ended(0, 1))
    with pytest.raises(UserError, match="stage lists ended well but did not make lists"):
        execute(toy.parts("lists"), toy.choice, print, toy.commands)


def test_time_and_memory_of_a_stage_count_all_its_parts(toy):
    """One part is stopped by a signal, one killed without a word: that one counts up to its last note."""
    toy.run("lists")
    found = toy.parts("cam")

    def stopped(command, folder, environment, every):
        every(30.0)
        toy.commands.wanted = 15
        return Ended(130, 10)

    whole, toy.commands.run = toy.commands.run, stopped
    with pytest.raises(Stopped):
        execute(found, toy.choice, toy.said.append, toy.commands)
    toy.commands.wanted = 0
    begun = json.loads((toy.run_folder / "stamps/cam.begun").read_text())
    (toy.run_folder / "stamps/cam.begun").write_text(json.dumps({**begun, "seconds": 100.0, "peak_mib": 700}))

    def killed(command, folder, environment, every):
        every(50.0)
        raise KeyboardInterrupt

    toy.commands.run = killed
    with pytest.raises(KeyboardInterrupt):
        execute(toy.parts("cam"), toy.choice, toy.said.append, toy.commands)
    toy.commands.run = whole
    toy.run("cam")
    stamp = json.loads((toy.run_folder / "stamps/cam.json").read_text())
    assert 150 <= stamp["seconds"] < 160 and stamp["peak_mib"] == 700 and stamp["resumed"] is True
    assert json.loads((toy.run_folder / "stamps/lists.json").read_text())["resumed"] is False
