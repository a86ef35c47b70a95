"""Random calls of the CRF's Python faces with good and bad arguments, in any order, for as long as asked for.

    python -m tests.crf.fuzz --seconds 60 --seed 1

Whatever is refused must be refused with ValueError, TypeError or MemoryError; whatever is accepted must give
probabilities. A crash of the process shows the last seed, which `--seed N --seconds 0` runs again. With a sanitized
build of the core (CRF/README.md) it finds reads and writes out of bounds.
"""

import argparse
import collections
import sys
import time
import warnings

import densecrf.densecrf as dcrf
import densecrf.utils as utils
import krahenbuhl2013
import numpy as np
from densecrf import _core

REFUSALS = (ValueError, TypeError, MemoryError)
NUMBERS = [0, 1, -1, 0.5, 3, 80, 1e-45, 1e-300, 1e300, 10**400, float("nan"), float("inf"), True, None, "3", 1j, [3],
           (), (3, 3), (3, 3, 3), np.float32(3), np.array(3.0), np.array([3.0]), np.int64(3)]  # fmt: skip
COUNTS = [0, 1, 2, 3, 5, -1, 2**16 + 1, 2**31, 2**63, 2**70, 2.5, "2", None, True, np.uint8(2), np.array(2)]


class Fuzzer:
    """One random object and the calls on it; `counts` holds how many calls had which outcome."""

    def __init__(self, seed, counts):
        self.rng = np.random.default_rng(seed)
        self.counts = counts

    def run(self):
        self.height, self.width, self.labels = (int(self.rng.integers(1, most)) for most in (9, 9, 6))
        self.crf = self.two_dimensional = None
        self.sizes()
        for _ in range(int(self.rng.integers(1, 8))):
            self.pick([self.pairwise, self.unary, self.infer, self.steps, self.core, self.wrapper, self.functions])()

    def pick(self, choices):
        return choices[int(self.rng.integers(len(choices)))]

    def seldom(self, one_in=6):
        return self.rng.integers(one_in) == 0

    def attempt(self, call, *arguments, **named):
        try:
            result = call(*arguments, **named)
        except REFUSALS as error:
            self.counts[type(error).__name__] += 1
            return None
        self.counts["accepted"] += 1
        return result

    def number(self, good=3.0):
        return self.pick(NUMBERS) if self.seldom() else good

    def count(self, good):
        return self.pick(COUNTS) if self.seldom() else good

    def threads(self):
        return self.pick([None, 1, 2, 3, 0, 10**6, "2"]) if self.seldom() else 1

    def array(self, *shape, dtype=np.float32, low=-3, high=3):
        """An array of `shape`, at times of another shape, dtype, byte order, layout or with bad values."""
        if self.seldom():
            shape = self.pick([shape[:-1], (*shape, 1), shape[::-1], (0, *shape[1:]), tuple(n + 1 for n in shape), ()])
        values = self.rng.uniform(low, high, shape).astype(dtype)
        if self.seldom():
            odd = ["f2", "f8", ">f4", ">f8", "g", "i4", "u1", "i8", "?", "c8", "O", "U3", "M8[s]"]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    values = values.astype(self.pick(odd))
                except TypeError:
                    return values
        if self.seldom() and values.size and values.dtype.kind == "f":
            with np.errstate(over="ignore"):
                bad = np.array(self.pick([np.nan, np.inf, -np.inf, 1e38, -3e38])).astype(values.dtype)
            values.flat[int(self.rng.integers(values.size))] = bad
        return self.laid_out(values)

    def laid_out(self, values):
        how = self.rng.integers(10)
        if how == 0 and values.dtype.kind != "O":  # not aligned
            memory = np.zeros(values.nbytes + 1, np.uint8)
            moved = memory[1:].view(values.dtype).reshape(values.shape) if values.nbytes else values
            moved[...] = values
            return moved
        if how == 1:
            return np.asfortranarray(values)
        if how == 2 and values.ndim:
            return np.repeat(values, 2, axis=0)[::2]
        if how == 3 and values.ndim:
            return values[::-1]
        if how == 4:
            values.flags.writeable = False
        if how == 5:
            return values.tolist()
        if how == 6 and values.size:
            return np.broadcast_to(values.flat[0], values.shape)
        return values

    @property
    def variables(self):
        return self.height * self.width

    def sizes(self):
        if self.seldom(3):
            self.crf = self.attempt(dcrf.DenseCRF, self.count(self.variables), self.count(self.labels))
            self.two_dimensional = False
        else:
            sizes = self.count(self.width), self.count(self.height), self.count(self.labels)
            self.crf = self.attempt(dcrf.DenseCRF2D, *sizes)
            self.two_dimensional = True
        if self.crf is not None and self.crf._nvar * self.crf._nlabels > 10**6:
            self.crf = None  # was made; to compute with it would take too long

    def how(self):
        return {
            "kernel": self.pick([0, 1, 2, dcrf.FULL_KERNEL, 7, "x"]) if self.seldom() else 1,
            "normalization": self.pick([-1, 4, None, 2**40]) if self.seldom(12) else int(self.rng.integers(4)),
        }

    def compat(self):
        shape = self.pick([None, (self.labels,), (self.labels, self.labels)])
        return self.number() if shape is None else self.array(*shape)

    def pairwise(self):
        if self.crf is None:
            return
        which = self.rng.integers(3)
        if which == 0 or not self.two_dimensional:
            dims = int(self.pick([1, 2, 5, 12, 64, 65]))
            reach = float(self.pick([1, 100, 1e5, 1e6, 1e30]))
            features = self.array(dims, self.variables, low=-reach, high=reach)
            self.attempt(self.crf.addPairwiseEnergy, features, self.compat(), **self.how())
        elif which == 1:
            self.attempt(self.crf.addPairwiseGaussian, self.number(), self.compat(), **self.how())
        else:
            image = self.array(self.height, self.width, 3, dtype=np.uint8, low=0, high=255)
            self.attempt(
                self.crf.addPairwiseBilateral, self.number(), self.number(13), image, self.compat(), **self.how()
            )

    def unary(self):
        if self.crf is None:
            return
        if self.seldom():
            self.attempt(
                self.crf.setUnaryEnergy, self.array(self.labels, 4), self.array(4, self.variables)
            )
        else:
            self.attempt(self.crf.setUnaryEnergy, self.array(self.labels, self.variables))

    def infer(self):
        if self.crf is not None:
            niter = self.pick([-1, 2.5, "3", None, 2**31, 2**70]) if self.seldom() else int(self.rng.integers(4))
            self.attempt(self.crf.inference, niter, threads=self.threads())

    def steps(self):
        if self.crf is None:
            return
        started = self.attempt(self.crf.startInference)
        if started is None:
            return
        q = self.laid_out(started[0]) if self.seldom(3) else started[0]
        if self.seldom():
            q = self.array(self.labels, self.variables)
        self.attempt(self.crf.klDivergence, q, threads=self.threads())
        self.attempt(self.crf.stepInference, q, None, None, threads=self.threads())
        self.attempt(self.crf.klDivergence, q)

    def core(self):
        """The compiled class without the checks in front of it."""
        sizes = [self.pick([0, -1, 2**31, 2.5, "1"]) if self.seldom(8) else n for n in
                 (self.height, self.width, self.labels)]  # fmt: skip
        crf = self.attempt(_core.DenseCrf, *sizes)
        if crf is None or sizes[0] * sizes[1] * sizes[2] > 10**6:
            return
        for _ in range(int(self.rng.integers(1, 5))):
            gain = self.array() if self.seldom(3) else np.float32(3)
            normalization = int(self.rng.integers(-1, 5))
            unary, q = (self.array(self.variables, self.labels) for _ in range(2))
            self.attempt(*self.pick([
                (crf.add_gaussian, self.number(), self.number(), gain, normalization),
                (crf.add_bilateral, 3.0, 3.0, 9.0, self.number(), 9.0,
                 self.array(self.height, self.width, 3, dtype=np.uint8, low=0, high=255), gain, normalization),
                (crf.add_features, self.array(3, self.variables), gain, normalization),
                (crf.prepare, self.threads()),
                (crf.infer, unary, self.pick([1.0, -1.0, 0.5]), int(self.rng.integers(-1, 3)), self.threads()),
                (crf.step, unary, 1.0, q, self.threads()),
                (crf.step, q, 1.0, q, 1),
                (crf.kl_divergence, unary, -1.0, q, self.threads()),
            ]))  # fmt: skip

    def wrapper(self):
        image = self.array(self.height, self.width, 3, dtype=np.uint8, low=0, high=255)
        scores = self.array(self.height, self.width, self.labels)
        how = {
            "maxiter": self.count(int(self.rng.integers(3))),
            "scale_factor": self.number(),
            "color_factor": self.number(13),
            "threads": self.threads(),
        }
        if isinstance(how["maxiter"], int) and how["maxiter"] > 10**6:
            how["maxiter"] = -1
        if self.seldom(3) and isinstance(image, np.ndarray) and isinstance(scores, np.ndarray):
            q = self.attempt(krahenbuhl2013.CRF_batch, image[None], scores[None], **how)
        else:
            q = self.attempt(krahenbuhl2013.CRF, image, scores, **how)
        if q is not None:
            assert q.shape[-3:] == np.shape(scores)[-3:], q.shape
            assert q.min() >= 0 and np.allclose(q.sum(-1), 1, atol=1e-4), q

    def functions(self):
        labels = self.array(self.height, self.width, dtype=np.int64, low=0, high=self.labels + 1)
        probabilities = self.array(self.labels, self.variables, low=0, high=1)
        image = self.array(self.height, self.width, 3, dtype=np.uint8, low=0, high=255)
        sdims = self.pick([(3, 3), (3,), (0, 3), 3, (), (float("nan"), 3), ("3", 3)])
        schan = self.pick([(13, 13, 13), 13, (13,), (0, 1, 2), None, "13"])
        self.attempt(*self.pick([
            (utils.unary_from_labels, labels, self.count(self.labels + 1), self.number(0.5), self.seldom(2)),
            (utils.unary_from_softmax, probabilities, self.number(0.5), self.pick([None, 1e-5, 0, "x"])),
            (utils.create_pairwise_gaussian, sdims, self.pick([(4, 5), (4,), (0, 3), (-1, 3), 4, (2.5, 3)])),
            (utils.create_pairwise_bilateral, sdims, schan, image, self.pick([2, -1, 0, 3, -3, None])),
        ]))  # fmt: skip


def fuzz(seconds, seed=0, tell=None):
    """Run seeds from `seed` on for `seconds`, at least one; returns the counts of outcomes and the next seed."""
    counts = collections.Counter()
    end = time.monotonic() + seconds
    while True:
        if tell is not None:
            tell(seed)
        try:
            Fuzzer(seed, counts).run()
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
        seed += 1
        if time.monotonic() >= end:
            return counts, seed


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m tests.crf.fuzz", description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    args = parser.parse_args(argv)

    def tell(seed):  # on one line, flushed: what stands there after a crash is the seed to run again
        sys.stderr.write(f"\rseed {seed} ")
        sys.stderr.flush()

    counts, seed = fuzz(args.seconds, args.seed, tell)
    print(f"\nseeds {args.seed} to {seed - 1}, {sum(counts.values())} calls: {dict(counts)}")


if __name__ == "__main__":
    main()
