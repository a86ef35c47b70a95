"""What settings.yaml says and no stage could do is refused before the first stage runs, in a line with file and key."""

import subprocess
import sys

import pytest

from dsrg.io.errors import UserError
from dsrg.io.terminal import be_quiet, is_quiet
from dsrg.pipeline.run_parts import Choice, parts
from dsrg.pipeline.run_request import ABLATIONS, PROTOTXTS
from dsrg.pipeline.settings import WEIGHT_VARIABLES, Settings, UsageError, experiment_names, read_experiment
from tests.conftest import PATIENCE, ROOT
from tests.dsrg.pipeline.miniature import write

MAPS = "--threshold 0.3 --saliency-maps"


def settings(toy, old, new):
    """Change a text of the toy's settings.yaml."""
    path = toy.experiment / "settings.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def refused(toy, *words):
    with pytest.raises(UserError) as found:
        toy.plan(*words)
    assert "\n" not in str(found.value) and not toy.run_folder.exists()
    return str(found.value)


@pytest.mark.parametrize("name", experiment_names(PROTOTXTS))
def test_the_experiments_and_ablations_of_the_project_are_as_they_should(toy, name):
    given = dict.fromkeys(WEIGHT_VARIABLES, toy.folder / "init.caffemodel")
    experiment = read_experiment(PROTOTXTS / name)
    for ablation in ("", *(path.stem for path in ABLATIONS.glob("*.yaml") if "arguments:" in path.read_text())):
        if ablation.startswith("labels") and "f" not in experiment.nets.solvers:
            continue
        found = parts(Settings(name, toy.folder, ablation, toy.data, weights=given), experiment, ABLATIONS, Choice())
        assert len(found) == (2 if ablation else 1)


# ---- the command's own parser ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("command", "words", "says"), [
    ("cues", "--threshold 1.5", "argument --threshold: "),
    ("cues", "--background saliency", "argument --background: .*saliency"),
    ("cues", "--threshold 0.3 --flip word", "unrecognized arguments: word"),
    ("cues", "--overlap biggest", "argument --overlap: invalid choice: 'biggest'"),
    ("cues", "--background-net x.prototxt", "--background-net and --background-weights go together"),
    ("label", "--sizes", "argument --sizes: expected at least one argument"),
    ("segment-s", "--sizes 33 --crf-scale wide", "argument --crf-scale: "),
    ("segment-f", "--scales 0", "argument --scales: ")])
def test_arguments_that_the_stages_command_refuses_are_refused_by_the_plan(toy, capfd, command, words, says):
    old = {"cues": "--threshold 0.3", "label": "label: --sizes 33", "segment-s": "segment-s: --sizes 33",
           "segment-f": "--scales 1"}[command]
    settings(toy, old, words if command in ("cues", "segment-f") else f"{command}: {words}")
    with pytest.raises(UserError, match=f"^{toy.experiment}/settings.yaml: arguments: {command}: {says}"):
        toy.plan()
    assert refused(toy) and capfd.readouterr() == ("", "")


def test_arguments_of_an_ablation_are_told_by_its_file(toy):
    path = toy.folder / "prototxts/ablations/static.yaml"
    path.write_text("says: other cues\narguments: {cues: --threshold 2}\n")
    toy.set(ablation="static")
    assert refused(toy).startswith(f"ablation {path}: arguments: cues: argument --threshold: ")


def test_arguments_for_few_classes_are_told_by_their_key(toy):
    settings(toy, "weights:", "few_classes: {most: 4, arguments: {cues: --gate cam-low:1}}\nweights:")
    assert refused(toy).startswith(f"{toy.experiment}/settings.yaml: few_classes: arguments: cues: argument --gate: ")


def test_the_check_of_arguments_leaves_quiet_as_it_is(toy):
    be_quiet()
    try:
        toy.plan()
        assert is_quiet()
    finally:
        be_quiet(False)


@pytest.mark.parametrize("ablation", [[], ["--ablation", "cues-companion"]])
def test_a_plan_loads_no_torch(tmp_path, ablation):
    code = ("import sys\nfrom tools import run\nstatus = run.main(sys.argv[1:])\n"
            "assert 'torch' not in sys.modules and 'localization_cues.make_cues' in sys.modules\nsys.exit(status)")
    done = subprocess.run([sys.executable, "-c", code, "demo", "--plan", *ablation], cwd=ROOT, capture_output=True,
                          text=True, timeout=PATIENCE, check=False,
                          env={"PYTHONPATH": str(ROOT), "WORK": str(tmp_path), "PRECISION": "fp32",
                               "ENGINE": "embedded"})
    assert (done.returncode, done.stderr) == (0, "") and "cues: will run after lists, cam" in done.stdout


# ---- paths among the arguments ---------------------------------------------------------------------------------


