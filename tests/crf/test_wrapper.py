"""krahenbuhl2013.CRF and CRF_batch: the original's results, any threads, any layout, degenerate input."""

import os
import subprocess
import sys
import threading
import time

import krahenbuhl2013
import numpy as np
import pytest
from densecrf import _core


def assert_original(arrays, call):
    q = krahenbuhl2013.CRF(
        arrays["image"],
        arrays["unary"].astype(np.float32),
        maxiter=call["maxiter"],
        scale_factor=call["scale_factor"],
        color_factor=call["color_factor"],
    )
    bound = 2e-3 if arrays["q"].dtype == np.float16 else 1e-4
    np.testing.assert_allclose(q, arrays["q"].astype(np.float32), rtol=0, atol=bound)


@pytest.mark.parametrize("name", ["3_21x33x5_it10_s12", "6_41x41x21_it1_s12", "8_1x17x3_it10_s1"])
def test_equals_the_original(crf_data, name):
    folder, golden = crf_data
    assert_original(*golden(folder / f"crf_wrapper_{name}.npz"))


@pytest.mark.parametrize("folder", ["dsrg", "dsrg_photos"])
def test_equals_the_original_on_all_goldens(shared, crf_data, folder):
    paths = sorted((shared / "goldens" / folder).glob("crf_wrapper_*.npz"))
    assert paths
    for path in paths:
        assert_original(*crf_data[1](path))


def test_origin_has_its_vertices_when_variables_are_no_multiple_of_four(shared, crf_data):
    # The original fills its last group of four up with features of 0. A dark corner of a photo shows the
    # difference: q would be off by 0.005.
    path = shared / "goldens" / "dsrg_photos" / "crf_wrapper_0_41x41x21_it10_s12.npz"
    arrays, call = crf_data[1](path)
    assert arrays["q"][..., 0].size % 4 == 1
    assert arrays["image"][0, 3].max() < 20
    assert_original(arrays, call)


@pytest.mark.parametrize(("scale", "size"), [(1.0, (150, 170)), (12.0, (90, 70))])
def test_any_number_of_threads_gives_the_same_bits(scene, scale, size):
    image, p = scene(*size, 7)
    one = krahenbuhl2013.CRF(image, p, scale_factor=scale, threads=1)
    for threads in (2, 3, 5):
        np.testing.assert_array_equal(krahenbuhl2013.CRF(image, p, scale_factor=scale, threads=threads), one)


def test_batch_equals_one_by_one_for_any_number_of_threads(scene):
    scenes = [scene(41, 41, 21, seed) for seed in range(5)]
    images, p = (np.stack(arrays) for arrays in zip(*scenes, strict=True))
    single = np.stack([krahenbuhl2013.CRF(i, u, scale_factor=12.0) for i, u in scenes])
    for threads in (None, 1, 2, 8):
        np.testing.assert_array_equal(krahenbuhl2013.CRF_batch(images, p, scale_factor=12.0, threads=threads), single)


def test_empty_batch():
    q = krahenbuhl2013.CRF_batch(np.zeros((0, 4, 5, 3), np.uint8), np.zeros((0, 4, 5, 2), np.float32))
    assert q.shape == (0, 4, 5, 2)


def test_probabilities_sum_to_one(scene):
    image, p = scene(30, 40, 17)
    q = krahenbuhl2013.CRF(image, np.log(p))
    assert q.min() >= 0
    np.testing.assert_allclose(q.sum(-1), 1, atol=1e-5)


def test_zero_iterations_are_the_softmax(scene):
    image, p = scene(9, 11, 6)
    expected = np.exp(p) / np.exp(p).sum(-1, keepdims=True)
    np.testing.assert_allclose(krahenbuhl2013.CRF(image, p, maxiter=0), expected, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (2, 2), (65, 3), (1, 5000)])
@pytest.mark.parametrize("labels", [1, 2, 8, 9, 16, 17, 24, 25, 97, 130])
def test_small_sizes_and_label_counts(scene, size, labels):
    image, p = scene(*size, labels)
    for scale in (1.0, 12.0):
        q = krahenbuhl2013.CRF(image, np.log(p), maxiter=3, scale_factor=scale)
        assert q.shape == (*size, labels)
        np.testing.assert_allclose(q.sum(-1), 1, atol=1e-5)


def test_one_pixel_hears_itself():
    # Symmetric normalisation gives a lone pixel its own q back: logits u + 13 q, iterated.
    u = np.array([0.3, 0.1, -0.2])
    q = np.exp(u) / np.exp(u).sum()
    for _ in range(4):
        q = np.exp(u + 13 * q)
        q /= q.sum()
    got = krahenbuhl2013.CRF(np.zeros((1, 1, 3), np.uint8), u.reshape(1, 1, 3), maxiter=4)
    np.testing.assert_allclose(got.ravel(), q, atol=1e-5)


def test_constant_image_with_constant_scores_stays_constant():
    u = np.broadcast_to(np.log([0.5, 0.3, 0.2]), (20, 24, 3))
    q = krahenbuhl2013.CRF(np.full((20, 24, 3), 128, np.uint8), u)
    assert np.isfinite(q).all()
    assert (q.argmax(-1) == 0).all()


def test_extreme_scores_do_not_overflow(scene):
    image, p = scene(12, 14, 4)
    q = krahenbuhl2013.CRF(image, np.where(p > 0.5, 1e6, -1e6))
    assert np.isfinite(q).all()


def test_dtypes_and_memory_orders(scene):
    image, p = scene(18, 22, 5)
    expected = krahenbuhl2013.CRF(image, p)
    variants = [
        p.astype(np.float64),
        np.asfortranarray(p),
        p.astype(">f4"),
        p[:, ::-1][:, ::-1],
        p.astype(np.longdouble),
    ]
    for unary in variants:
        np.testing.assert_array_equal(krahenbuhl2013.CRF(image, unary), expected)
    for pixels in (np.asfortranarray(image), image.astype(np.float64), image.astype(np.int32), image[::-1][::-1]):
        np.testing.assert_array_equal(krahenbuhl2013.CRF(pixels, p), expected)


def test_input_is_left_alone(scene):
    image, p = scene(18, 22, 5)
    before = image.copy(), p.copy()
    krahenbuhl2013.CRF(image, p)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(p, before[1])


def test_gil_is_released(scene):
    image, p = scene(200, 200, 21)
    ticks = []
    worker = threading.Thread(target=lambda: krahenbuhl2013.CRF(image, p, maxiter=20, threads=1))
    worker.start()
    while worker.is_alive():
        ticks.append(time.perf_counter())
        time.sleep(0.001)
    assert len(ticks) > 5


@pytest.mark.parametrize("isa", ["portable", "avx2", "avx512"])
def test_instruction_sets_agree(scene, isa, tmp_path):
    image, p = scene(70, 75, 21)
    np.savez(tmp_path / "in.npz", image=image, p=p)
    program = (
        "import sys, numpy as np, krahenbuhl2013; z = np.load(sys.argv[1] + '/in.npz');"
        "np.save(sys.argv[1] + '/out.npy', krahenbuhl2013.CRF(z['image'], z['p'], maxiter=5))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env={**os.environ, "CRF_ISA": isa},
        capture_output=True,
        text=True,
    )
    if "on this machine" in run.stderr:
        pytest.skip(f"{isa} is not available here")
    assert run.returncode == 0, run.stderr
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), krahenbuhl2013.CRF(image, p, maxiter=5), atol=1e-4)


def test_instruction_set_is_one_of_three():
    assert _core.instruction_set() in ("portable", "avx2", "avx512")
