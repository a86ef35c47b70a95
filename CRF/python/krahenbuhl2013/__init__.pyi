import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["BACKENDS", "CRF", "CRF_batch", "set_backend"]

BACKENDS: tuple[str, ...]

def CRF(
    image: ArrayLike,
    unary: ArrayLike,
    maxiter: int = 10,
    scale_factor: float = 1.0,
    color_factor: float = 13,
    *,
    threads: int | None = None,
    backend: str | None = None,
) -> NDArray[np.float32]: ...
def CRF_batch(
    images: ArrayLike,
    unaries: ArrayLike,
    maxiter: int = 10,
    scale_factor: float = 1.0,
    color_factor: float = 13,
    threads: int | None = None,
    *,
    backend: str | None = None,
) -> NDArray[np.float32]: ...
def set_backend(name: str) -> None: ...
