"""Kill a run at random moments, in every stage, by every signal: python -m tests.reliability.kills --folder work/kills

A run of the demo in miniature (every stage with its real commands, a few iterations on a few photos) is made once
undisturbed. Then it is made again and again, stage by stage, each stage killed at random moments before it may end: by
SIGKILL, SIGTERM, SIGINT or SIGHUP, to the run's process alone or to its whole process group, once or twice. After each
kill no process of the run may be left, and in the end every model, label map, cue file and result must have the bytes
of the undisturbed run. It ends with a table of stages and signals, and status 1 where something was otherwise.
"""

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SIGNALS = {"SIGKILL": (signal.SIGKILL,), "SIGTERM": (signal.SIGTERM,), "SIGINT": (signal.SIGINT,),
           "SIGHUP": (signal.SIGHUP,), "SIGINT twice": (signal.SIGINT, signal.SIGINT)}
TARGETS = ("run", "group")
MARK = "DSRG_KILLED_RUN"        # in the environment of a run and of all that it starts
PATIENCE = 300.0                # seconds within which a run has ended that was asked to
GONE = 20.0                     # seconds after which no process of a dead run may be left
#: what must be the same in the end; logs and reports hold times
COMPARED = ("models/*.caffemodel", "models/*.solverstate", "labels/*.png", "segmentations/*/*.png", "cues/*.pickle",
            "lists/*.txt", "results/[!r]*.json", "results/[!r]*.txt")
TEMPORARY = re.compile(r"\..+\.\d+-\d+(\.[^.]+)?|\..+\.\d+\.tmp|.*\.tmp-.+|\..+\.partial")


class Fault(Exception):
    """A promise that was not kept."""


@dataclass(frozen=True)
class Killed:
    """How a run ended that was killed.

    Attributes
    ----------
    stage : str
        The stage that was at work, "start" before the first.
    status : int
        As of subprocess: negative for a signal.
    in_time : bool
        Whether the signal came before the run had ended by itself.
    output : str
    """

    stage: str
    status: int
    in_time: bool
    output: str


def strike(command, environment, signals, target, wait=lambda process: None):
    """Start a command and kill it; Killed.

    Parameters
    ----------
    command : sequence of str
    environment : dict
    signals : sequence of int
        Sent one after another, half a second apart.
    target : str
        "run": the process that was started alone; "group": all of its process group, as a terminal does.
    wait : callable
        Returns when the first is to be sent; gets the process.

    Raises
    ------
    Fault
        It did not end, it ended with another status than the signal's, a process was left.
    """
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen([str(word) for word in command], env={**environment, MARK: mark}, cwd=ROOT,
                                   stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            wait(process)
            in_time = process.poll() is None
            for number in signals:
                if process.poll() is None:
                    (os.killpg if target == "group" else os.kill)(process.pid, number)
                    if number is not signals[-1]:
                        time.sleep(0.5)
            try:
                status = process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                raise Fault(f"did not end within {PATIENCE:g} s of {signals} to {target}") from None
            left = _left(mark)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        output.seek(0)
        text = output.read()
    number = signals[0]
    if in_time and status not in (0, -number, 128 + number, -signals[-1]):
        raise Fault(f"ended with status {status} after {signal.Signals(number).name} to {target}:\n{text[-2000:]}")
    if not in_time and status:
        raise Fault(f"failed by itself with status {status}:\n{text[-2000:]}")
    if left:
        raise Fault(f"left {len(left)} processes after {signal.Signals(number).name} to {target}: {left}")
    stages = re.findall(r"^\[\d+/\d+\] ([\w-]+): (?!done|left out|\d+ s, )", text, re.M)
    return Killed(stages[-1] if stages else "start", status, in_time, text)


def _left(mark):
    """Command lines of the processes that carry a mark, once they had time to go."""
    end = time.monotonic() + GONE
    while (found := processes_with(mark)) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def processes_with(mark):
    """Command lines of the processes whose environment holds a mark; of those that are dead /proc tells none."""
    found, wanted = [], f"{MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip())
        except OSError:
            continue
    return [line for line in found if line]


# ---- the campaign ----------------------------------------------------------------------------------------------------


class Campaign:
    """Runs of the demo in miniature below a folder: one undisturbed, the others killed.

    Parameters
    ----------
    folder : Path
    seed : int
        Of moments, signals and targets.
    """

    def __init__(self, folder, seed):
        self.folder, self.rng = folder, random.Random(seed)
        self.counts, self.late = Counter(), 0
        own = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
        self.environment = {**own, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PRECISION": "fp32",
                            "DATA_ROOT": str(folder / "data"), "MAX_ITER": "6", "BATCH": "2"}
        self.seconds, self.stages, self.expected = {}, [], {}

    def undisturbed(self, stages=()):
        """Make data and the run that the others are held against: all its stages, or the given ones in their order."""
        if not (self.folder / "data").exists():
            self._do("-m", "tools.make_demo_data", "--out", self.folder / "data", "--train", "20", "--val", "3")
        shutil.rmtree(self.folder / "whole", ignore_errors=True)
        self._prepare("whole")
        plan = self._do(*self._command("--plan"), WORK=self.folder / "whole")
        self.stages = re.findall(r"^  \[\d+/\d+\] ([\w-]+): (?!left out)", plan, re.M)
        self.stages = [stage for stage in self.stages if stage in stages or not stages]
        for stage in self.stages:
            started = time.monotonic()
            self._do(*self._command("--stages", stage), WORK=self.folder / "whole")
            self.seconds[stage] = time.monotonic() - started
        self.expected = digests(self.folder / "whole/demo")

    def killed(self, kills, end):
        """Make the run again, each stage killed so many times before it may end, until the time is over; then whole.

        Raises
        ------
        Fault
        """
        shutil.rmtree(self.folder / "killed", ignore_errors=True)
        self._prepare("killed")
        environment = {**self.environment, "WORK": str(self.folder / "killed")}
        for stage in self.stages:
            command = [sys.executable, *self._command("--stages", stage)]
            for _ in range(kills):
                if time.monotonic() > end:
                    break
                name, target = self.rng.choice(list(SIGNALS)), self.rng.choice(TARGETS)
                moment = self.rng.uniform(0, self.seconds[stage])
                found = strike(command, environment, SIGNALS[name], target, lambda _, moment=moment: time.sleep(moment))
                if found.in_time:
                    self.counts[stage, name, target] += 1
                else:
                    self.late += 1
            started = time.monotonic()
            self._do(*self._command("--stages", stage), WORK=self.folder / "killed")
            self.seconds[stage] = min(self.seconds[stage], time.monotonic() - started)
        self._compare()

    def _compare(self):
        found = digests(self.folder / "killed/demo")
        other = [name for name, digest in self.expected.items() if found.get(name) != digest]
        if other:
            raise Fault(f"{len(other)} of {len(self.expected)} files differ from the undisturbed run's: {other[:5]}")
        rests = [path for path in (self.folder / "killed").rglob("*") if TEMPORARY.fullmatch(path.name)]
        if rests:
            raise Fault(f"temporary files were left: {rests[:5]}")

    def _prepare(self, work):
        """A run folder with lists, whose trainings take a snapshot every second iteration."""
        self._do("-m", "tools.run", "demo", "--stages", "lists", WORK=self.folder / work)
        for path in (self.folder / work / "demo").glob("solver-*.prototxt"):
            path.write_text(re.sub(r"^snapshot: \d+", "snapshot: 2", path.read_text(), flags=re.M))

    def _command(self, *words):
        return ["-m", "tools.run", "demo", "--keep-edits", *words]

    def _do(self, *words, **variables):
        done = subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False,
                              env={**self.environment, **{name: str(value) for name, value in variables.items()}})
        if done.returncode:
            raise Fault(f"{' '.join(map(str, words))} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
        return done.stdout


def digests(run):
    """SHA-256 of what must be the same in the end, by name."""
    return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
            for pattern in COMPARED for path in sorted(run.glob(pattern))}


