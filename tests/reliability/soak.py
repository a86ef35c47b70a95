"""Hours of training and thousands of photos, watched for growth: python -m tests.reliability.soak --folder work/soak

Trains stage s of a small net (every DSRG layer, snapshots, log) on made photos, and segments made photos of ten sizes,
each as the command that users call, in a process that is watched from outside: memory, descriptors, threads, CPU time.
It ends with a table and <folder>/soak.json, and with status 1 where something grew:

- memory by 1 MB an hour or more (least squares over the samples after the first ten minutes),
- descriptors and threads at all (the least of the last quarter against that of the first, since files are open for
  moments),
- CPU time an iteration or photo by 5 % or more (last against first quarter; wall time says nothing on a machine that is
  shared). A fixed calculation timed beside it says how much of that was the machine.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy import stats

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("engine", "training", "")]

from tests.reliability.soak_data import make_photos, make_run  # noqa: E402

PAGE, TICK = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
MIB = 1 << 20
WARM_UP = 600.0                     # seconds whose samples do not count into the slope
LEAST = 16                          # samples that a judgement needs
LIMITS = {"memory_mb_per_hour": 1.0, "speed": 0.05}


@dataclass(frozen=True)
class Sample:
    """What a process has at a moment.

    Attributes
    ----------
    seconds : float
        Since it was started.
    rss, anonymous : float
        Resident memory in MiB, and what of it belongs to no file.
    descriptors, threads : int
    cpu : float
        CPU seconds so far, of all its threads.
    units : int
        Iterations or photos done.
    reference : float
        CPU seconds that the fixed calculation took in the watching process.
    """

    seconds: float
    rss: float
    anonymous: float
    descriptors: int
    threads: int
    cpu: float
    units: int
    reference: float


def take(pid, started, units):
    """A Sample of a process; OSError where it is gone."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Sample(round(time.monotonic() - started, 2), int(status["VmRSS"].split()[0]) / 1024,
                  int(status["RssAnon"].split()[0]) / 1024, len(os.listdir(f"/proc/{pid}/fd")),
                  int(status["Threads"]), (int(times[11]) + int(times[12])) / TICK, units, reference())


def reference():
    """CPU seconds of a fixed calculation, the least of three."""
    values = np.arange(1 << 18, dtype=np.float64)
    times = []
    for _ in range(3):
        begun = time.process_time()
        np.sqrt(values).sum()
        np.sort(values[::-1].copy())
        times.append(time.process_time() - begun)
    return min(times)


def watch(command, folder, units, seconds=None, every=10.0):
    """Run a command and sample it to its end.

    Parameters
    ----------
    command : sequence of str
    folder : Path
    units : callable
        How many iterations or photos are done.
    seconds : float, optional
        When to ask it to stop, by SIGINT; without it it ends by itself.
    every : float
        Seconds between two samples.

    Returns
    -------
    list of Sample
    int
        Its exit status.
    """
    started, samples, asked = time.monotonic(), [], False
    with open(folder / "output.txt", "a", encoding="utf-8") as output:
        process = subprocess.Popen([str(word) for word in command], cwd=folder, stdout=output, stderr=output,
                                   env={**os.environ, "PYTHONPATH": str(ROOT)})
        try:
            while process.poll() is None:
                if seconds is not None and not asked and time.monotonic() - started > seconds:
                    process.send_signal(signal.SIGINT)
                    asked = True
                try:
                    samples.append(take(process.pid, started, units()))
                except (OSError, KeyError):     # it ended between two looks
                    break
                try:
                    process.wait(every)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.wait()
    return samples, process.returncode


