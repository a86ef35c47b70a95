"""Fully connected CRFs: the classes and constants of pydensecrf.densecrf, on this package's core.

Code written for pydensecrf runs after ``import densecrf.densecrf as dcrf``. Where it returned matrix objects this
module returns numpy arrays, float32, (labels, variables) in column-major order, as ``np.array`` made of them.

Lattices are built when inference first needs them and kept: after another `setUnaryEnergy` the next inference
only pays for its iterations. One object serves one thread at a time; the GIL is released while it computes.
"""

from enum import IntEnum
from numbers import Number

import numpy as np

from densecrf import _checks
from densecrf._core import DenseCrf as _Core

__all__ = [
    "CONST_KERNEL", "ConstUnary", "DIAG_KERNEL", "DenseCRF", "DenseCRF2D", "FULL_KERNEL", "KernelType",
    "LogisticUnary", "NORMALIZE_AFTER", "NORMALIZE_BEFORE", "NORMALIZE_SYMMETRIC", "NO_NORMALIZATION",
    "NormalizationType", "Unary",
]  # fmt: skip


class KernelType(IntEnum):
    """Which parameters of a kernel could be learned; inference is the same for all three."""

    CONST_KERNEL = 0
    DIAG_KERNEL = 1
    FULL_KERNEL = 2


class NormalizationType(IntEnum):
    """How the kernel matrix K is scaled by its row sums D."""

    NO_NORMALIZATION = 0  # K
    NORMALIZE_BEFORE = 1  # K D^-1
    NORMALIZE_AFTER = 2  # D^-1 K
    NORMALIZE_SYMMETRIC = 3  # D^-1/2 K D^-1/2


CONST_KERNEL, DIAG_KERNEL, FULL_KERNEL = KernelType
NO_NORMALIZATION, NORMALIZE_BEFORE, NORMALIZE_AFTER, NORMALIZE_SYMMETRIC = NormalizationType


class Unary:
    """Unary energies (labels, variables)."""

    def __init__(self, energies):
        self._energies = energies

    def get(self):
        """Return the energies as an array (labels, variables)."""
        return self._energies


class ConstUnary(Unary):
    """Unary energies given as they are: `u` (labels, variables)."""

    def __init__(self, u):
        super().__init__(_checks.float32("u", u, (-1, -1), "energies (labels, variables)"))


class LogisticUnary(Unary):
    """Unary energies L @ f: `L` (labels, features), `f` (features, variables)."""

    def __init__(self, L, f):
        weights = _checks.float32("L", L, (-1, -1), "weights (labels, features)")
        features = _checks.float32("f", f, (weights.shape[1], -1), "features (features, variables)")
        with np.errstate(over="ignore", invalid="ignore"):  # setUnary refuses what is not finite
            super().__init__(weights @ features)


