"""benchmarks/gpu.sh: its commands are understood, a step is bounded, and one that fails stops no other."""

import importlib
import json
import re

import pytest

from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu.summary import counted
from tests.conftest import ROOT

MODULES = [step for step in gpu.steps(ROOT / "work", "0", quick=False) if step.words[1].startswith("benchmarks.")]


@pytest.mark.parametrize("step", MODULES, ids=lambda step: step.name)
def test_the_words_of_a_step_are_understood(step):
    module = importlib.import_module(step.words[1])
    assert module.parse_args(step.words[2:]).device == "0"


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
