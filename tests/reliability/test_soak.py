"""The soak's judgement: a leak is one, noise is none."""

import numpy as np
import pytest

from tests.reliability.soak import Sample, judge


def samples(hours=2.0, leak=0.0, descriptors=0.0, threads=0.0, slower=0.0, seed=1):
    """Of a process that does ten units a second, with noise of 0.3 MB, once in ten seconds.

    `leak` in MB an hour; `descriptors` and `threads` an hour; `slower`: share by which a unit costs more at the end.
    """
    rng, cpu, found = np.random.default_rng(seed), 0.0, []
    for second in np.arange(10, 3600 * hours, 10):
        hour = second / 3600
        cpu += 2.0 * (1 + slower * hour / hours)
        memory = 1e6 / 2**20 * (400 + 30 * np.exp(-second / 60) + leak * hour + rng.normal(0, 0.3))
        found.append(Sample(second, memory, memory - 100, int(9 + rng.integers(2) + descriptors * hour),
                            int(8 + threads * hour), cpu, int(10 * second), 0.004))
    return found


def test_what_settles_did_not_grow():
    found = judge(samples())
    assert found["grew"] == [] and abs(found["rss_mb_per_hour"]) < 0.2 and abs(found["speed"]) < 0.01
    assert found["units"] == 71900 and found["cpu_ms_per_unit"] == [20.0, 20.0]


@pytest.mark.parametrize(("change", "name"), [
    ({"leak": 1.5}, "memory"), ({"descriptors": 1.5}, "descriptors"), ({"threads": 1.5}, "threads"),
    ({"slower": 0.1}, "CPU time")])
def test_what_grows_is_named(change, name):
    assert judge(samples(**change))["grew"] == [name]


def test_the_slope_is_that_of_the_leak():
    found = judge(samples(leak=3.0))
    assert abs(found["rss_mb_per_hour"] - 3.0) < 4 * found["rss_stderr"] < 0.4


def test_few_samples_are_no_proof():
    with pytest.raises(SystemExit, match="5 samples say nothing"):
        judge(samples()[:5])