@pytest.mark.parametrize("maps", ["MAPS", "/nowhere/MAPS", "data/MAPS", "lists/../MAPS"])
@pytest.mark.parametrize("form", ["{} {}", "{}={}"])
def test_a_folder_among_the_arguments_that_is_missing_is_refused_before_the_first_stage(toy, maps, form):
    settings(toy, "--threshold 0.3", form.format(MAPS, maps))
    where = {"MAPS": toy.run_folder / "MAPS", "/nowhere/MAPS": "/nowhere/MAPS", "data/MAPS": toy.data / "MAPS",
             "lists/../MAPS": toy.run_folder / "MAPS"}[maps]
    assert refused(toy).startswith(f"{toy.experiment}/settings.yaml: arguments: cues: --saliency-maps {maps}: there is "
                                   f"no {where}, and no earlier stage of the run makes it; give an absolute path, or")
    assert toy.run("lists") == {"lists"}, "a stage that does not read it is run"


def test_a_folder_among_the_arguments_counts_from_the_folder_of_the_run(toy):
    write(toy.data, "MAPS/a.png", "map")
    write(toy.run_folder, "own/a.png", "map")
    for maps in ("data/MAPS", "own", toy.data / "MAPS"):
        settings(toy, "--threshold 0.3", f"{MAPS} {maps}")
        assert toy.plan()["cues"] == "will run after lists, cam"
        settings(toy, f"{MAPS} {maps}", "--threshold 0.3")


@pytest.mark.parametrize("maps", ["data/JPEGImages", "masks", "check/maps", "models/cam_iter_8.caffemodel"])
def test_a_folder_that_an_earlier_stage_makes_may_be_missing(toy, maps):
    """Data, masks and all, of an experiment that makes its own; of its ablation, too."""
    settings(toy, "--threshold 0.3", f"{MAPS} {maps}")
    settings(toy, "weights:", "make_data: tools.make_demo_data\nweights:")
    toy.set(data_root=None)
    assert toy.plan()["cues"].startswith("will run after")
    if maps.partition("/")[0] in ("data", "masks"):     # the rest lies in the plain run's folder
        write(toy.folder, "prototxts/ablations/static.yaml",
              f"says: other cues\narguments: {{cues: {MAPS} {maps} --flip}}\n")
        toy.set(ablation="static")
        assert toy.plan("cues")["cues"].startswith(("will run", "cannot run"))


def test_what_a_later_stage_makes_is_missing(toy):
    settings(toy, "--threshold 0.3", f"{MAPS} labels")
    assert "there is no" in refused(toy)


def test_a_missing_folder_is_nothing_to_a_run_with_finished_cues(toy):
    settings(toy, "--threshold 0.3", f"{MAPS} MAPS")
    toy.set(cues=toy.folder / "init.caffemodel")
    assert toy.plan()["cues"] == "left out, CUES is given"


def test_an_option_with_an_equals_sign_is_read_as_two_words_by_all(toy):
    """Also by what looks for files among the arguments: changed maps make the cues anew."""
    write(toy.data, "MAPS/a.png", "map")
    settings(toy, "--threshold 0.3", "--threshold=0.3 --saliency-maps=data/MAPS")
    assert read_experiment(toy.experiment).arguments["cues"] == ("--threshold", "0.3", "--saliency-maps", "data/MAPS")
    toy.run()
    settings(toy, "--threshold=0.3 --saliency-maps=", "--threshold 0.3 --saliency-maps ")
    assert toy.run() == set(), "the other form is the same"
    write(toy.data, "MAPS/a.png", "other")
    assert toy.plan()["cues"] == "will run: data/MAPS changed"


# ---- other settings that do not go together --------------------------------------------------------------------


def test_an_unknown_stage_to_skip_is_refused(toy):
    settings(toy, "weights:", "skip: [full, segmnt]\nweights:")
    assert refused(toy).startswith(f"{toy.experiment}/settings.yaml: skip: unknown stage 'segmnt'; expected some of: ")
    settings(toy, "segmnt", "segment-f, evaluate")
    assert "evaluate-f" not in toy.plan() and "segment-s" in toy.plan()


@pytest.mark.parametrize(("skip", "says"), [
    ("label", "stage train-f reads what stage label makes, and labels is not in "),
    ("cues", "stage static reads what stage cues makes, and cues/localization_cues.pickle is not in "),
    ("cam", "stage cues reads what stage cam makes, and models/cam_iter_8.caffemodel is not in "),
    ("train-s", "stage label reads what stage train-s makes, and models/s_iter_8.caffemodel is not in "),
    ("lists", "stage cam reads what stage lists makes, and lists is not in ")])
