"""Layer families, one file each. Importing this package fills the registry."""

from . import (  # noqa: F401
    activation,
    common,
    database,
    hdf5,
    image_data,
    input,
    interp,
    loss,
    metrics,
    normalization,
    pooling,
    recurrent,
    shape,
    vision,
    window_data,
)
