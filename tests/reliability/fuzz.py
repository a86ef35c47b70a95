"""Read damaged files with every reader: python -m tests.reliability.fuzz --hours 2

Each case is an undamaged file (or one that failed before) with damage done to it, read in a child process with limits:
five seconds and a gigabyte. The readers take turns, each for the same time. The end is a table of readers and outcomes;
--counts keeps it in a file, which the next run goes on from. An input that is a fault is made smaller and kept in
tests/data/fuzz/<reader>; the suite reads all of them again. Readers are in tests/reliability/readers.py.
"""

import argparse
import hashlib
import json
import os
import random
import resource
import sys
import time
from collections import Counter
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # threads do not outlive a fork, and who waits for one of them waits for ever
sys.path[:0] = [str(Path(__file__).resolve().parents[2] / folder) for folder in ("engine", "training", "")]

from dsrg.io.atomic_files import write_text  # noqa: E402
from dsrg.io.versions import git_commit  # noqa: E402
from tests.reliability.mutations import mutate  # noqa: E402
from tests.reliability.readers import DATA, all_readers  # noqa: E402
from tests.reliability.workers import run_batch  # noqa: E402

KEPT = DATA / "fuzz"
BATCH, LARGEST_BATCH = 20, 1000  # inputs a child: of the first batch, at most
TURN = 0.5  # seconds of processor time that a batch is to take
OUTCOMES = ("read", "refused", "fault")


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.fuzz", description=__doc__.split("\n\n")[0])
    parser.add_argument("--cases", type=int, help="inputs to read, of all readers together, those in --counts included")
    parser.add_argument("--hours", type=float, help="time to go on for")
    parser.add_argument("--reader", action="append", default=[], help="this reader only; may be given several times")
    parser.add_argument("--seed", type=int, default=0, help="of the damage (default: 0)")
    parser.add_argument("--counts", type=Path, help="JSON file of counts by commit, reader and outcome; one that "
                        "is there is gone on from")
    parser.add_argument("--no-keep", action="store_true", help="do not keep inputs that are faults")
    parser.add_argument("--list", action="store_true", help="list the readers and end")
    args = parser.parse_args(argv)
    if not args.list and args.cases is None and args.hours is None:
        parser.error("give --cases or --hours")
    return args


def main(argv=None):
    args = parse_args(argv)
    readers = all_readers()
    if args.list:
        print("\n".join(readers))
        return 0
    if unknown := set(args.reader) - set(readers):
        print(f"error: no reader {', '.join(unknown)}; there are {', '.join(readers)}", file=sys.stderr)
        return 1
    chosen = [readers[name] for name in args.reader or readers]
    end = None if args.hours is None else time.monotonic() + 3600 * args.hours
    record = CountsFile(args.counts, args.seed) if args.counts else None
    before = record.counts() if record else {}
    counts, faults = run(chosen, args.seed, args.cases, end, None if args.no_keep else KEPT, before,
                         record.save if record else None)
    for name, found in before.items():
        counts[name] = counts.get(name, Counter()) + found
    print("\n".join(table(counts)))
    return 1 if faults else 0


