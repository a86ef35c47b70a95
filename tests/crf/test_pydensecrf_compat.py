"""Scripts written for pydensecrf run unchanged on the stand-in, and an installed pydensecrf is never shadowed."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import densecrf
import numpy as np
import pytest

COMPAT = Path(__file__).resolve().parents[2] / "CRF" / "pydensecrf_compat"

# The calls of pydensecrf's own README and of the scripts that use it, on one noisy scene.
SCRIPT = """
import sys, warnings
import numpy as np
import pydensecrf.densecrf as dcrf
import pydensecrf.utils as utils
from pydensecrf.utils import (
    compute_unary, create_pairwise_bilateral, create_pairwise_gaussian, softmax_to_unary, unary_from_labels,
    unary_from_softmax,
)
warnings.simplefilter("ignore", DeprecationWarning)
scene = np.load(sys.argv[1])
image, probs, labels = scene["image"], scene["probs"], scene["labels"]
H, W, M = image.shape[0], image.shape[1], probs.shape[0]
found = {}

d = dcrf.DenseCRF2D(W, H, M)                                    # as in the README: softmax, both kernels, 5 updates
U = unary_from_softmax(probs)
d.setUnaryEnergy(U)
d.addPairwiseGaussian(sxy=(3, 3), compat=3, kernel=dcrf.DIAG_KERNEL, normalization=dcrf.NORMALIZE_SYMMETRIC)
d.addPairwiseBilateral(sxy=(80, 80), srgb=(13, 13, 13), rgbim=image, compat=10, kernel=dcrf.DIAG_KERNEL,
                       normalization=dcrf.NORMALIZE_SYMMETRIC)
Q = d.inference(5)
found["map"] = np.argmax(Q, axis=0).reshape((H, W))
found["proba"] = np.array(Q).reshape((M, H, W))

d = dcrf.DenseCRF2D(W, H, M)                                    # updates one at a time
d.setUnaryEnergy(unary_from_labels(labels, M, gt_prob=0.7, zero_unsure=True))
d.addPairwiseGaussian(sxy=3, compat=3)
d.addPairwiseBilateral(50, 20, image, 10)
Q, tmp1, tmp2 = d.startInference()
found["kl"] = []
for i in range(5):
    found["kl"].append(d.klDivergence(Q) / (H * W))
    d.stepInference(Q, tmp1, tmp2)
found["stepped"] = np.array(Q)

d = dcrf.DenseCRF(H * W, M)                                     # no image: features of any kind
d.setUnaryEnergy(np.ascontiguousarray(-np.log(probs.reshape(M, -1)).astype(np.float32)))
d.addPairwiseEnergy(create_pairwise_gaussian(sdims=(10, 10), shape=(H, W)), compat=3,
                    kernel=dcrf.DIAG_KERNEL, normalization=dcrf.NORMALIZE_SYMMETRIC)
d.addPairwiseEnergy(create_pairwise_bilateral(sdims=(10, 10), schan=(20, 20, 20), img=image, chdim=2),
                    compat=np.full(M, -4, np.float32), kernel=dcrf.FULL_KERNEL, normalization=dcrf.NORMALIZE_AFTER)
found["features"] = np.array(d.inference(5))

d = dcrf.DenseCRF2D(W, H, M)                                    # as refinement scripts do: short forms, scaled widths
d.setUnaryEnergy(np.ascontiguousarray(utils.unary_from_softmax(probs, scale=0.9)))
d.addPairwiseGaussian(sxy=3 / 1.5, compat=3)
d.addPairwiseBilateral(sxy=80 / 1.5, srgb=13, rgbim=np.copy(image), compat=10)
found["scaled"] = np.array(d.inference(10)).reshape((M, H, W))

d = dcrf.DenseCRF2D(W, H, M)                                    # label maps that are sure everywhere
d.setUnaryEnergy(utils.unary_from_labels(labels % M, M, gt_prob=0.9, zero_unsure=False))
d.addPairwiseGaussian((1, 2), np.arange(1, M + 1, dtype=np.float32), dcrf.CONST_KERNEL, dcrf.NO_NORMALIZATION)
d.addPairwiseBilateral(sxy=(20, 10), srgb=(5, 7, 9), rgbim=np.ascontiguousarray(image), compat=4,
                       normalization=dcrf.NORMALIZE_BEFORE)
found["sure"] = np.argmax(np.array(d.inference(2)), axis=0)

