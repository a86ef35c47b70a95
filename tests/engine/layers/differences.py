"""Gradients compared with finite differences."""

import numpy as np


def check_layer(single, *values, step=1e-4, rtol=1e-4, atol=1e-7, seed=1, before=None, unread=()):
    """Compare the gradients of a layer (nets.Single) with central differences of a random functional of its tops.

    Places where the differences of two steps disagree lie at a kink (of a ReLU, a maximum) and are left out; there may
    be few of them.

    Parameters
    ----------
    values : arrays
        One for each bottom.
    before : function, optional
        Called before each forward (to reset a state).
    unread : tuple of int
        Tops whose gradient the layer does not pass on: they count nothing in the functional.

    Returns
    -------
    int
        Number of gradients compared.
    """
    values = [np.array(v, np.float64) for v in values]
    params = [np.array(b.data_memory.array(), np.float64) for b in single.layer.blobs]

    def tops():
        if before is not None:
            before()
        for blob, p in zip(single.layer.blobs, params, strict=True):
            single.set(blob, p)
        return single.forward(*values)

    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=t.shape) * (i not in unread) for i, t in enumerate(tops())]
    tops()
    bottom_grads, param_grads = single.backward(*(w + (i in unread) for i, w in enumerate(weights)))

    def slope(array, index, h):
        old = array[index]
        ends = []
        for x in (old + h, old - h):
            array[index] = x
            ends.append(sum((w * t).sum() for w, t in zip(weights, tops(), strict=True)))
        array[index] = old
        return (ends[0] - ends[1]) / (2 * h)

    compared = skipped = 0
    arrays = [(f"bottom {i}", v, g) for i, (v, g) in enumerate(zip(values, bottom_grads, strict=True)) if g is not None]
    arrays += [(f"parameter {i}", v, g) for i, (v, g) in enumerate(zip(params, param_grads, strict=True))]
    for what, array, grad in arrays:
        assert grad.shape == array.shape, f"gradient of {what} is {grad.shape}, the values {array.shape}"
        for index in np.ndindex(array.shape):
            wide, narrow = slope(array, index, step), slope(array, index, step / 2)
            if abs(wide - narrow) > 1e-3 * max(abs(wide), abs(narrow)) + 1e-6:
                skipped += 1
                continue
            # parameter gradients are kept in float32
            bound = atol + rtol * max(abs(narrow), abs(grad[index]))
            assert abs(grad[index] - narrow) <= bound, f"{what} at {index}: {grad[index]} but differences say {narrow}"
            compared += 1
    assert skipped <= compared / 4, f"{skipped} of {skipped + compared} places are at kinks: other values are needed"
    return compared
