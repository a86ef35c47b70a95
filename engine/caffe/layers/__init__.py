"""Layer families, one file each. Importing this package fills the registry."""

from . import (  # noqa: F401
    activation,
    common,
    image_data,
    input,
    interp,
    loss,
    metrics,
    normalization,
    pooling,
    shape,
    vision,
)
