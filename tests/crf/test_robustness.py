"""No call crashes the process: any order, odd memory, several callers, no threads to be had, random arguments."""

import subprocess
import sys
import threading
import warnings

import densecrf.densecrf as dcrf
import densecrf.utils as utils
import krahenbuhl2013
import numpy as np
import pytest
from densecrf import _core

from tests.crf.fuzz import fuzz

WEIGHT = np.float32(3)


def core(side=2, labels=2, prepared=False):
    crf = _core.DenseCrf(side, side, labels)
    crf.add_gaussian(2.0, 2.0, np.asarray(WEIGHT), 3)
    if prepared:
        crf.prepare(1)
    return crf


def energies(side=2, labels=2):
    return np.random.default_rng(0).random((side * side, labels), np.float32)


@pytest.mark.parametrize("side", [2, 30, 70])
def test_core_runs_without_prepare(side):
    unary = energies(side)
    q, again = (core(side, prepared=p).infer(unary, -1.0, 2, 1) for p in (True, False))
    np.testing.assert_array_equal(again, q)
    core(side, prepared=True).step(unary, -1.0, q, 1)
    core(side).step(unary, -1.0, again, 1)
    np.testing.assert_array_equal(again, q)
    assert core(side).kl_divergence(unary, -1.0, q, 1) == core(side, prepared=True).kl_divergence(unary, -1.0, q, 1)


def test_core_object_without_init_is_refused():
    crf = _core.DenseCrf.__new__(_core.DenseCrf)
    for call in (
        lambda: crf.prepare(1),
        lambda: crf.infer(energies(), 1.0, 1, 1),
        lambda: crf.add_gaussian(1.0, 1.0, np.asarray(WEIGHT), 3),
    ):
        with pytest.raises(TypeError, match="DenseCrf: __init__ was not called"):
            call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: c.add_gaussian(1.0, 1.0, np.asarray(WEIGHT), 4), "normalization: expected 0 to 3, got 4"),
        (lambda c: c.infer(energies(), 0.5, 1, 1), "sign: expected 1 or -1, got 0.5"),
        (lambda c: c.infer(energies()[::-1], 1.0, 1, 1), "unary: expected a C-contiguous array"),
        (lambda c: c.infer(unaligned(energies()), 1.0, 1, 1), "unary: expected an aligned array"),
        (lambda c: c.infer(energies() * np.nan, 1.0, 1, 1), "unary: expected finite numbers, got nan"),
        (lambda c: c.step(energies(), 1.0, energies() * np.nan, 1), "Q: expected finite numbers, got nan"),
        (lambda c: c.kl_divergence(energies(), 1.0, energies() * np.inf, 1), "Q: expected finite numbers, got inf"),
        (lambda c: _core.DenseCrf(1, 1, 2**16 + 1), "size: expected at most 65536 labels, got 65537"),
        (lambda c: _core.DenseCrf(2**16, 2**16, 1), "size: expected at most 1073741824 variables"),
    ],
)
def test_core_refuses_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call(core())


def test_core_refuses_to_update_its_own_unary():
    unary = energies()
    with pytest.raises(ValueError, match="Q: expected an array beside unary"):
        core().step(unary, 1.0, unary, 1)


def test_extents_beyond_32_bits_are_refused():
    # np.zeros of no elements takes no memory, whatever its other extents.
    with pytest.raises(ValueError, match=r"images: expected an extent below 2\^31, got 2147483648"):
        images, scores = np.zeros((0, 2**31, 1, 3), np.uint8), np.zeros((0, 2**31, 1, 2), np.float32)
        _core.refine(images, scores, 1, 80.0, 13.0, 3.0, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dcrf.DenseCRF2D(2**31, 1, 2), "w: expected at most 1073741824, got 2147483648"),
        (lambda: dcrf.DenseCRF2D(2**16, 2**16, 2), "h: expected at most 16384, got 65536"),
        (lambda: dcrf.DenseCRF(2**70, 2), "nvar: expected at most 1073741824"),
        (lambda: dcrf.DenseCRF(4, 2**31), "nlabels: expected at most 65536, got 2147483648"),
        (lambda: crf().inference(2**31), "niter: expected at most 2147483647"),
        (lambda: crf().inference(1, threads=2**40), "threads: expected at most 2147483647"),
        (lambda: crf().addPairwiseGaussian(10**400, 3), "sxy: expected a positive finite number"),
        (lambda: crf().addPairwiseGaussian(1e300, 3), r"sxy: expected a positive finite number, got 1e\+300"),
        (lambda: crf().addPairwiseGaussian(1e-300, 3), "sxy: expected a positive finite number, got 1e-300"),
        (lambda: crf().addPairwiseGaussian(3, 1e300), r"compat: expected a finite number, got 1e\+300"),
        (lambda: crf().setUnaryEnergy(np.full((2, 20), 1e300)), "u: expected finite energies, got inf"),
        (lambda: utils.unary_from_labels(np.zeros(3, int), 0, 0.5), "n_labels: expected at least 1, got 0"),
        (lambda: utils.unary_from_softmax(np.float32(1)), r"sm: expected probabilities \(n_labels, ...\)"),
        (lambda: utils.create_pairwise_gaussian((0, 3), (4, 5)), "sdims: expected a positive finite number, got 0"),
        (lambda: wrapper(scale_factor=1e-45), "kernel width 80 / scale_factor"),
    ],
)
def test_huge_tiny_and_empty_arguments_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: crf().addPairwiseGaussian(None, 3), "sxy: expected a number or 2 of them, got None"),
        (lambda: crf().addPairwiseGaussian("3", 3), "sxy: expected a number or 2 of them, got '3'"),
        (lambda: crf().addPairwiseGaussian(3, 1j), "compat: expected a number, got 1j"),
        (lambda: crf().inference(True), "niter: expected a whole number, got True"),
        (lambda: crf().setUnaryEnergy(np.ma.masked_less(np.zeros((2, 20)), 1)), "u: expected an array without masked"),
    ],
)
def test_wrong_kinds_of_arguments_are_refused_by_name(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def crf():
    c = dcrf.DenseCRF2D(5, 4, 2)
    c.setUnaryEnergy(energies(1, 40).reshape(2, 20))
    c.addPairwiseGaussian(2, 3)
    return c


def wrapper(**how):
    return krahenbuhl2013.CRF(np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5, 2), np.float32), **how)


