from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "CONST_KERNEL", "ConstUnary", "DIAG_KERNEL", "DenseCRF", "DenseCRF2D", "FULL_KERNEL", "KernelType",
    "LogisticUnary", "NORMALIZE_AFTER", "NORMALIZE_BEFORE", "NORMALIZE_SYMMETRIC", "NO_NORMALIZATION",
    "NormalizationType", "Unary",
]  # fmt: skip

class KernelType(IntEnum):
    CONST_KERNEL = 0
    DIAG_KERNEL = 1
    FULL_KERNEL = 2

class NormalizationType(IntEnum):
    NO_NORMALIZATION = 0
    NORMALIZE_BEFORE = 1
    NORMALIZE_AFTER = 2
    NORMALIZE_SYMMETRIC = 3

CONST_KERNEL: KernelType
DIAG_KERNEL: KernelType
FULL_KERNEL: KernelType
NO_NORMALIZATION: NormalizationType
NORMALIZE_BEFORE: NormalizationType
NORMALIZE_AFTER: NormalizationType
NORMALIZE_SYMMETRIC: NormalizationType

class Unary:
    def __init__(self, energies: NDArray[np.float32]) -> None: ...
    def get(self) -> NDArray[np.float32]: ...

class ConstUnary(Unary):
    def __init__(self, u: ArrayLike) -> None: ...

class LogisticUnary(Unary):
    def __init__(self, L: ArrayLike, f: ArrayLike) -> None: ...

class DenseCRF:
    def __init__(self, nvar: int, nlabels: int) -> None: ...
    def addPairwiseEnergy(
        self, features: ArrayLike, compat: ArrayLike, kernel: int = ..., normalization: int = ...
    ) -> None: ...
    def setUnary(self, unary: Unary) -> None: ...
    def setUnaryEnergy(self, u: ArrayLike, f: ArrayLike | None = None) -> None: ...
    def inference(self, niter: int, threads: int | None = None) -> NDArray[np.float32]: ...
    def startInference(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]: ...
    def stepInference(
        self,
        Q: NDArray[np.float32],
        tmp1: NDArray[np.float32] | None = None,
        tmp2: NDArray[np.float32] | None = None,
        threads: int | None = None,
    ) -> None: ...
    def klDivergence(self, Q: NDArray[np.float32], threads: int | None = None) -> float: ...

class DenseCRF2D(DenseCRF):
    def __init__(self, w: int, h: int, nlabels: int) -> None: ...
    def addPairwiseGaussian(
        self, sxy: float | Sequence[float], compat: ArrayLike, kernel: int = ..., normalization: int = ...
    ) -> None: ...
    def addPairwiseBilateral(
        self,
        sxy: float | Sequence[float],
        srgb: float | Sequence[float],
        rgbim: ArrayLike,
        compat: ArrayLike,
        kernel: int = ...,
        normalization: int = ...,
    ) -> None: ...