def test_a_stage_that_others_need_is_skipped_only_where_its_results_are_there(toy, skip, says):
    settings(toy, "weights:", f"skip: [{skip}]\nweights:")
    assert refused(toy).startswith(f"{toy.experiment}/settings.yaml: skip: {says}")
    for name in ("labels/a.png", "cues/localization_cues.pickle", "models/cam_iter_8.caffemodel",
                 "models/s_iter_8.caffemodel", "lists/train_id.txt"):
        write(toy.run_folder, name, "there")
    assert skip not in toy.plan() and toy.run("check") == {"check"}


def test_what_nobody_needs_is_skipped_and_so_are_cues_that_are_given(toy):
    settings(toy, "weights:", "skip: [check, static, label, train-f, full]\nweights:")
    assert toy.plan()["evaluate-labels"] == "left out, there is no labels"
    settings(toy, "check, static, label, train-f, full", "cues, cam")
    toy.set(cues=toy.folder / "init.caffemodel")
    assert toy.plan()["train-s"].startswith("will run")


@pytest.mark.parametrize(("kind", "where", "says"), [
    ("cam", "s", "'s' is not trained before cam; expected a variable (WEIGHTS, VGG_WEIGHTS), none or a file"),
    ("s", "s", "'s' is not trained before s; expected an earlier training (cam, static), a variable"),
    ("s", "f", "'f' is not trained before s; "), ("f", "full", "'full' is not trained before f; ")])
def test_a_training_starts_from_an_earlier_one(toy, kind, where, says):
    settings(toy, "{s: WEIGHTS, f: s, full: s}", f"{{{kind}: {where}}}")
    assert refused(toy).startswith(f"{toy.experiment}/settings.yaml: weights: {kind}: {says}")


def test_weights_of_settings_that_are_no_file_are_refused_before_the_first_stage(toy, monkeypatch):
    settings(toy, "s: WEIGHTS", "s: nowhere.caffemodel")
    assert refused(toy).startswith(f"{toy.experiment}/settings.yaml: weights: stage static starts from "
                                   "'nowhere.caffemodel', and there is no such file (/")
    assert toy.run("lists") == {"lists"}
    write(toy.folder, "nowhere.caffemodel", "weights")
    monkeypatch.chdir(toy.folder)
    assert toy.plan()["train-s"] .startswith("will run")


def test_a_training_that_the_experiment_lacks_is_no_start(toy):
    settings(toy, "s: WEIGHTS", "s: cam")
    (toy.experiment / "solver-cam.prototxt").unlink()
    assert "starts from 'cam', and there is no such file" in refused(toy, "train-s")


@pytest.mark.parametrize(("line", "says"), [
    ("static: update-seed", "settings.yaml: static: expected LAYER.key=value, such as .*, got 'update-seed'"),
    ("full: data.source", "settings.yaml: full: expected LAYER.key=value, such as .*, got 'data.source'"),
    ("static: update-sed.grow=false", "train-s.prototxt has no Python layer 'update-sed' for .*; `static` and "),
    ("full: images.source=lists/train_full.txt", "train-f.prototxt has no Python layer 'images' for "),
    ("cue_file: cues/cues.txt", "settings.yaml: cue_file: 'cues/cues.txt' is no name of a cue file; expected one that"),
    ("make_data: tools.make_dmeo", "settings.yaml: make_data: there is no module 'tools.make_dmeo'; expected such as")])
def test_other_words_that_no_stage_can_follow_are_refused_before_the_first_stage(toy, line, says):
    settings(toy, "weights:", f"{line}\nweights:")
    with pytest.raises(UserError, match=says):
        toy.plan()
    assert refused(toy)


def test_a_net_that_a_solver_names_and_is_not_there_is_told_before_the_first_stage(toy):
    (toy.experiment / "train-f.prototxt").unlink()
    assert "train-f.prototxt does not exist; solver-f.prototxt names it as its net" in refused(toy)
    assert toy.run("lists") == {"lists"}


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "\n---\n"])
def test_settings_that_are_empty_are_refused(toy, text):
    (toy.experiment / "settings.yaml").write_text(text)
    assert refused(toy) == (f"{toy.experiment}/settings.yaml is empty; expected lines 'key: value', or {{}} for an "
                            "experiment of defaults alone")
    (toy.experiment / "settings.yaml").write_text("{}")
    assert toy.plan()["report"] == "runs each time"


# ---- nothing to run --------------------------------------------------------------------------------------------


def test_a_choice_of_no_stage_is_refused(toy):
    with pytest.raises(UsageError, match="^--stages cam --from label: none of these stages comes at label or after"):
        toy.parts("cam", start="label")
    settings(toy, "weights:", "skip: [full]\nweights:")
    with pytest.raises(UsageError, match="^--from full: this run leaves full out unless .*: --stages full$"):
        toy.parts(start="full")
    assert [row.name for row in toy.parts("full", "report", start="full")[0].rows] == ["full", "report"]
