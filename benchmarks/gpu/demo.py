"""The demo, whole, on a device: the table it ends with, and its minutes.

    python -m benchmarks.gpu.demo --work work/gpu/demo --device 0 --json demo.json
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from dsrg.io.atomic_files import write_text
from dsrg.io.errors import UserError, run_main


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.demo", description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder of the run; a finished stage is not run again")
    parser.add_argument("--device", default="0", help="cpu, or the number of a CUDA device (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="three iterations a stage: a rehearsal")
    parser.add_argument("--json", type=Path, help="file for the figures")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    environment = {**os.environ, "WORK": str(args.work.resolve()), "DEVICE": args.device, "ENGINE": "embedded"}
    if args.quick:
        environment["MAX_ITER"] = "3"
    start = time.monotonic()
    status = subprocess.run([sys.executable, "-m", "tools.run", "demo"], env=environment).returncode
    seconds = time.monotonic() - start
    table = args.work / "results/report.md"
    if status or not table.is_file():
        raise UserError(f"the demo ended with status {status} after {seconds:.0f} s; its output is above")
    rows = [line for line in table.read_text().splitlines() if line.startswith("|")]
    found = {"seconds": f"{seconds:.0f}", **{f"table {k}": row.strip("| ").replace("|", ";")
                                             for k, row in enumerate(rows) if k != 1}}
    if args.json:
        write_text(args.json, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    run_main(main)
