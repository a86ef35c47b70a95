"""benchmarks/gpu.sh: its commands are understood, a step is bounded, and one that fails stops no other."""

import importlib
import json
import re
import subprocess

import pytest

from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import demo
from benchmarks.gpu.summary import counted, machine
from dsrg.io.errors import UserError
from dsrg.pipeline.run_parts import Choice, parts
from dsrg.pipeline.run_request import ABLATIONS, PATHS, PROTOTXTS, VARIABLES, settings_of
from dsrg.pipeline.settings import read_experiment
from tests.conftest import ROOT

MODULES = [step for step in gpu.steps(ROOT / "work", "0", quick=False) if step.words[1].startswith("benchmarks.")]


@pytest.mark.parametrize("step", MODULES, ids=lambda step: step.name)
def test_the_words_of_a_step_are_understood(step):
    module = importlib.import_module(step.words[1])
    args = module.parse_args(step.words[2:])
    assert getattr(args, "device", "0") == "0"      # what is built is built for all


def test_the_demo_is_found_where_a_run_makes_it_and_its_stages_are_known_while_it_runs(tmp_path, monkeypatch):
    settings = settings_of("demo", "", {**dict.fromkeys(PATHS, ""), **VARIABLES, "WORK": str(tmp_path)}, False)
    folder = parts(settings, read_experiment(PROTOTXTS / "demo"), ABLATIONS, Choice())[0].run.folder

    class Run:
        """Stands for tools.run: ends a stage, and at the second look the run."""

        def __init__(self, command, env):
            assert command[1:] == ["-m", "tools.run", "demo"] and env["WORK"] == str(tmp_path)
            (folder / "stamps").mkdir(parents=True)
            (folder / "stamps/cam.json").write_text('{"seconds": 12.3}')
            self.looks = 0

        def wait(self, seconds):
            self.looks += 1
            if self.looks == 1:
                raise subprocess.TimeoutExpired("run", seconds)
            assert json.loads((tmp_path / "demo.json").read_text())["stages, seconds"] == "cam 12"
            (folder / "results").mkdir()
            (folder / "results/report.md").write_text("| run | DSRG |\n|---|---|\n| demo | 92.2 |\n")
            return 0

    monkeypatch.setattr(demo.subprocess, "Popen", Run)
    demo.main(["--work", str(tmp_path), "--device", "cpu", "--json", str(tmp_path / "demo.json")])
    found = json.loads((tmp_path / "demo.json").read_text())
    assert found["table 0"] == "run ; DSRG" and found["table 2"] == "demo ; 92.2"


def test_a_device_that_is_not_there_is_one_line():
    with pytest.raises(UserError, match=r"--device 99: torch .* finds \d+ CUDA device\(s\)"):
        machine("99")


def test_the_tests_of_a_step_are_there():
    for step in gpu.steps(ROOT / "work", "0", quick=False):
        if step.words[1] == "pytest":
            named = [word for word in step.words if word.startswith("tests/")]
            assert named and all((ROOT / word).exists() for word in named)
    assert len(gpu.marked_files()) > 1


def test_a_step_that_fails_or_lasts_is_noted_and_the_next_one_runs(tmp_path, monkeypatch, capsys):
    figures = f"import json; json.dump({{'rate': '7 photos'}}, open({str(tmp_path / 'last.json')!r}, 'w'))"
    child = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
    monkeypatch.setattr(gpu, "LEAST", 0)
    monkeypatch.setattr(gpu, "steps", lambda out, device, quick: [
        gpu.Step("fails", ("-c", "raise SystemExit(3)"), 30),
        gpu.Step("lasts", ("-c", child + "time.sleep(600)"), 2),
        gpu.Step("last", ("-c", figures), 30)])
    assert gpu.main(["--out", str(tmp_path), "--device", "cpu"]) == 1
    report = json.loads((tmp_path / "gpu.json").read_text())
    assert [step["status"] for step in report["steps"].values()] == [3, "stopped after 2 s", 0]
    out = capsys.readouterr().out
    assert "| last | rate | 7 photos |" in out and re.search(r"\| fails \| time \| .* s \(status 3\) \|", out)


def test_a_step_without_time_left_is_not_begun(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "steps", lambda out, device, quick: [gpu.Step("late", ("-c", "1 / 0"), 30)])
    assert gpu.main(["--out", str(tmp_path), "--device", "cpu", "--seconds", "5"]) == 1
    assert json.loads((tmp_path / "gpu.json").read_text())["steps"]["late"]["status"] == "not run: no time left"


def test_counts_of_tests_are_read_with_the_names_of_what_failed(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text('<testsuites><testsuite tests="5" failures="1" errors="1" skipped="1">'
                    '<testcase classname="t" name="good"/><testcase classname="t" name="bad"><failure/></testcase>'
                    '<testcase classname="t" name="worse"><error/></testcase></testsuite></testsuites>')
    assert counted(path) == ("passed 2, failed 2, skipped 1", ["t::bad", "t::worse"])
    assert counted(tmp_path / "none.xml") == ("no result", [])


def test_what_a_machine_needs_is_pinned_as_everywhere():
    """benchmarks/gpu/requirements.txt names versions of requirements.txt and requirements-dev.txt."""
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "requirements.txt").read_text()
                             + (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE))
    needed = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "benchmarks/gpu/requirements.txt").read_text(), re.MULTILINE))
    assert {name: version for name, version in needed.items() if name in pinned and pinned[name] != version} == {}
    assert set(needed) - set(pinned) == {"texttable"}       # what igraph imports
