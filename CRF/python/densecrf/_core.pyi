"""Types of the compiled core; arguments are checked by `densecrf._checks` before they come here."""

import numpy as np
from numpy.typing import NDArray

class DenseCrf:
    """A CRF over height * width variables; unaries and q are (variables, labels) float32, C-contiguous."""

    def __init__(self, height: int, width: int, labels: int) -> None: ...
    def add_gaussian(self, sx: float, sy: float, gain: NDArray[np.float32], normalization: int) -> None: ...
    def add_bilateral(
        self,
        sx: float,
        sy: float,
        s0: float,
        s1: float,
        s2: float,
        image: NDArray[np.uint8],
        gain: NDArray[np.float32],
        normalization: int,
    ) -> None: ...
    def add_features(self, features: NDArray[np.float32], gain: NDArray[np.float32], normalization: int) -> None: ...
    def prepare(self, threads: int) -> None: ...
    def infer(self, unary: NDArray[np.float32], sign: float, iterations: int, threads: int) -> NDArray[np.float32]: ...
    def step(self, unary: NDArray[np.float32], sign: float, q: NDArray[np.float32], threads: int) -> None: ...
    def kl_divergence(self, unary: NDArray[np.float32], sign: float, q: NDArray[np.float32], threads: int) -> float: ...

def refine(
    images: NDArray[np.uint8],
    unaries: NDArray[np.float32],
    iterations: int,
    bilateral_xy: float,
    color: float,
    gaussian_xy: float,
    threads: int,
) -> NDArray[np.float32]: ...
def instruction_set() -> str: ...
