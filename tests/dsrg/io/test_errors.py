"""dsrg.io.errors."""



import numpy as np
import pytest

from dsrg.io import errors
from dsrg.io.errors import UserError

LABELS = np.array([[0, 1, 2, 255], [3, 4, 20, 254]], np.uint8)


def run(main):
    with pytest.raises(SystemExit) as stop:
        errors.run_main(main, [])
    return stop.value.code


def raiser(error):
    def main(argv):
        raise error
    return main


def test_run_main_turns_user_errors_into_one_line_and_status_1(capsys):
    assert run(raiser(UserError("list a.txt\nis empty"))) == 1
    assert capsys.readouterr().err == "error: list a.txt is empty\n"


def test_run_main_names_the_file_of_an_os_error(capsys):
    assert run(raiser(PermissionError(13, "Permission denied", "/data/x.jpg"))) == 1
    assert capsys.readouterr().err == "error: /data/x.jpg: Permission denied\n"


def test_run_main_passes_status_on_and_lets_programming_errors_show():
    assert run(lambda argv: None) == 0
    assert run(lambda argv: 3) == 3
    with pytest.raises(ZeroDivisionError):
        errors.run_main(lambda argv: 1 / 0, [])


def test_run_main_answers_ctrl_c_with_status_130():
    assert run(raiser(KeyboardInterrupt())) == 130
