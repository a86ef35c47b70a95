"""Dense CRF inference with the interface of pydensecrf: ``densecrf.densecrf`` and ``densecrf.utils``."""

from densecrf import densecrf, utils

__all__ = ["densecrf", "utils"]
