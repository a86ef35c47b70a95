"""Variables of a run that do not fit, told by their own names."""

import pytest
import torch

from dsrg.io.errors import UserError
from dsrg.pipeline.run_request import PATHS, VARIABLES, resolved, settings_of
from dsrg.pipeline.settings import UsageError


def settings(tmp_path, **variables):
    return settings_of("demo", "", {**dict.fromkeys(PATHS, ""), **VARIABLES, "WORK": str(tmp_path), **variables}, False)


def test_a_device_that_is_no_number_is_told_by_the_variable(tmp_path):
    with pytest.raises(UsageError, match="^DEVICE=gpu: expected cpu, a number, or numbers with commas such as 0,1$"):
        settings(tmp_path, DEVICE="gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_told_by_the_variable_with_what_helps(tmp_path):
    with pytest.raises(UserError, match="^DEVICE=0,1: torch .* finds no CUDA device; use DEVICE=cpu, or install"):
        resolved(settings(tmp_path, DEVICE="0,1", ENGINE="embedded"))


@pytest.mark.parametrize(("name", "text"), [("SEED", "9" * 5000), ("MAX_ITER", "99999999999"), ("BATCH", "\u00b2"),
                                            ("DEVICE", "9" * 5000), ("NPROC", "0x1")])
def test_numbers_of_any_length_are_told_by_the_variable(name, text, tmp_path):
    """Python reads no number of more than 4300 digits."""
    with pytest.raises(UsageError, match=f"^{name}={text[:40]}.*: expected ") as refused:
        settings(tmp_path, **{name: text})
    assert len(str(refused.value)) < 250
