"""The demo, whole, on a device: the table it ends with, and its minutes.

    python -m benchmarks.gpu.demo --work work/gpu/demo --device 0 --json demo.json
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from dsrg.io.atomic_files import write_text
from dsrg.io.errors import UserError, run_main

PAUSE = 5       # seconds between two looks at what is done


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.demo", description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder of the run; a finished stage is not run again")
    parser.add_argument("--device", default="0", help="cpu, or the number of a CUDA device (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="three iterations a stage: a rehearsal")
    parser.add_argument("--json", type=Path, help="file for the figures")
    return parser.parse_args(argv)


def stage_seconds(folder):
    """Seconds of each stage of a run that is done, in the order in which they ended; {} before the first."""
    stamps = [(path.stat().st_mtime, path.stem, json.loads(path.read_text()).get("seconds"))
              for path in (folder / "stamps").glob("*.json")]
    return {name: seconds for _, name, seconds in sorted(stamps) if seconds is not None}


def main(argv=None):
    args = parse_args(argv)
    environment = {**os.environ, "WORK": str(args.work.resolve()), "DEVICE": args.device, "ENGINE": "embedded",
                   "LIVE_PAGE": "0"}
    if args.quick:
        environment["MAX_ITER"] = "3"
    run, found, status = args.work / "demo", {}, None
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "tools.run", "demo"], env=environment)
    while status is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = process.wait(PAUSE)
        # what is known so far: the step may end this process before the run is done
        stages = stage_seconds(run)
        found = {"seconds": f"{time.monotonic() - start:.0f}",
                 "stages, seconds": ", ".join(f"{name} {seconds:.0f}" for name, seconds in stages.items())}
        if args.json:
            write_text(args.json, json.dumps(found, indent=1) + "\n")
    table = run / "results/report.md"
    if status or not table.is_file():
        raise UserError(f"the demo ended with status {status} after {found['seconds']} s; its output is above")
    rows = [line for line in table.read_text().splitlines() if line.startswith("|")]
    found |= {f"table {k}": row.strip("| ").replace("|", ";") for k, row in enumerate(rows) if k != 1}
    if args.json:
        write_text(args.json, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    run_main(main)
