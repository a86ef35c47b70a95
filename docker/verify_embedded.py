"""Build Dockerfile.embedded without a Docker engine, and run the result: python -m docker.verify_embedded

Every RUN step runs in a clean Debian tree (debootstrap and chroot; none of them needs a GPU), every COPY takes what
.dockerignore lets through. Then, as the images would: `bash run.sh --help`, a demo of a few iterations, and the test
suite. Prints what each step took. Needs root, debootstrap and about 10 GB below --trees; the package mirror and pip's
settings are the host's (MIRROR=... names another Debian mirror).
"""

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from docker.chroot_build import LOG, Builder
from docker.dockerfile_steps import ignore_rules, read_stages
from dsrg.io.errors import UserError, run_main
from dsrg.io.versions import git_commit

ROOT = Path(__file__).resolve().parents[1]
SMALL_DATA = ".venv/bin/python -m tools.make_demo_data --out work/small --train 16 --val 4"


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m docker.verify_embedded", description=__doc__.split("\n")[0])
    parser.add_argument("--trees", type=Path, metavar="DIR", help="folder for the trees (default: a temporary one)")
    parser.add_argument("--keep", action="store_true", help="leave the trees there")
    parser.add_argument("--reuse", action="store_true", help="build nothing, run what --keep left in --trees")
    parser.add_argument("--tests", default="all", choices=("all", "none"), help="run the test suite (default: all)")
    parser.add_argument("--iterations", type=int, default=3, metavar="N",
                        help="iterations of each training of the demo run; 0 leaves the run out (default: %(default)s)")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    if os.geteuid():
        raise UserError("chroot needs root: run it as root, or build the image with Docker")
    for program in ("debootstrap", "unshare", "chroot"):
        if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            raise UserError(f"no {program}; on Debian: apt-get install debootstrap util-linux coreutils")
    stages = read_stages((ROOT / "docker/Dockerfile.embedded").read_text(encoding="utf-8"))
    if args.trees is None:
        args.trees = Path(tempfile.mkdtemp(prefix="dsrg-trees-", dir="/var/tmp"))
    folder = args.trees.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for stage in stages:
        if (folder / stage.name).exists() is not args.reuse:
            raise UserError(f"{folder}/{stage.name} " + ("is not there; build it first, with --keep" if args.reuse else
                                                         "exists; remove it, choose another --trees, or --reuse it"))
    try:
        verify(folder, stages, args)
    finally:
        if not args.keep:
            for stage in stages:
                shutil.rmtree(folder / stage.name, ignore_errors=True)
            (folder / LOG).unlink(missing_ok=True)
            if not any(folder.iterdir()):
                folder.rmdir()


def verify(folder, stages, args):
    """Build all stages below `folder`, run them, print the table."""
    rules = ignore_rules((ROOT / ".dockerignore").read_text(encoding="utf-8"))
    builder = Builder(folder, ROOT, rules, reuse=args.reuse)
    trees = {stage.name: builder.build(stage) for stage in stages}
    image, runs = trees[stages[-1].name], [("run.sh --help", lambda: image.start("--help"))]
    if args.iterations:
        settings = {"MAX_ITER": str(args.iterations), "PRECISION": "fp32", "DATA_ROOT": "work/small"}
        runs.append((SMALL_DATA, lambda: image.run(SMALL_DATA)))
        runs.append((f"run.sh demo, MAX_ITER={args.iterations}", lambda: image.start("demo", **settings)))
    if args.tests == "all":
        runs.append(("test.sh", lambda: trees["test"].start()))
    results = []
    try:
        for name, run in runs:
            results.append((name, run()))
    finally:
        report(builder.times, results, trees)


def report(steps, results, trees):
    """Print the seconds of each step and run, and the size of each tree."""
    print(f"\ncommit {git_commit()}, {os.cpu_count()} cores; seconds")
    for stage, text, seconds in steps:
        print(f"{seconds:8.1f}  {stage:6}  {text[:100]}")
    for name, seconds in results:
        print(f"{seconds:8.1f}  {'(runs)':6}  {name}")
    for name, tree in trees.items():
        size = subprocess.run(["du", "-sm", tree.root], capture_output=True, text=True, check=True).stdout.split()[0]
        print(f"{size:>8} MB of {name}")


if __name__ == "__main__":
    run_main(main)
