"""Write requirements.lock and requirements-torch-cpu.lock: python -m tests.supply.lock

Every package that requirements.txt brings, with its version and the hashes of its wheels for Linux on x86_64, as pip
itself resolves and finds them in the index in use. The versions are those of the Python this runs on; the wheels of the
other Pythons are added. torch stands apart: its wheel for CPUs and the one for CUDA are different files of one version.
"""

import argparse
import json
import platform
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS, LOCK, TORCH_LOCK = (ROOT / name for name in
                                  ("requirements.txt", "requirements.lock", "requirements-torch-cpu.lock"))
PYTHONS = ("3.11", "3.12", "3.13")
#: what torch's wheel for CUDA brings
OF_CUDA = re.compile(r"nvidia-|cuda-|triton$")
HEAD = """# Written by python -m tests.supply.lock: {what}, for Linux on x86_64, CPython {pythons}.
# LOCKED=1 bash setup.sh installs these files and no others.
"""


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m tests.supply.lock", description=__doc__.split("\n\n")[0])
    parser.parse_args(argv)
    here = resolved("-r", REQUIREMENTS)
    torch = {name: here.pop(name) for name in list(here) if name == "torch"}
    here = {name: found for name, found in here.items() if not OF_CUDA.match(name)}
    hashes = defaultdict(set)
    pins = "".join(f"{name}=={version}\n" for name, (version, _) in sorted(here.items()))
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "pins.txt")
        listed.write_text(pins)
        for python in PYTHONS:
            words = ("--python-version", python, "--only-binary=:all:", "--no-deps", "--target", folder, "-r", listed)
            for name, (_, digest) in resolved(*words).items():
                hashes[name].add(digest)
    LOCK.write_text(text("requirements.txt without torch, with all it brings", PYTHONS,
                         {name: (version, hashes[name]) for name, (version, _) in here.items()}))
    if "+cpu" in torch["torch"][0]:
        here_alone = (".".join(platform.python_version_tuple()[:2]),)
        TORCH_LOCK.write_text(text("torch's build for CPUs", here_alone,
                                   {"torch": (torch["torch"][0], {torch["torch"][1]})}))
    else:
        print(f"note: this index has torch's build for CUDA; {TORCH_LOCK.name} stays as it is", file=sys.stderr)
    return 0


def resolved(*words):
    """What pip would install: name -> (version, SHA-256)."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        subprocess.run([sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "-q", "--dry-run",
                        "--ignore-installed", "--report", report.name, *map(str, words)], check=True)
        found = json.loads(Path(report.name).read_text(encoding="utf-8"))["install"]
    return {normal(item["metadata"]["name"]): (item["metadata"]["version"],
                                               item["download_info"]["archive_info"]["hashes"]["sha256"])
            for item in found}


def normal(name):
    """A distribution's name as indices compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def text(what, pythons, packages):
    """A lock file."""
    lines = [HEAD.format(what=what, pythons=" ".join(pythons))]
    for name, (version, digests) in sorted(packages.items()):
        words = [f"{name}=={version}", *(f"--hash=sha256:{digest}" for digest in sorted(digests))]
        lines.append(" \\\n    ".join(words) + "\n")
    return "".join(lines)


def read(path):
    """A lock file's packages: name -> (version, hashes)."""
    joined = path.read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in joined.splitlines():
        if line and not line.startswith("#"):
            pin, *digests = line.split()
            name, version = pin.split("==")
            found[name] = (version, [digest.removeprefix("--hash=sha256:") for digest in digests])
    return found


if __name__ == "__main__":
    sys.exit(main())
