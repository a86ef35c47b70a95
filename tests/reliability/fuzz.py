"""Read damaged files with every reader: python -m tests.reliability.fuzz --hours 2

Each case is an undamaged file (or one that failed before) with damage done to it, read in a child process with limits:
five seconds and a gigabyte. The end is a table of readers and outcomes. An input that is a fault is made smaller and
kept in tests/data/fuzz/<reader>; the suite reads all of them again. Readers are in tests/reliability/readers.py.
"""

import argparse
import hashlib
import random
import sys
import time
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / folder) for folder in ("engine", "training", "")]

from tests.reliability.mutations import mutate  # noqa: E402
from tests.reliability.readers import DATA, all_readers  # noqa: E402
from tests.reliability.workers import run_batch  # noqa: E402

KEPT = DATA / "fuzz"
BATCH = 100


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.fuzz", description=__doc__.split("\n\n")[0])
    parser.add_argument("--cases", type=int, help="inputs to read, of all readers together")
    parser.add_argument("--hours", type=float, help="time to go on for")
    parser.add_argument("--reader", action="append", default=[], help="this reader only; may be given several times")
    parser.add_argument("--seed", type=int, default=0, help="of the damage (default: 0)")
    parser.add_argument("--no-keep", action="store_true", help="do not keep inputs that are faults")
    parser.add_argument("--list", action="store_true", help="list the readers and end")
    args = parser.parse_args(argv)
    if not args.list and (args.cases is None) == (args.hours is None):
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
    counts, faults = run(chosen, random.Random(args.seed), args.cases, end, None if args.no_keep else KEPT)
    print("\n".join(table(counts)))
    return 1 if faults else 0


def run(readers, rng, cases=None, end=None, keep=None):
    """Read damaged inputs, a batch of each reader in turn.

    Parameters
    ----------
    readers : sequence of Reader
    rng : random.Random
    cases : int, optional
        How many, of all readers together.
    end : float, optional
        time.monotonic() at which to stop.
    keep : Path, optional
        Folder to keep inputs in that are faults.

    Returns
    -------
    dict of str to Counter
        Reader -> "read", "refused", "fault" -> inputs.
    list of (str, str, bytes)
        Reader, what went wrong, input; the first of each kind.
    """
    counts, faults, kinds = {reader.name: Counter() for reader in readers}, [], set()
    done = 0
    while (cases is None or done < cases) and (end is None or time.monotonic() < end):
        reader = readers[done // BATCH % len(readers)]
        size = BATCH if cases is None else min(BATCH, cases - done)
        pool = [*reader.seeds, *kept_inputs(keep, reader.name)] if keep else reader.seeds
        inputs = [mutate(rng.choice(pool), pool, rng) for _ in range(size)]
        outcomes = []
        run_batch(reader.read, reader.refuses, inputs, outcomes)
        for data, outcome in zip(inputs, outcomes, strict=True):
            counts[reader.name][outcome if isinstance(outcome, str) else "fault"] += 1
            if isinstance(outcome, tuple) and _kind(reader, outcome[1]) not in kinds:
                kinds.add(_kind(reader, outcome[1]))
                data = smaller(reader, data)
                faults.append((reader.name, outcome[1], data))
                print(f"{reader.name}: {outcome[1]} ({len(data)} bytes)", file=sys.stderr, flush=True)
                if keep:
                    _keep(keep / reader.name, data)
        done += size
    return counts, faults


def _kind(reader, text):
    """What faults that are likely the same have in common: the reader, the class of error and the place."""
    return reader.name, *text.split(":")[:2]


def smaller(reader, data, tries=200):
    """A part of an input that is still a fault."""
    step = len(data) // 2
    while step and tries > 0:
        at = 0
        while at < len(data) and tries > 0:
            shorter = data[:at] + data[at + step :]
            outcomes = []
            run_batch(reader.read, reader.refuses, [shorter], outcomes)
            tries -= 1
            if isinstance(outcomes[0], tuple):
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


def table(counts):
    """Lines of a Markdown table."""
    yield "| reader | cases | read | refused | faults |"
    yield "|---|---:|---:|---:|---:|"
    for name, found in [*counts.items(), ("all", sum(counts.values(), Counter()))]:
        cells = (sum(found.values()), found["read"], found["refused"], found["fault"])
        yield f"| {name} | " + " | ".join(f"{n:,}" for n in cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
