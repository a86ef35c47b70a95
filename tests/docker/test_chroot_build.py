"""What builds a Dockerfile as trees: settings taken from the host, files copied as Docker does. No root is needed."""

import subprocess
import sys

import pytest

from docker import chroot_build, verify_embedded
from docker.chroot_build import Builder, Tree
from docker.dockerfile_steps import ignore_rules, read_stages
from dsrg.io.errors import UserError
from tests.conftest import ROOT


def test_sources_are_those_of_the_release(monkeypatch):
    lines = "http://a/debian/ bookworm main\nhttp://a/debian/ bookworm-updates main\nhttp://b/tools nodistro main\n"
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: subprocess.CompletedProcess(a, 0, stdout=lines))
    assert chroot_build.host_sources("bookworm") == ["deb http://a/debian/ bookworm main",
                                                     "deb http://a/debian/ bookworm-updates main"]
    monkeypatch.delenv("MIRROR", raising=False)
    assert chroot_build.mirror("bookworm") == "http://a/debian/"
    with pytest.raises(UserError, match="knows no mirror of Debian trixie; give one: MIRROR="):
        chroot_build.mirror("trixie")
    monkeypatch.setenv("MIRROR", "http://mine/debian")
    assert chroot_build.mirror("trixie") == "http://mine/debian"


def test_pip_settings_and_the_folders_they_name(monkeypatch, tmp_path):
    for name in ("wheels", "index/simple", "index/files"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "certificates.pem").touch()
    answer = (f":env:.find-links='{tmp_path}/wheels'\nglobal.extra-index-url='file://{tmp_path}/index/simple'\n"
              "global.cert='/somewhere.pem'\n")
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: subprocess.CompletedProcess(a, 0, stdout=answer))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificates.pem"))
    text, paths = chroot_build.pip_settings()
    assert text.splitlines() == ["[global]", f"find-links = {tmp_path}/wheels",
                                 f"extra-index-url = file://{tmp_path}/index/simple",
                                 "cert = /etc/host-certificates.pem"]
    assert paths == [f"{tmp_path}/index", f"{tmp_path}/wheels"], "an index leads to files beside it"


@pytest.fixture
def builder(tmp_path):
    """A builder of a small context, and the tree of a stage."""
    context = tmp_path / "context"
    for name in ("a.sh", "lib/x.py", "lib/deep/y.py", "lib/y.pyc", "secret.txt"):
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text(name)
    tree = Tree(tmp_path / "tree", folder="/opt/app")
    tree.path(".").mkdir(parents=True)
    return Builder(tmp_path, context, ignore_rules("*\n!a.sh\n!lib/**\n**/*.pyc")), tree


def copied(tree):
    return sorted(str(p.relative_to(tree.root)) for p in tree.root.rglob("*") if p.is_file())


@pytest.mark.parametrize(("text", "expected"), [
    ("a.sh ./", ["a.sh"]),
    ("a.sh b.sh", ["b.sh"]),
    ("lib lib", ["lib/deep/y.py", "lib/x.py"]),
    ("lib /opt/app/", ["deep/y.py", "x.py"]),           # what a folder holds, not the folder
    (". .", ["a.sh", "lib/deep/y.py", "lib/x.py"]),
    ("a.sh lib all/", ["all/a.sh", "all/deep/y.py", "all/x.py"]),
])
def test_copy(builder, text, expected):
    builder, tree = builder
    builder._copy(text, tree)
    assert copied(tree) == [f"opt/app/{name}" for name in expected]


def test_copy_of_what_is_not_in_the_context_is_refused(builder):
    builder, tree = builder
    with pytest.raises(UserError, match=r"COPY secret.txt: not in the build context \(see .dockerignore\)"):
        builder._copy("secret.txt .", tree)


def test_settings_of_a_stage_and_steps_that_are_not_known(builder):
    builder, tree = builder
    steps = read_stages('FROM debian:bookworm-1-slim\nARG A=1\nENV B=${A}2 C=x\nWORKDIR deep\nUSER me\n'
                        'SHELL ["/bin/bash", "-c"]\nENTRYPOINT ["bash", "run.sh"]\nCMD ["x"]\nVOLUME /x\n')[0]
    for step in steps.steps[:-1]:
        builder._do(steps, step, tree)
    assert (tree.arguments, tree.environment) == ({"A": "1"}, {"B": "12", "C": "x"})
    assert (tree.folder, tree.user, tree.shell) == ("/opt/app/deep", "me", ("/bin/bash", "-c"))
    assert (tree.entrypoint, tree.command) == (["bash", "run.sh"], ["x"])
    with pytest.raises(UserError, match="line 9: VOLUME is not understood here"):
        builder._do(steps, steps.steps[-1], tree)


def test_an_image_that_is_no_debian_is_refused(builder):
    builder, _ = builder
    with pytest.raises(UserError, match="FROM nvidia/cuda:11: only debian:"):
        builder.build(read_stages("FROM nvidia/cuda:11 AS a\n")[0])


@pytest.mark.parametrize(("flags", "made", "says"), [
    ([], "base", "base exists; remove it, choose another --trees, or --reuse it"),
    (["--reuse"], "other", "base is not there; build it first, with --keep"),
])
def test_folders_that_do_not_fit_are_refused_and_left_alone(tmp_path, monkeypatch, flags, made, says):
    monkeypatch.setattr(verify_embedded.os, "geteuid", lambda: 0)
    monkeypatch.setattr(verify_embedded.shutil, "which", lambda *a, **k: "/bin/true")
    (tmp_path / made).mkdir()
    with pytest.raises(UserError, match=says):
        verify_embedded.main(["--trees", str(tmp_path), *flags])
    assert [path.name for path in tmp_path.iterdir()] == [made]


def test_a_failed_build_takes_away_its_own_trees_only(tmp_path, monkeypatch):
    def fail(folder, stages, args):
        (folder / "base").mkdir()
        raise UserError("a step failed")

    monkeypatch.setattr(verify_embedded.os, "geteuid", lambda: 0)
    monkeypatch.setattr(verify_embedded.shutil, "which", lambda *a, **k: "/bin/true")
    monkeypatch.setattr(verify_embedded, "verify", fail)
    (tmp_path / "mine.txt").touch()
    with pytest.raises(UserError, match="a step failed"):
        verify_embedded.main(["--trees", str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(UserError, match="a step failed"):
        verify_embedded.main(["--trees", str(tmp_path / "new")])
    assert not (tmp_path / "new").exists()


def test_without_root_it_says_so(monkeypatch):
    monkeypatch.setattr(verify_embedded.os, "geteuid", lambda: 1000)
    with pytest.raises(UserError, match="chroot needs root"):
        verify_embedded.main([])


def test_the_command_tells_what_it_does():
    done = subprocess.run([sys.executable, "-m", "docker.verify_embedded", "--help"], cwd=ROOT, capture_output=True,
                          text=True, check=True)
    assert "without a Docker engine" in done.stdout and "--trees" in done.stdout
