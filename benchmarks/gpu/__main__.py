"""Runs the steps of benchmarks/gpu.sh one after the other, each for a bounded time, and sums them up.

    python -m benchmarks.gpu --out work/gpu --device 0

Every step is a command of its own, its output in OUT/<step>.log, its figures in OUT/<step>.json. A step that
fails or is not done in time is noted; the next one runs. At the end OUT/gpu.json holds everything, and a table is
printed.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gpu.summary import machine, table
from dsrg.io.atomic_files import write_text
from dsrg.io.errors import run_main
from dsrg.io.versions import git_commit

ROOT = Path(__file__).resolve().parents[2]
LEAST = 20          # seconds with which a step is begun at all
GOLDENS = ("tests/engine/layers", "tests/engine/test_solver.py", "tests/engine/test_net.py",
           "tests/training/test_layers.py", "tests/training/test_measured_training.py")
STAGES = {"s": 20, "f": 10, "cam": 15}      # batch of the paper's nets


@dataclass(frozen=True)
class Step:
    """A command of this machine's Python, and the most seconds it may take."""

    name: str
    words: tuple
    seconds: int


def marked_files():
    """The files with tests for a GPU: others may need packages that a machine with one lacks."""
    return [str(path.relative_to(ROOT)) for path in sorted((ROOT / "tests").rglob("test_*.py"))
            if "mark.gpu" in path.read_text(encoding="utf-8")]


def steps(out, device, quick):
    """The steps in their order: what proves comes before what measures, the longest last."""
    where = ("--device", device)
    small = ("--quick",) if quick else ()

    def tests(name, *words):
        return ("-m", "pytest", "-q", "-W", "default", "-p", "no:cacheprovider", "--device", device,
                f"--junitxml={out / name}.xml", *words)

    def module(name, step, *words):
        return ("-m", f"benchmarks.{name}", *words, *where, *small, "--json", str(out / f"{step}.json"))

    found = [Step("build", ("-m", "benchmarks.gpu.build", "--site", str(out / "site"), "--json",
                            str(out / "build.json")), 150),
             Step("goldens", tests("goldens", *GOLDENS, "-k", "caffe or measured or original"), 90),
             Step("marked", tests("marked", "-m", "gpu", *marked_files()), 60)]
    for stage, batch in STAGES.items():
        words = ("--stage", stage, "--batch", "2" if quick else str(batch))
        found.append(Step(f"train-{stage}", module("gpu.training_step", f"train-{stage}", *words), 75))
    found.append(Step("by-hand", module("gpu.by_hand", "by-hand"), 60))
    found.append(Step("segment", module("gpu.segment_speed", "segment"), 60))
    found.append(Step("demo", ("-m", "benchmarks.gpu.demo", "--work", str(out / "demo"), *where, *small,
                               "--json", str(out / "demo.json")), 400))
    return found


def run(step, out, seconds):
    """Run one step; what is to be told of it as a dict."""
    started = time.monotonic()
    with open(out / f"{step.name}.log", "w") as log:
        process = subprocess.Popen([sys.executable, *step.words], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT,
                                   process_group=0)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = f"stopped after {seconds:.0f} s"
        finally:
            with contextlib.suppress(ProcessLookupError):       # nothing is left of a step that ended whole
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    figures = out / f"{step.name}.json"
    return {"status": status, "seconds": round(time.monotonic() - started, 1), "command": " ".join(step.words),
            "figures": json.loads(figures.read_text()) if figures.is_file() else None}


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("work/gpu"), help="folder of logs and figures (%(default)s)")
    parser.add_argument("--device", default="0", help="cpu, or the number of a CUDA device (%(default)s)")
    parser.add_argument("--seconds", type=float, default=540, help="for all steps together (%(default)s)")
    parser.add_argument("--only", nargs="+", metavar="STEP", help="these steps alone")
    parser.add_argument("--quick", action="store_true", help="small nets and few steps: a rehearsal, whose figures "
                        "mean nothing")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    out, end = args.out.resolve(), time.monotonic() + args.seconds
    out.mkdir(parents=True, exist_ok=True)
    chosen = [step for step in steps(out, args.device, args.quick) if not args.only or step.name in args.only]
    for step in chosen:
        for suffix in ("json", "xml", "log"):
            (out / f"{step.name}.{suffix}").unlink(missing_ok=True)
    report = {"machine": machine(args.device), "commit": git_commit(), "quick": args.quick, "steps": {}}
    for step in chosen:
        seconds = min(step.seconds * (8 if args.quick else 1), end - time.monotonic())     # a busy machine, perhaps
        if seconds < LEAST:
            report["steps"][step.name] = {"status": "not run: no time left", "seconds": 0, "figures": None}
        else:
            print(f"{step.name} ..", file=sys.stderr, flush=True)
            report["steps"][step.name] = run(step, out, seconds)
        write_text(out / "gpu.json", json.dumps(report, indent=1) + "\n")
    print(table(report, out))
    return 0 if all(step["status"] == 0 for step in report["steps"].values()) else 1


if __name__ == "__main__":
    run_main(main)
