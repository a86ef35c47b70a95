"""Build Dockerfile.embedded without a Docker engine, by buildah, and run the result.

    python -m docker.verify_embedded

The base image is a Debian tree made with debootstrap, under the name that the Dockerfile's FROM gives. buildah builds
the targets on it, without a daemon, and runs what the images would: of `run` the help and a demo of a few iterations,
of `test` the test suite. Needs root, buildah, debootstrap and about 20 GB below --storage. pip's settings and
certificates are the host's, as is the Debian mirror.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from dsrg.io.errors import UserError, run_main

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = ROOT / "docker/Dockerfile.embedded"
CERTIFICATES = "/etc/host-certificates.pem"
SMALL_DATA = ".venv/bin/python -m tools.make_demo_data --out work/small --train 16 --val 4"


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m docker.verify_embedded", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", type=Path, metavar="DIR",
                        help="folder for the images, kept if given (default: a temporary one)")
    parser.add_argument("--targets", nargs="+", default=["run", "test"], choices=("base", "build", "run", "test"),
                        help="stages to build, and to run (default: run test)")
    parser.add_argument("--iterations", type=int, default=3, metavar="N",
                        help="iterations of each training of the demo run; 0 leaves the run out (default: %(default)s)")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    if os.geteuid():
        raise UserError("debootstrap and chroot need root: run it as root, or build the image with Docker")
    for program in ("debootstrap", "buildah"):
        if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            raise UserError(f"no {program}; on Debian: apt-get install debootstrap buildah")
    with tempfile.TemporaryDirectory(prefix="dsrg-images-", dir="/var/tmp") as temporary:
        folder = (args.storage or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        verify(folder, args.targets, args.iterations)


def verify(folder, targets, iterations):
    """Build the images below `folder` and run them."""
    buildah = ["buildah", "--root", folder / "storage", "--runroot", folder / "runroot", "--storage-driver", "vfs"]
    base = re.search(r"^FROM (\S+) AS base$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)[1]
    if subprocess.run([*buildah, "inspect", "--type", "image", base], capture_output=True, check=False).returncode:
        timed([*buildah, "build", "--isolation", "chroot", "--tag", base, debian(folder, base)])
    host = ["--isolation", "chroot", *mounts(folder)]
    # of the two formats of images only Docker's knows SHELL
    for target in targets:
        timed([*buildah, "build", *host, "--format", "docker", "--pull-never", "--layers", "--target", target,
               "--tag", f"dsrg-{target}", "--file", DOCKERFILE, ROOT])
        commands = {"run": ["bash run.sh --help"], "test": ["bash test.sh"]}.get(target, [])
        if target == "run" and iterations:
            demo = f"env MAX_ITER={iterations} PRECISION=fp32 DATA_ROOT=work/small bash run.sh demo"
            commands += [SMALL_DATA, demo]
        if commands:
            container = subprocess.run([*buildah, "from", "--pull-never", f"dsrg-{target}"], check=True, text=True,
                                       capture_output=True).stdout.strip()
        for command in commands:
            timed([*buildah, "run", *host, container, "--", *shlex.split(command)])


def debian(folder, image):
    """A folder with a Dockerfile of debian:<suite>-..., whose tree comes from the host's mirror."""
    suite = image.partition(":")[2].partition("-")[0]
    asked = ["apt-get", "indextargets", "--format", "deb $(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines()
    sources = [line for line in found if line.split()[2].partition("-")[0] == suite and line.endswith(" main")]
    mirror = next((line.split()[1] for line in sources if line.split()[2] == suite), None)
    if mirror is None:
        raise UserError(f"the host's apt knows no mirror of Debian {suite} (FROM {image})")
    context = folder / "debian"
    timed(["debootstrap", "--variant=minbase", suite, context / "tree", mirror])
    (context / "tree/etc/apt/sources.list").write_text("".join(f"{line}\n" for line in sources))
    (context / "Dockerfile").write_text("FROM scratch\nCOPY tree /\n")
    return context


def mounts(folder):
    """buildah's --volume flags for the host's pip settings: one pip.conf, the certificates, the paths it names."""
    lines = subprocess.run(["python3", "-m", "pip", "config", "list"], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    pairs = (line.partition("=") for line in lines)
    settings = {name.rpartition(".")[2]: shlex.split(value)[0] for name, _, value in pairs if value}
    volumes = {folder / "pip.conf": "/etc/pip.conf"}
    for path in (settings.pop("cert", ""), os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")):
        if os.path.isfile(path):
            settings["cert"], volumes[path] = CERTIFICATES, CERTIFICATES
            break
    for path in (Path(word.removeprefix("file://")) for value in settings.values() for word in value.split()):
        if path.is_absolute() and path.exists() and str(path) != CERTIFICATES:
            path = path.parent if path.name == "simple" else path  # an index in a folder leads to files beside it
            volumes[path] = path
    (folder / "pip.conf").write_text("[global]\n" + "".join(f"{k} = {v}\n" for k, v in settings.items()))
    return [word for host, inside in volumes.items() for word in ("--volume", f"{host}:{inside}:ro")]


def timed(command):
    """Run a command, print its seconds; UserError when it fails."""
    started, text = time.monotonic(), shlex.join(map(str, command))
    if subprocess.run(command, check=False).returncode:
        raise UserError(f"failed: {text}")
    print(f"== {time.monotonic() - started:.1f} s: {text}", flush=True)


if __name__ == "__main__":
    run_main(main)