def run(readers, seed=0, cases=None, end=None, keep=None, before=(), tell=None):
    """Read damaged inputs, a batch of a reader at a time; the next is the one that has had least processor time.

    Input n of a reader depends on the seed, n, and the files that damage is done to; not on the other readers.

    Parameters
    ----------
    readers : sequence of Reader
    seed : int
    cases : int, optional
        How many, of all readers together, with those of `before`.
    end : float, optional
        time.monotonic() at which to stop.
    keep : Path, optional
        Folder to keep inputs in that are faults.
    before : mapping of str to Counter
        Counts of an earlier run, which is gone on from.
    tell : function, optional
        Is called with the counts of this run after each batch.

    Returns
    -------
    dict of str to Counter
        Reader -> "read", "refused", "fault" -> inputs.
    list of (str, str, bytes)
        Reader, what went wrong, input; the first of each kind.
    """
    before = dict(before)
    counts, faults, kinds = {reader.name: Counter() for reader in readers}, [], set()
    spent, rates = dict.fromkeys(counts, 0.0), {}
    done = sum(found.total() for found in before.values())
    while (cases is None or done < cases) and (end is None or time.monotonic() < end):
        reader = min(readers, key=lambda one: spent[one.name])
        name = reader.name
        size = min(LARGEST_BATCH, max(10, int(rates[name] * TURN))) if name in rates else BATCH
        size = size if cases is None else min(size, cases - done)
        first = before.get(name, Counter()).total() + counts[name].total()
        began = _processor_time()
        pool = [*reader.seeds, *kept_inputs(keep, name)] if keep else reader.seeds
        inputs = [damaged(reader, pool, seed, first + n) for n in range(size)]
        outcomes = []
        run_batch(reader.read, reader.refuses, inputs, outcomes)
        taken = max(_processor_time() - began, 1e-3)
        spent[name], rates[name] = spent[name] + taken, size / taken
        for data, outcome in zip(inputs, outcomes, strict=True):
            counts[name][outcome if isinstance(outcome, str) else "fault"] += 1
            if isinstance(outcome, tuple) and _kind(reader, outcome[1]) not in kinds:
                kinds.add(_kind(reader, outcome[1]))
                data = smaller(reader, data, outcome[1])
                faults.append((name, outcome[1], data))
                print(f"{name}: {outcome[1]} ({len(data)} bytes)", file=sys.stderr, flush=True)
                if keep:
                    _keep(keep / name, data)
        done += size
        if tell is not None:
            tell(counts)
    return counts, faults


def damaged(reader, pool, seed, number):
    """Input `number` of a reader."""
    rng = random.Random(f"{seed} {reader.name} {number}")
    return mutate(rng.choice(pool), pool, rng, reader.damage)


def _processor_time():
    """Seconds of processor time of this process and its children."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in both)


def _kind(reader, text):
    """What faults that are likely the same have in common: the reader, the class of error and the place."""
    return reader.name, *text.split(":")[:2]


def smaller(reader, data, text="", tries=60):
    """A part of an input that is still a fault, of the kind of `text` where it is given."""
    step = len(data) // 2
    while step and tries > 0:
        at = 0
        while at < len(data) and tries > 0:
            shorter, outcomes = data[:at] + data[at + step :], []
            run_batch(reader.read, reader.refuses, [shorter], outcomes)
            tries -= 1
            if isinstance(outcomes[0], tuple) and (not text or _kind(reader, outcomes[0][1]) == _kind(reader, text)):
                data = shorter
            else:
                at += step
        step //= 2
    return data


def kept_inputs(folder, name):
    """Contents of the inputs that a reader has failed on."""
    return [path.read_bytes() for path in sorted((folder / name).glob("*.bin"))]


def _keep(folder, data):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{hashlib.sha256(data).hexdigest()[:12]}.bin").write_bytes(data)


class CountsFile:
    """Counts of several runs: {"runs": [{"commit", "seed", "readers": {reader: {outcome: inputs}}}]}.

    Parameters
    ----------
    path : Path
    seed : int
        Of the run that goes on from it.
    """

    def __init__(self, path, seed):
        self._path = path
        self._runs = json.loads(path.read_text(encoding="utf-8"))["runs"] if path.exists() else []
        self._own = {"commit": git_commit(), "seed": seed, "readers": {}}

    def counts(self):
        """Reader -> Counter of outcomes, of all runs together."""
        total = {}
        for one in self._runs:
            for name, found in one["readers"].items():
                total[name] = total.get(name, Counter()) + Counter({key: found[key] for key in OUTCOMES})
        return total

    def save(self, counts):
        """Write the runs there were and this one."""
        self._own["readers"] = {name: {key: found[key] for key in OUTCOMES} for name, found in counts.items()
                                if found.total()}
        write_text(self._path, json.dumps({"runs": [*self._runs, self._own]}, indent=1) + "\n")


def table(counts):
    """Lines of a Markdown table."""
    yield "| reader | cases | read | refused | faults |"
    yield "|---|---:|---:|---:|---:|"
    for name, found in [*counts.items(), ("all", sum(counts.values(), Counter()))]:
        cells = (found.total(), found["read"], found["refused"], found["fault"])
        yield f"| {name} | " + " | ".join(f"{n:,}" for n in cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
