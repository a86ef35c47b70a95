"""Runs one stage of the pipeline once: skipped when done, resumed when cut off, redone when its inputs changed.

    python -m tools.stage NAME --reads FILE.. --makes PATH.. -- COMMAND ARG..

A stage is done when stamps/NAME.json stands, written last and atomically, with a hash of the command and of all it
reads, and all it makes is there. stamps/NAME.begun holds the hash of the run in progress: after a kill the command is
started again over what it had made, and goes on from there. Where the hash differs, what the old inputs made is moved
to stale/NAME-<n>/ first, so that nothing old is taken for new and nothing is lost.
"""

import argparse
import glob
import hashlib
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

from dsrg.io.atomic_files import atomic_write
from dsrg.io.errors import UserError, run_main

#: files, and folders, above this size are known by sizes and times of change instead of content
HASH_CONTENT_BELOW = 64 << 20


def digest(command, reads):
    """SHA-256 of the command and of every path it reads (a folder: its files, not those of folders in it).

    Content counts where there is not too much of it, so that data copied anew leaves done what is done.

    Raises
    ------
    UserError
        A path that does not exist: an earlier stage has not run.
    """
    out = hashlib.sha256(json.dumps(command).encode())
    for name in reads:
        path = Path(name)
        out.update(f"\0{name}\0".encode())
        if not path.exists():
            raise UserError(f"{name}: does not exist; run the stage that makes it first (run.sh without --stages)")
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        stats = [file.stat() for file in files]
        small = sum(stat.st_size for stat in stats) < HASH_CONTENT_BELOW
        for file, stat in zip(files, stats, strict=True):
            out.update(f"{file.name} {stat.st_size} ".encode())
            if small and file.is_file():
                out.update(file.read_bytes())
            else:
                out.update(f"{stat.st_mtime_ns}".encode())
    return out.hexdigest()


def made(patterns):
    """The paths that glob patterns name, sorted."""
    return sorted(p for pattern in patterns for p in glob.glob(pattern))


def set_aside(name, patterns):
    """Move what an outdated run of the stage made to stale/<name>-<n>/; the folder, or None if there was nothing."""
    paths = made(patterns)
    if not paths:
        return None
    number = 1
    while (folder := Path("stale") / f"{name}-{number}").exists():
        number += 1
    for path in paths:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target)
    return folder


def run_stage(name, reads, makes, command):
    """Run `command` unless the stage is done; returns its exit status (0 when skipped)."""
    stamp, begun = Path("stamps") / f"{name}.json", Path("stamps") / f"{name}.begun"
    key = digest(command, reads)
    if stamp.exists() and all(made([p]) for p in makes) and json.loads(stamp.read_text())["hash"] == key:
        print(f"== {name}: done")
        return 0
    previous = begun.read_text() if begun.exists() else None
    if previous != key and (folder := set_aside(name, makes)):
        print(f"== {name}: inputs changed, earlier results moved to {folder}")
    stamp.unlink(missing_ok=True)
    begun.parent.mkdir(exist_ok=True)
    with atomic_write(begun) as path:
        path.write_text(key)
    print(f"== {name}: {' '.join(command[2:] if command[1:2] == ['-m'] else command)}", flush=True)
    start = time.monotonic()
    status = subprocess.call(command)
    if status:
        return status if status > 0 else 128 - status
    missing = [p for p in makes if not made([p])]
    if missing:
        raise UserError(f"stage {name} ended well but did not make {', '.join(missing)}")
    record = {
        "hash": key,
        "command": command,
        "seconds": round(time.monotonic() - start, 1),
        "peak_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
        "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    with atomic_write(stamp) as path:
        path.write_text(json.dumps(record, indent=1))
    print(f"== {name}: {record['seconds']:.0f} s, peak {record['peak_mib']} MiB", flush=True)
    return 0


def parse_args(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="name of the stage and of its stamp")
    parser.add_argument("--reads", nargs="*", default=[], metavar="PATH", help="files and folders it depends on")
    parser.add_argument("--makes", nargs="*", default=[], metavar="GLOB", help="what must exist when it is done")
    argv = sys.argv[1:] if argv is None else argv
    if "--" not in argv:
        parser.error("put the command after --")
    cut = argv.index("--")
    args = parser.parse_args(argv[:cut])
    args.command = argv[cut + 1 :]
    if not args.command:
        parser.error("no command after --")
    return args


def main(argv=None):
    args = parse_args(argv)
    return run_stage(args.name, args.reads, args.makes, args.command)


if __name__ == "__main__":
    run_main(main)
