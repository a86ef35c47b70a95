"""tools.compare: seeds make one row, the settings that differ are named, and runs that do not fit are refused."""

import json
import re
import shutil
from pathlib import Path

import cv2
import pytest

from dsrg.io.errors import UserError
from tests.conftest import ROOT
from tools.ablate import main as ablate
from tools.compare import main


def make_run(folder, stage_s, seconds, ablation=None, flags=(), **results):
    shutil.copytree(ROOT / "prototxts" / "demo", folder)
    if ablation:
        ablate([str(ROOT / "prototxts" / "ablations" / f"{ablation}.yaml"), str(folder)])
    (folder / "results").mkdir()
    (folder / "stamps").mkdir()
    for name, miou in {"s": stage_s, **results}.items():
        (folder / "results" / f"{name}.json").write_text(json.dumps({"miou": miou, "commit": "abc"}))
    command = ["python", "-m", "training.train", "--max-iter", "3", "--resume", "--seed", str(int(seconds)), *flags]
    (folder / "stamps" / "train-s.json").write_text(json.dumps({"seconds": seconds, "peak_mib": 1, "command": command}))
    return str(folder)


@pytest.fixture
def runs(tmp_path):
    return [make_run(tmp_path / "demo", 0.50, 60, f=0.7), make_run(tmp_path / "demo-seed1", 0.54, 180),
            make_run(tmp_path / "demo-no-constrain", 0.40, 30, "no-constrain"),
            make_run(tmp_path / "demo-static", 0.25, 30, "static")]


def test_table(runs, capsys):
    main(runs)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| run | seeds | stage s mIoU (%) | stage f mIoU (%) | stages (min) | differs in |"
    # mean of 50 and 54 is 52, sample standard deviation 4 / sqrt 2 = 2.8; mean of 1 and 3 minutes is 2
    assert lines[2] == "| demo | 2 | 52.0 ± 2.8 | 70.0 (of 1) | 2.0 | – |"
    assert lines[3] == ("| demo-no-constrain | 1 | 40.0 | not run | 0.5 | train-s.prototxt CRF: removed; "
                        "train-s.prototxt loss-Constrain: removed |")
    assert lines[4] == ("| demo-static | 1 | 25.0 | not run | 0.5 | "
                        "train-s.prototxt update-seed.python_param.param_str.grow: default → False |")
    assert "commit abc;" in lines[-1]


def test_runs_of_two_backbones_are_told_apart_in_a_line_that_can_be_read(tmp_path, capsys):
    """Hundreds of layers differ: the table counts them, --json names each."""
    runs = [make_run(tmp_path / "demo", 0.5, 60), make_run(tmp_path / "other", 0.6, 60)]
    for name in ("train-s", "deploy"):
        shutil.copy(ROOT / f"prototxts/msrc15-squeezenet/{name}.prototxt", tmp_path / "other")
    texts = [Path(run, "train-s.prototxt").read_text() for run in runs]
    layers = [set(re.findall(r'^  name: "(.+)"', text, re.MULTILINE)) for text in texts]
    main(runs)
    row = capsys.readouterr().out.splitlines()[3]
    added, removed = len(layers[1] - layers[0]), len(layers[0] - layers[1])
    assert f"train-s.prototxt: {added} layers added, {removed} removed, " in row and len(row) < 400
    assert "(--json names them)" in row
    main([*runs, "--json"])
    differs = json.loads(capsys.readouterr().out)["runs"][1]["differs"]
    assert sum(line.startswith("train-s.prototxt ") and line.endswith(": added") for line in differs) == added > 20


def three_seeds(folder, name, values, ablation=None):
    return [make_run(folder / (name + (f"-seed{seed}" if seed else "")), value, 60, ablation)
            for seed, value in values.items()]


def test_differences_of_seeds_have_an_interval_and_one_that_contains_0_is_none(tmp_path, capsys):
    """By hand: points 2, 3, 4 have mean 3, standard error 1 / sqrt 3; Student's t of two degrees of freedom is 4.3027,
    so 3 ± 2.48. Points 1, 2, 3 give 2 ± 2.48. Points 1, 3 have mean 2, error 1, and t is 12.706."""
    base = {0: 0.50, 1: 0.54, 2: 0.58}
    folders = [*three_seeds(tmp_path, "a", base),
               *three_seeds(tmp_path, "b", {0: 0.52, 1: 0.57, 2: 0.62}),
               *three_seeds(tmp_path, "c", {2: 0.61, 1: 0.56, 0: 0.51}),
               *three_seeds(tmp_path, "d", {1: 0.55, 2: 0.61, 7: 0.99}),
               *three_seeds(tmp_path, "e", {0: 0.4}), *three_seeds(tmp_path, "f", {5: 0.4}),
               *three_seeds(tmp_path, "g", {seed: value - 0.1 for seed, value in base.items()})]
    main([*folders, "--html", str(tmp_path / "page.html")])
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("| difference to a | stage s (points) |")
    cells = ["+3.0 (0.5 to 5.5; 3 seeds)", "none: +2.0 (-0.5 to 4.5; 3 seeds)", "none: +2.0 (-10.7 to 14.7; 2 seeds)",
             "unknown: -10.0 (1 seed)", "unknown: no seed in common", "-10.0 (-10.0 to -10.0; 3 seeds)"]
    assert lines[start + 2:start + 8] == [f"| {name} | {cell} |" for name, cell in zip("bcdefg", cells, strict=True)]
    assert lines[start + 10].startswith("Of two seeds the interval is wide, and of one there is none")
    page = (tmp_path / "page.html").read_text()
    assert all(f'<td class="n">{cell}</td>' in page for cell in cells) and "Differences to a</h3>" in page
    main([*folders, "--json"])
    b, c, d, e, f, g = json.loads(capsys.readouterr().out)["differences"]
    assert (b["name"], b["against"], b["miou"]["s"]["verdict"]) == ("b", "a", "more")
    assert b["miou"]["s"]["low"] == pytest.approx(0.03 - 4.302652730 * 0.01 / 3**0.5, abs=1e-9)
    assert [one["miou"]["s"]["verdict"] for one in (c, d, e, f, g)] == ["none", "none", "unknown", "unknown", "less"]
    assert e["miou"]["s"]["low"] is None and f["miou"]["s"]["mean"] is None


