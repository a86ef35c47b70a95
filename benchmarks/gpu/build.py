"""Builds the project's two C++ packages for this machine, both at once, into a folder.

    python -m benchmarks.gpu.build --site work/gpu/site --json work/gpu/build.json
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from dsrg.io.atomic_files import write_text
from dsrg.io.errors import run_main

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("CRF", "dsrg/saliency/drfi/native")


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.build", description=__doc__.split("\n")[0])
    parser.add_argument("--site", type=Path, required=True, help="each package gets a folder in it, for PYTHONPATH")
    parser.add_argument("--json", type=Path, help="file for the seconds that each took")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install", "--no-index", "--no-deps",
           "--no-build-isolation", "--upgrade")
    started = time.monotonic()
    running = {package: subprocess.Popen([*pip, "--target", str(args.site / Path(package).name), f"./{package}"],
                                         cwd=ROOT) for package in PACKAGES}
    found, failed = {}, 0
    for package, process in running.items():
        status = process.wait()
        failed += status != 0
        found[package] = f"{time.monotonic() - started:.0f} s" + (f", pip ended with status {status}" if status else "")
        if args.json:
            write_text(args.json, json.dumps(found, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    run_main(main)