def judge(samples, warm_up=WARM_UP):
    """What the samples say; the slope is of those after the warm-up, or after the first quarter where that is sooner.

    Returns
    -------
    dict
        Figures, and under "grew" the names of what grew beyond its limit.
    """
    samples = [sample for sample in samples if sample.units]
    if len(samples) < LEAST:
        raise SystemExit(f"error: {len(samples)} samples say nothing; expected {LEAST}, so let it run longer")
    start = min(warm_up, samples[0].seconds + (samples[-1].seconds - samples[0].seconds) / 4)
    counted = [sample for sample in samples if sample.seconds >= start]
    quarter = max(2, len(counted) // 4)
    first, last = counted[:quarter], counted[-quarter:]
    hours = [sample.seconds / 3600 for sample in counted]
    slopes = {}
    for name in ("rss", "anonymous"):
        line = stats.linregress(hours, [getattr(sample, name) * MIB / 1e6 for sample in counted])
        slopes[name] = (float(line.slope), float(line.stderr))
    costs = [(part[-1].cpu - part[0].cpu) / max(1, part[-1].units - part[0].units) for part in (first, last)]
    machine = [float(np.median([sample.reference for sample in part])) for part in (first, last)]
    found = {
        "seconds": round(samples[-1].seconds), "counted_from": round(start), "samples": len(counted),
        "units": samples[-1].units, "cpu_seconds": round(samples[-1].cpu),
        "rss_mb": [round(part[0].rss * MIB / 1e6, 1) for part in (counted, counted[-1:])],
        "rss_mb_per_hour": round(slopes["rss"][0], 3), "rss_stderr": round(slopes["rss"][1], 3),
        "anonymous_mb_per_hour": round(slopes["anonymous"][0], 3),
        "descriptors": [min(sample.descriptors for sample in part) for part in (first, last)],
        "threads": [min(sample.threads for sample in part) for part in (first, last)],
        "cpu_ms_per_unit": [round(1000 * cost, 3) for cost in costs],
        "speed": round(costs[1] / costs[0] - 1, 4), "machine": round(machine[1] / machine[0] - 1, 4),
    }
    grew = [name for name in ("descriptors", "threads") if found[name][1] > found[name][0]]
    if found["rss_mb_per_hour"] >= LIMITS["memory_mb_per_hour"]:
        grew.append("memory")
    if found["speed"] >= LIMITS["speed"]:
        grew.append("CPU time")
    return {**found, "grew": grew}


def train(folder, seconds, every=10.0):
    """Train stage s for so many seconds; (samples, exit status)."""
    log = folder / "logs/s.jsonl"
    tail = LineCount(log)
    command = [sys.executable, "-m", "training.train", "--solver", "solver-s.prototxt", "--log", log,
               "--snapshot-keep", "3", "--resume"]
    return watch(command, folder, tail, seconds, every)


class LineCount:
    """Counts the lines of a file that grows, reading what is new."""

    def __init__(self, path):
        self._path, self._at, self._lines = path, 0, 0

    def __call__(self):
        try:
            with open(self._path, "rb") as file:
                file.seek(self._at)
                new = file.read()
        except FileNotFoundError:
            return 0
        self._at += len(new)
        self._lines += new.count(b"\n")
        return self._lines


def segment(folder, seconds=None, every=10.0):
    """Segment the photos below `photos`, for so many seconds at most; (samples, exit status)."""
    out = folder / "segmented"
    weights = max(folder.glob("models/s_iter_*.caffemodel"), key=lambda path: path.stat().st_mtime)
    command = [sys.executable, "-m", "tools.segment", "--net", "deploy.prototxt", "--weights", weights, "--list",
               "lists/photos.txt", "--images", "photos", "--out", out, "--sizes", "65", "97", "--crf-scale", "3",
               "--workers", "2"]

    def done():
        return sum(name.endswith(".png") for name in os.listdir(out)) if out.is_dir() else 0

    return watch(command, folder, done, seconds, every)


def report(results):
    """Lines of a Markdown table."""
    yield "| | training, stage s | segmenting photos |"
    yield "|---|---|---|"
    rows = (("time", lambda r: f"{r['seconds'] / 60:.0f} min, {r['cpu_seconds'] / 60:.0f} min CPU"),
            ("done", lambda r: f"{r['units']:,}"),
            ("memory after the warm-up, at the end", lambda r: "{:.1f}, {:.1f} MB".format(*r["rss_mb"])),
            ("slope of memory", lambda r: f"{r['rss_mb_per_hour']:+.3f} MB/h (± {r['rss_stderr']:.3f})"),
            ("descriptors, first and last quarter", lambda r: "{}, {}".format(*r["descriptors"])),
            ("threads, first and last quarter", lambda r: "{}, {}".format(*r["threads"])),
            ("CPU time of one, first and last quarter", lambda r: "{:.2f}, {:.2f} ms".format(*r["cpu_ms_per_unit"])),
            ("change of that; of the fixed calculation", lambda r: f"{r['speed']:+.1%}; {r['machine']:+.1%}"),
            ("grew", lambda r: ", ".join(r["grew"]) or "nothing"))
    for name, cell in rows:
        yield f"| {name} | " + " | ".join(cell(results[part]) if part in results else "" for part in
                                          ("train", "segment")) + " |"


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.soak", description=__doc__.split("\n\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="where to work; made data that is there is used")
    parser.add_argument("--hours", type=float, default=2.0, help="of training (default: %(default)s); 0 for none")
    parser.add_argument("--photos", type=int, default=10000, help="to segment (default: %(default)s); 0 for none")
    parser.add_argument("--photo-hours", type=float, help="stop segmenting after so many (default: at the last photo)")
    args = parser.parse_args(argv)
    if args.hours < 0 or args.photos < 0:
        parser.error("--hours and --photos must be 0 or more")
    return args


def main(argv=None):
    args = parse_args(argv)
    folder = args.folder.resolve()
    make_run(folder)
    results, failed = {}, False
    parts = {"train": lambda: train(folder, 3600 * args.hours)} if args.hours else {}
    if args.photos:
        make_photos(folder, args.photos)
        parts["segment"] = lambda: segment(folder, args.photo_hours and 3600 * args.photo_hours)
    for name, work in parts.items():
        samples, status = work()
        (folder / f"samples-{name}.json").write_text(json.dumps([asdict(sample) for sample in samples]))
        if status not in (0, 130):
            print(f"error: {name} ended with status {status}; see {folder / 'output.txt'}", file=sys.stderr)
            failed = True
            continue
        results[name] = judge(samples)
        failed |= bool(results[name]["grew"])
    print("\n".join(report(results)))
    about = {"python": platform.python_version(), "cpus": os.cpu_count(),
             "threads": os.environ.get("OMP_NUM_THREADS", "")}
    (folder / "soak.json").write_text(json.dumps({**results, "machine": about}, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