gray = create_pairwise_bilateral(sdims=(5, 5), schan=(0.1,), img=image[:, :, 0] / 255.0, chdim=-1)
d = dcrf.DenseCRF2D(W, H, M)                                    # former names, a unary object, a matrix
d.setUnary(dcrf.ConstUnary(np.ascontiguousarray(softmax_to_unary(probs))))
d.addPairwiseEnergy(np.ascontiguousarray(gray), compat=5 * (1 - np.eye(M, dtype=np.float32)))
found["gray"] = np.array(d.inference(3))
found["labels"] = compute_unary(labels, M, GT_PROB=0.6)
found["where"] = sys.modules["pydensecrf"].__file__
np.savez(sys.argv[2], **found)
"""


@pytest.fixture
def scene_file(scene, tmp_path):
    image, probs = scene(33, 46, 4)
    labels = (np.indices((33, 46)).sum(0) // 20 % 5).astype(np.int64)  # 0: unknown
    np.savez(tmp_path / "scene.npz", image=image, probs=np.ascontiguousarray(probs.transpose(2, 0, 1)), labels=labels)
    return tmp_path / "scene.npz"


def site_with(folder, *packages):
    """A folder of packages with numpy, our own and the stand-in as its wheel lays it out, and nothing else."""
    folder.mkdir()
    numpy = Path(np.__file__).parent
    for path in (numpy, numpy.with_name("numpy.libs"), Path(densecrf.__file__).parent, *packages):
        if path.exists():
            (folder / path.name).symlink_to(path)
    (folder / "dense_crf_pydensecrf").symlink_to(COMPAT / "stand_in")
    (folder / "dense_crf_pydensecrf.pth").write_text((COMPAT / "dense_crf_pydensecrf.pth").read_text())
    return folder


def python(site, program, *arguments, first=()):
    """Run a program with the standard library and the folder `site` alone; folders `first` come before both."""
    before = f"import site, sys; site.addsitedir({str(site)!r}); sys.path[:0] = {[str(p) for p in first]!r}\n"
    command = [sys.executable, "-I", "-S", "-c", before + program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def results(run, path):
    assert run.returncode == 0, run.stderr
    with np.load(path) as found:
        return dict(found)


def installed_pydensecrf():
    pytest.importorskip("pydensecrf")
    files = importlib.metadata.files("pydensecrf2") or []
    inits = [file.locate() for file in files if str(file) == "pydensecrf/__init__.py"]
    if not inits:
        pytest.skip("pydensecrf2 is not installed")
    return Path(inits[0]).parent


def test_scripts_run_unchanged_and_give_what_pydensecrf_gives(scene_file, tmp_path):
    theirs_package = installed_pydensecrf()
    ours = results(python(site_with(tmp_path / "ours"), SCRIPT, scene_file, tmp_path / "a.npz"), tmp_path / "a.npz")
    both = site_with(tmp_path / "both", theirs_package)
    theirs = results(python(both, SCRIPT, scene_file, tmp_path / "b.npz"), tmp_path / "b.npz")
    assert "dense_crf_pydensecrf" in str(ours.pop("where"))
    assert str(theirs.pop("where")) == str(both / "pydensecrf" / "__init__.py")  # the installed one is found first
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        bound = 1e-3 if name == "kl" else 1e-4
        np.testing.assert_allclose(ours[name], expected, atol=bound, rtol=bound, err_msg=name)


def test_scripts_run_unchanged_without_pydensecrf(scene_file, tmp_path):
    found = results(python(site_with(tmp_path / "ours"), SCRIPT, scene_file, tmp_path / "a.npz"), tmp_path / "a.npz")
    assert found["proba"].shape == (4, 33, 46)
    np.testing.assert_allclose(found["proba"].sum(0), 1, atol=1e-5)
    np.testing.assert_array_equal(found["map"], found["proba"].argmax(0))
    assert (np.diff(found["kl"]) < 0).all()


def test_stand_in_refuses_to_hide_another_pydensecrf(tmp_path):
    other = tmp_path / "system" / "pydensecrf"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("")
    site = site_with(tmp_path / "ours")
    program = f"sys.path.append({str(other.parent)!r})\nimport pydensecrf"
    run = python(site, program)
    assert run.returncode == 1
    assert f"two packages pydensecrf: {other} and the stand-in of dense-crf; uninstall" in run.stderr
    first = python(site, "import pydensecrf; print(pydensecrf.__file__)", first=[other.parent])
    assert first.stdout.strip() == str(other / "__init__.py")


def test_stand_in_has_every_public_name():
    for name in ("densecrf", "utils"):
        text = (COMPAT / "stand_in" / "pydensecrf" / f"{name}.py").read_text()
        assert f"from densecrf.{name} import *" in text
    pydensecrf = pytest.importorskip("pydensecrf.densecrf")
    theirs = {n for n in dir(pydensecrf) if not n.startswith("_")} - {"Number", "eigen"}
    assert theirs <= set(densecrf.densecrf.__all__)


def test_stand_in_is_no_backend_of_its_own(tmp_path):
    site = site_with(tmp_path / "ours", Path(densecrf.__file__).parent.with_name("krahenbuhl2013"))
    run = python(site, "import krahenbuhl2013; krahenbuhl2013.set_backend('pydensecrf')")
    assert "ImportError: CRF backend 'pydensecrf': the module pydensecrf here is the stand-in" in run.stderr
