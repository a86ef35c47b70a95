"""Layer families, one file each. Importing this package fills the registry."""

from . import (  # noqa: F401
    activation,
    convolution,
    database,
    hdf5,
    image_data,
    inner_product,
    input,
    interp,
    loss,
    metrics,
    normalization,
    pooling,
    recurrent,
    reduction,
    shape,
    window_data,
)
