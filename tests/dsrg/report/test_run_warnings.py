"""What is warned of, and what is not."""

import numpy as np
import pytest

from dsrg.report.run_warnings import class_warnings, cut_short, loss_warning, result_warnings


def log(values):
    values = np.asarray(values, float)
    return {"iteration": np.arange(len(values)), "losses": {"a": values / 2, "b": values / 2}}


def test_a_loss_that_falls_is_nothing_to_warn_of():
    assert loss_warning("stage s", log(np.linspace(3, 1, 100))) is None
    assert loss_warning("stage s", log([5, *[1] * 99])) is None, "one that has settled has fallen"


def test_a_loss_that_is_not_finite_is_named_with_its_iteration():
    assert "stage s: the loss is not finite from iteration 3 on" in loss_warning("stage s", log([3, 2, 1, np.nan, 1]))
    assert "from iteration 1 on" in loss_warning("stage s", log([3, np.inf]))


def test_a_loss_that_did_not_fall():
    # means of the first and the last fifth of 0..99, twice: 9.5 and 89.5
    assert "the loss did not fall, it is 89.5 over the last fifth of the iterations and was 9.5 over the first" in \
        loss_warning("classifier", log(np.arange(100)))
    assert "did not fall" in loss_warning("classifier", log([2] * 60))


def test_a_loss_that_rose_again():
    falls_and_rises = np.r_[np.full(20, 9.0), np.full(20, 2.0), np.full(20, 2.0), np.full(20, 3.0), np.full(20, 4.0)]
    assert "stopped falling and rose again, from 2 to 4" in loss_warning("stage f", log(falls_and_rises))


@pytest.mark.parametrize("values", [[], [1, 2, 3], np.arange(49)])
def test_a_short_training_says_nothing_of_a_trend(values):
    assert loss_warning("stage s", log(values)) is None


def test_classes_without_photos_and_without_cues():
    lines = class_warnings(["background", "cow", "sheep", "horse"], np.array([0, 5, 0, 7]), np.array([90, 0, 0, 19]))
    assert lines[0] == "no train photo shows sheep: nothing can be learned of it"
    assert "no cue of class cow" in lines[1] and "horse (19)" in lines[1]
    assert "sheep" not in lines[1], "a class that no photo shows needs no cue"
    assert class_warnings(["background", "cow"], np.array([0, 5]), np.array([20, 20])) == []
    assert class_warnings(["background", "cow"], None, None) == []


def test_a_reference_that_is_worse_bounds_nothing():
    lines = result_warnings({"f": {"miou": 0.42727}, "full": {"miou": 0.027}})
    assert lines == ["the fully supervised reference (2.7 %) is worse than stage f (42.7 %): it failed, and a ratio to "
                     "it means nothing"]
    assert result_warnings({"f": {"miou": 0.5}, "full": {"miou": 0.6}}) == []
    assert len(result_warnings({"f": {"miou": 0.0}, "full": {"miou": 0.0}})) == 1


def test_trainings_that_max_iter_ended_are_named():
    def stage(name, *words):
        return {"name": name, "command": ["-m", "training.train", *words]}

    assert cut_short([stage("cam"), stage("train-s", "--resume"), {"name": "train-f", "command": []}]) == []
    line, = cut_short([stage("cam", "--max-iter", "20"), stage("train-s", "--max-iter", "20"), stage("label")])
    assert line.startswith("MAX_ITER ended trainings early (after 20 iterations: classifier, ")
