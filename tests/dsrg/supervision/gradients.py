"""One finite-difference check for every loss and layer here."""

import numpy as np


def check_gradient(function, point, gradient, rng, samples=60, step=1e-5, relative=1e-5):
    """Compare `gradient` of a scalar function at `point` with central differences, at random entries.

    A sample at which halving the step changes the difference is at a kink (a clip, a maximum that changes hands)
    and is drawn again. The tolerance is relative to the largest gradient, with float64 arithmetic in mind.
    """
    point = np.array(point, dtype=np.float64)
    scale = max(np.abs(gradient).max(), 1e-12)
    checked = 0
    for flat in rng.permutation(point.size)[:4 * samples]:
        index = np.unravel_index(flat, point.shape)
        coarse, fine = (_difference(function, point, index, h) for h in (step, step / 2))
        if abs(coarse - fine) > relative * scale:
            continue
        assert abs(gradient[index] - fine) <= 3 * relative * scale, (
            f"entry {tuple(map(int, index))}: gradient {gradient[index]:.9g}, finite difference {fine:.9g}"
        )
        checked += 1
        if checked == samples:
            break
    assert checked >= min(samples, point.size) // 2, f"only {checked} entries are away from kinks"


def _difference(function, point, index, step):
    values = []
    for sign in (1, -1):
        moved = point.copy()
        moved[index] += sign * step
        values.append(function(moved))
    return (values[0] - values[1]) / (2 * step)