def table(stages, counts):
    """Lines of a Markdown table of kills by stage and signal, to the run alone + to its group."""
    yield "| stage | " + " | ".join(SIGNALS) + " | all |"
    yield "|---|" + "---:|" * (len(SIGNALS) + 1)
    for stage in [*stages, "all"]:
        here = {key[1:]: n for key, n in counts.items() if key[0] == stage}
        if stage == "all":
            here = {(name, to): sum(n for key, n in counts.items() if key[1:] == (name, to))
                    for name in SIGNALS for to in TARGETS}
        cells = [[here.get((name, target), 0) for target in TARGETS] for name in SIGNALS]
        yield f"| {stage} | " + " | ".join(f"{a} + {b}" for a, b in cells) + f" | {sum(map(sum, cells))} |"


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.kills", description=__doc__.split("\n\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="where to work; what is there is replaced")
    parser.add_argument("--hours", type=float, default=1.0, help="time to go on for (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=3, help="of each stage before it may end (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of moments, signals and targets (default: 0)")
    args = parser.parse_args(argv)
    if args.hours <= 0 or args.kills < 1:
        parser.error("--hours and --kills must be positive")
    return args


def main(argv=None):
    args = parse_args(argv)
    args.folder.mkdir(parents=True, exist_ok=True)
    campaign, rounds, fault = Campaign(args.folder.resolve(), args.seed), 0, None
    try:
        campaign.undisturbed()
        end = time.monotonic() + 3600 * args.hours
        while time.monotonic() < end:
            campaign.killed(args.kills, end)
            rounds += 1
            print(f"{rounds} runs, {sum(campaign.counts.values())} kills", file=sys.stderr, flush=True)
    except Fault as found:
        fault = found
    print("\n".join(table(campaign.stages, campaign.counts)))
    print(f"\n{rounds} whole runs with the bytes of the undisturbed one ({len(campaign.expected)} files), "
          f"{campaign.late} signals came after the end")
    (args.folder / "kills.json").write_text(json.dumps(
        {"rounds": rounds, "late": campaign.late, "counts": {" ".join(k): n for k, n in campaign.counts.items()}}))
    if fault:
        print(f"error: {fault}", file=sys.stderr)
    return 1 if fault or not rounds else 0


if __name__ == "__main__":
    sys.exit(main())
