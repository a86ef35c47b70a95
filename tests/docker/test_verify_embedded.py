"""What verify_embedded takes from the host and asks of buildah. No root is needed: programs are only written down."""

import subprocess
import sys

import pytest

from docker import verify_embedded
from dsrg.io.errors import UserError
from tests.conftest import ROOT

BASE = "debian:bookworm-20250520-slim"


@pytest.fixture
def commands(monkeypatch):
    """The commands that are run, as texts; apt knows bookworm, buildah has no image, containers are called "made"."""
    found = []

    def run(command, **_):
        text = " ".join(map(str, command))
        found.append(text)
        if command[0] == "debootstrap":
            (command[3] / "etc/apt").mkdir(parents=True)
        answer = {"apt-get": "deb http://a/debian/ bookworm main\ndeb http://a/debian/ bookworm-updates main\n"
                             "deb http://b/tools nodistro main\n"}.get(command[0], "made\n" if " from " in text else "")
        return subprocess.CompletedProcess(command, int(" inspect " in text), stdout=answer)

    monkeypatch.setattr(verify_embedded.subprocess, "run", run)
    return found


def test_base_image_is_the_hosts_debian_under_the_name_of_the_dockerfile(commands, tmp_path):
    verify_embedded.verify(tmp_path, ["base"], 3)
    assert f"debootstrap --variant=minbase bookworm {tmp_path}/debian/tree http://a/debian/" in commands
    assert (tmp_path / "debian/tree/etc/apt/sources.list").read_text() == \
        "deb http://a/debian/ bookworm main\ndeb http://a/debian/ bookworm-updates main\n"
    builds = [command for command in commands if " build " in command]
    assert len(builds) == 2 and f"--tag {BASE}" in builds[0] and "--target base" in builds[1]


def test_images_are_built_and_run_in_turn(commands, tmp_path):
    verify_embedded.verify(tmp_path, ["run", "test"], 2)
    steps = [command for command in commands if " build " in command or " run " in command][1:]
    ends = ["--target run", "-- bash run.sh --help", "-- .venv/bin/python -m tools.make_demo_data",
            "-- env MAX_ITER=2 PRECISION=fp32 DATA_ROOT=work/small bash run.sh demo", "--target test",
            "-- bash test.sh"]
    assert len(steps) == len(ends) and all(end in step for end, step in zip(ends, steps, strict=True))
    assert all(f"--volume {tmp_path}/pip.conf:/etc/pip.conf:ro" in step for step in steps)


def test_a_release_that_the_host_does_not_know(commands, tmp_path):
    with pytest.raises(UserError, match="the host's apt knows no mirror of Debian trixie"):
        verify_embedded.debian(tmp_path, "debian:trixie-20250520-slim")


def test_pip_settings_and_the_folders_they_name(monkeypatch, tmp_path):
    for name in ("wheels", "index/simple", "index/files"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "certificates.pem").touch()
    answer = (f":env:.find-links='{tmp_path}/wheels'\nglobal.extra-index-url='file://{tmp_path}/index/simple'\n"
              "global.cert='/somewhere.pem'\n")
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: subprocess.CompletedProcess(a, 0, stdout=answer))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificates.pem"))
    flags = verify_embedded.mounts(tmp_path)
    assert (tmp_path / "pip.conf").read_text().splitlines() == [
        "[global]", f"find-links = {tmp_path}/wheels", f"extra-index-url = file://{tmp_path}/index/simple",
        "cert = /etc/host-certificates.pem"]
    assert set(flags[1::2]) == {f"{tmp_path}/pip.conf:/etc/pip.conf:ro", f"{tmp_path}/wheels:{tmp_path}/wheels:ro",
                                f"{tmp_path}/certificates.pem:/etc/host-certificates.pem:ro",
                                f"{tmp_path}/index:{tmp_path}/index:ro"}, "an index leads to files beside it"


def test_a_failed_command_is_named(tmp_path):
    with pytest.raises(UserError, match="failed: false"):
        verify_embedded.timed(["false"])


def test_without_root_or_programs_it_says_what_to_do(monkeypatch):
    monkeypatch.setattr(verify_embedded.os, "geteuid", lambda: 1000)
    with pytest.raises(UserError, match="need root: run it as root, or build the image with Docker"):
        verify_embedded.main([])
    monkeypatch.setattr(verify_embedded.os, "geteuid", lambda: 0)
    monkeypatch.setattr(verify_embedded.shutil, "which", lambda *a, **k: None)
    with pytest.raises(UserError, match="apt-get install debootstrap buildah"):
        verify_embedded.main([])


def test_help():
    done = subprocess.run([sys.executable, "-m", "docker.verify_embedded", "--help"], cwd=ROOT, capture_output=True,
                          text=True)
    assert done.returncode == 0 and "--targets" in done.stdout