class DenseCRF:
    """A CRF over `nvar` variables with `nlabels` labels and any features.

    Parameters
    ----------
    nvar, nlabels : int
        1 to 2^30 variables, 1 to 2^16 labels.
    """

    def __init__(self, nvar, nlabels):
        self._setup(1, _checks.count("nvar", nvar, 1, _checks.MOST_VARIABLES), nlabels)

    def _setup(self, height, width, nlabels):
        self._nvar = height * width
        self._nlabels = _checks.count("nlabels", nlabels, 1, _checks.MOST_LABELS)
        self._core = _Core(height, width, self._nlabels)
        self._unary = None  # (variables, labels), C-contiguous

    def addPairwiseEnergy(self, features, compat, kernel=DIAG_KERNEL, normalization=NORMALIZE_SYMMETRIC):
        """Add a Gaussian kernel over `features` (dims, nvar), in units of its standard deviations.

        `compat`: a number w (Potts: different labels cost w), an array (labels,) or a matrix (labels, labels) of
        energies that are added for each pair.

        Parameters
        ----------
        features : float array (dims, nvar)
        compat : float, float array (labels,) or (labels, labels)
        kernel : KernelType
        normalization : NormalizationType

        Raises
        ------
        TypeError, ValueError
            Another shape or type, or numbers that are not finite.
        """
        points = _checks.float32("features", features, (-1, self._nvar), "features (dims, variables)")
        self._core.add_features(points, *self._pairwise(compat, kernel, normalization))

    def setUnary(self, unary):
        """Set the unary energies from a `ConstUnary` or `LogisticUnary`.

        Parameters
        ----------
        unary : ConstUnary or LogisticUnary

        Raises
        ------
        TypeError, ValueError
        """
        if not isinstance(unary, Unary):
            raise TypeError(
                f"unary: expected ConstUnary or LogisticUnary, got {type(unary).__name__}; arrays go to setUnaryEnergy"
            )
        self.setUnaryEnergy(unary.get())

    def setUnaryEnergy(self, u, f=None):
        """Set the unary energies (-log p): `u` (labels, nvar), or u @ f with `f` (features, nvar).

        Parameters
        ----------
        u : float array (labels, nvar) or (labels, features)
        f : float array (features, nvar), optional

        Raises
        ------
        TypeError, ValueError
        """
        if f is not None:
            u = LogisticUnary(u, f).get()
        energies = _checks.float32("u", u, (self._nlabels, self._nvar), "energies (labels, variables)")
        if not np.isfinite(energies).all():
            raise ValueError(
                f"u: expected finite energies, got {energies[~np.isfinite(energies)][0]}; clip "
                "probabilities away from 0 before the logarithm"
            )
        self._unary = np.array(energies.T, order="C")  # a copy: the caller may change its own

    def inference(self, niter, threads=None):
        """Return Q (labels, nvar) after `niter` mean field updates.

        Parameters
        ----------
        niter : int
            0 or more.
        threads : int, optional
            All cores by default.

        Returns
        -------
        float32 array (labels, nvar), 0 to 1
        """
        threads, niter = _checks.thread_count(threads), _checks.count("niter", niter, 0)
        return self._core.infer(self._energies(), -1.0, niter, threads).T

    def startInference(self):
        """Return (Q, tmp1, tmp2): the start softmax(-u) and two empty matrices for `stepInference`."""
        q = self.inference(0)
        return q, np.empty((0, 0), np.float32), np.empty((0, 0), np.float32)

    def stepInference(self, Q, tmp1=None, tmp2=None, threads=None):
        """Update `Q` (labels, nvar), as `startInference` returned it, in place. Its values must be finite.

        Parameters
        ----------
        Q : float32 array (labels, nvar)
            Changed in place.
        tmp1, tmp2
            What `startInference` returned beside it.
        threads : int, optional
        """
        threads, unary = _checks.thread_count(threads), self._energies()
        marginals = self._marginals(Q)
        if marginals.flags.aligned:
            self._core.step(unary, -1.0, marginals, threads)
            return
        if not Q.flags.writeable:
            raise ValueError("Q: expected a writeable array")
        updated = np.array(marginals)
        self._core.step(unary, -1.0, updated, threads)
        Q[...] = updated.T

    def klDivergence(self, Q, threads=None):
        """Return KL(Q || P) up to the constant log Z, for `Q` (labels, nvar).

        Parameters
        ----------
        Q : float32 array (labels, nvar)
        threads : int, optional

        Returns
        -------
        float
        """
        threads, unary = _checks.thread_count(threads), self._energies()
        return self._core.kl_divergence(unary, -1.0, np.require(self._marginals(Q), None, ["C", "A"]), threads)

    def _energies(self):
        if self._unary is None:
            raise ValueError("unary: not set; call setUnaryEnergy first")
        return self._unary

    def _marginals(self, Q):
        if not isinstance(Q, np.ndarray) or Q.dtype != np.float32 or not Q.flags.f_contiguous:
            raise TypeError("Q: expected the float32 array that startInference returned (column-major)")
        _checks.require_shape("Q", Q, (self._nlabels, self._nvar), "marginals (labels, variables)")
        return Q.T

    def _pairwise(self, compat, kernel, normalization):
        """What is added to the logits, per pair of labels, and the kernel's normalisation, for the core."""
        KernelType(kernel)
        if isinstance(compat, Number):
            gain = np.float32(_checks.number("compat", compat))  # Potts: the same label gains what the others lose
        else:
            dims = min(_checks.plain_array("compat", compat).ndim, 2)
            values = _checks.float32("compat", compat, (self._nlabels,) * dims, "label compatibility")
            gain = values if dims == 0 else -values if dims == 1 else -(0.5 * values + 0.5 * values.T)
        return np.asarray(gain, np.float32, order="C"), int(NormalizationType(normalization))


class DenseCRF2D(DenseCRF):
    """A CRF over the pixels of a `w` x `h` image with `nlabels` labels; pixel (x, y) is variable y * w + x.

    At most 2^30 pixels and 2^16 labels.
    """

    def __init__(self, w, h, nlabels):
        self._w = _checks.count("w", w, 1, _checks.MOST_VARIABLES)
        self._h = _checks.count("h", h, 1, _checks.MOST_VARIABLES // self._w)
        self._setup(self._h, self._w, nlabels)

    def addPairwiseGaussian(self, sxy, compat, kernel=DIAG_KERNEL, normalization=NORMALIZE_SYMMETRIC):
        """Add a Gaussian kernel over position: `sxy` in pixels, a number or (sx, sy).

        Parameters
        ----------
        sxy : float or (float, float), above 0
        compat, kernel, normalization
            As of addPairwiseEnergy.
        """
        sx, sy = _widths("sxy", sxy, 2)
        self._core.add_gaussian(sx, sy, *self._pairwise(compat, kernel, normalization))

    def addPairwiseBilateral(self, sxy, srgb, rgbim, compat, kernel=DIAG_KERNEL, normalization=NORMALIZE_SYMMETRIC):
        """Add a kernel over position and colour: `sxy` in pixels, `srgb` in levels, `rgbim` (h, w, 3) uint8.

        Parameters
        ----------
        sxy : float or (float, float), above 0
        srgb : float or three floats, above 0
        rgbim : uint8 array (h, w, 3)
        compat, kernel, normalization
            As of addPairwiseEnergy.
        """
        sx, sy = _widths("sxy", sxy, 2)
        s0, s1, s2 = _widths("srgb", srgb, 3)
        image = _checks.bytes_image("rgbim", rgbim, (self._h, self._w, 3))
        self._core.add_bilateral(sx, sy, s0, s1, s2, image, *self._pairwise(compat, kernel, normalization))


def _widths(name, value, count):
    if isinstance(value, Number):
        return [_checks.positive(name, value)] * count
    if isinstance(value, (str, bytes)) or not hasattr(value, "__len__"):
        raise TypeError(f"{name}: expected a number or {count} of them, got {_checks.shortened(value)}")
    widths = list(value) if np.ndim(value) else [value] * count
    if len(widths) != count:
        raise ValueError(f"{name}: expected a number or {count} of them, got {len(widths)}")
    return [_checks.positive(name, width) for width in widths]