def unaligned(array):
    memory = np.zeros(array.nbytes + 1, np.uint8)[1:]
    moved = memory.view(array.dtype).reshape(array.shape)
    moved[...] = array
    assert not moved.flags.aligned
    return moved


def test_unaligned_arrays_are_copied(scene):
    image, p = scene(9, 11, 3)
    expected = krahenbuhl2013.CRF(image, p)
    np.testing.assert_array_equal(krahenbuhl2013.CRF(unaligned(image.astype(np.float32)), unaligned(p)), expected)
    crfs = [dcrf.DenseCRF(99, 3) for _ in range(2)]
    features = utils.create_pairwise_gaussian((2, 2), (9, 11))
    for one, arranged in zip(crfs, (np.ascontiguousarray, unaligned), strict=True):
        one.setUnaryEnergy(arranged(-np.log(p.reshape(-1, 3).T)))
        one.addPairwiseEnergy(arranged(features), arranged(-np.ones(3, np.float32)))
    np.testing.assert_array_equal(crfs[1].inference(2), crfs[0].inference(2))


def test_unaligned_marginals_are_updated_in_place():
    q = crf().startInference()[0]
    odd = unaligned(q.T).T
    crf().stepInference(q)
    crf().stepInference(odd)
    np.testing.assert_array_equal(odd, q)
    assert crf().klDivergence(odd) == crf().klDivergence(q)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_marginals_that_are_not_finite_are_refused(value):
    c = crf()
    q = c.startInference()[0]
    q[1, 7] = value
    for call in (c.stepInference, c.klDivergence):
        with pytest.raises(ValueError, match="Q: expected finite numbers, got .* at variable 7, label 1"):
            call(q)


def test_read_only_marginals_are_refused():
    for arranged in (np.asarray, lambda q: unaligned(q.T).T):
        q = arranged(crf().startInference()[0])
        q.flags.writeable = False
        with pytest.raises(ValueError, match="Q: expected a writeable array"):
            crf().stepInference(q)
        crf().klDivergence(q)


def test_energies_are_copied():
    u = np.zeros((1, 20), np.float32)  # one label: row-major and column-major are the same memory
    c = dcrf.DenseCRF(20, 1)
    c.setUnaryEnergy(u)
    u[:] = np.nan
    np.testing.assert_array_equal(c.inference(1), np.ones((1, 20)))


@pytest.mark.parametrize("labels", [1, 3, 8, 21])
def test_scores_of_any_finite_size_give_probabilities(labels):
    """The padding of a row must never win against its labels, whatever their scores."""
    for score in (-3e38, -1e31, 1e31, 3e38):
        q = krahenbuhl2013.CRF(np.zeros((3, 4, 3), np.uint8), np.full((3, 4, labels), score, np.float32), maxiter=2)
        np.testing.assert_allclose(q, 1 / labels, rtol=1e-5)


def test_one_object_may_be_shared_by_threads():
    unary = energies(40, 5)
    shared, alone = (core(40, 5) for _ in range(2))
    expected = alone.infer(unary, -1.0, 3, 1)
    results = []
    callers = [threading.Thread(target=lambda: results.append(shared.infer(unary, -1.0, 3, 2))) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(results) == 8
    for q in results:
        np.testing.assert_array_equal(q, expected)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the address space as Linux does")
def test_threads_that_cannot_start_are_done_without(tmp_path):
    """Each thread takes 8 MB or more of address space for its stack; there is room for a few of 200."""
    program = """
import resource, sys, threading, numpy as np, krahenbuhl2013
threading.stack_size(0)
resource.setrlimit(resource.RLIMIT_STACK, (64 << 20, 64 << 20))  # what std::thread takes for its stack
rng = np.random.default_rng(0)
images, p = rng.integers(0, 256, (200, 9, 9, 3), np.uint8), rng.random((200, 9, 9, 4), np.float32)
expected = krahenbuhl2013.CRF_batch(images, p, threads=1)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20), used + (256 << 20)))
refused = []
try:
    threads = [threading.Thread(target=threading.Event().wait, daemon=True) for _ in range(200)]
    for thread in threads: thread.start()
except (RuntimeError, MemoryError): refused.append(1)
assert refused, "the limit does not keep threads from starting"
np.testing.assert_array_equal(krahenbuhl2013.CRF_batch(images, p, threads=200), expected)
print("done")
import os; os._exit(0)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout) == (0, "done\n"), run.stderr


def test_random_calls_are_accepted_or_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        counts, seeds = fuzz(seconds=5, seed=1)
    assert counts["accepted"] > 50 and counts["ValueError"] > 50 and counts["TypeError"] > 50, (counts, seeds)