def test_of_single_runs_nothing_is_said(runs, capsys):
    main([runs[0], *runs[2:]])
    assert "Nothing can be said of these differences: that takes two seeds or more" in capsys.readouterr().out
    main(runs[:2])
    assert "difference" not in capsys.readouterr().out


def test_writes_table_and_drawing(runs, tmp_path, capsys):
    main([*runs, "--out", str(tmp_path / "out" / "all")])
    assert (tmp_path / "out/all.md").read_text() == capsys.readouterr().out
    image = cv2.imread(str(tmp_path / "out/all.png"))
    assert image.shape[1] == 840 and image.std() > 10


def test_changed_solver_is_named(runs, tmp_path, capsys):
    solver = tmp_path / "demo-static" / "solver-s.prototxt"
    solver.write_text(solver.read_text().replace("base_lr: 0.01", "base_lr: 0.05"))
    main([runs[0], runs[3]])
    assert "solver-s.prototxt base_lr: 0.01 → 0.05" in capsys.readouterr().out


def test_refuses_seeds_made_with_other_settings(runs, tmp_path):
    solver = tmp_path / "demo-seed1" / "solver-s.prototxt"
    solver.write_text(solver.read_text().replace("base_lr: 0.01", "base_lr: 0.05"))
    with pytest.raises(UserError, match=r"demo-seed1: its settings differ .*base_lr: 0.01 → 0.05"):
        main(runs[:2])


def test_commands_of_stages_that_both_ran_are_settings_too(runs, tmp_path, capsys):
    other = make_run(tmp_path / "other", 0.5, 60, flags=["--precision", "bf16", "--set", "update-seed.th2=0.9", "a=1"])
    stamp = {"seconds": 1, "peak_mib": 1, "command": ["python", "-m", "x", "--threshold", "0.3"]}
    (tmp_path / "other/stamps/cues.json").write_text(json.dumps(stamp))
    main([runs[0], other])
    row = capsys.readouterr().out.splitlines()[3]
    assert row.endswith("| stage train-s --precision: default → bf16; "
                        "stage train-s --set: default → update-seed.th2=0.9 a=1 |")
    for folder in ("demo", "other"):
        stamp["command"][-1] = folder
        (tmp_path / folder / "stamps/cues.json").write_text(json.dumps(stamp))
    main([runs[0], other])
    assert "stage cues --threshold: demo → other" in capsys.readouterr().out


def test_a_field_that_one_solver_has_is_shown_with_its_value(runs, tmp_path, capsys):
    with open(tmp_path / "demo-static" / "solver-s.prototxt", "a") as file:
        file.write("rms_decay: 0.5\n")
    main([runs[0], runs[3]])
    assert "solver-s.prototxt rms_decay: default → 0.5" in capsys.readouterr().out


def test_refuses_a_run_given_twice_and_a_folder_that_is_none(runs, tmp_path):
    with pytest.raises(UserError, match="given twice"):
        main([runs[0], runs[0]])
    with pytest.raises(UserError, match="has no results/"):
        main([str(tmp_path)])


def test_writes_a_page(runs, tmp_path):
    main([*runs, "--html", str(tmp_path / "all.html")])
    text = (tmp_path / "all.html").read_text()
    assert "52.0 ± 2.8" in text and "train-s.prototxt loss-Constrain: removed" in text


def test_of_runs_without_results_the_drawing_is_left_out(tmp_path, capsys):
    """Table and page say what differs all the same; a second time they replace what the first wrote into the run."""
    run = make_run(tmp_path / "demo", 0.5, 60)
    Path(run, "results/s.json").unlink()
    for _ in range(2):
        main([run, "--out", f"{run}/mine", "--html", f"{run}/mine.html"])
        assert capsys.readouterr().err.startswith(f"note: no {run}/mine.png: nothing measured in these runs; run ")
        assert Path(run, "mine.md").read_text().startswith("| run | seeds | stages (min) | differs in |")
        assert "<h1>Runs compared</h1>" in Path(run, "mine.html").read_text() and not Path(run, "mine.png").exists()


def test_out_is_a_name(runs, capsys):
    with pytest.raises(SystemExit):
        main([*runs, "--out", "."])
    assert "--out . is a folder; give a name in it, such as runs" in capsys.readouterr().err
