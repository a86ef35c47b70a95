"""dsrg.io.faults: the first ten of each kind in one go."""

import pytest

from dsrg.io.errors import UserError, run_main
from dsrg.io.faults import Faults
from dsrg.io.image_labels import read_image_labels
from dsrg.io.lists import read_ids, read_input_list


def test_nothing_wrong_raises_nothing():
    faults = Faults("list.txt")
    faults.refuse()
    assert not faults


def test_the_first_ten_of_each_kind_are_told_and_the_rest_counted():
    faults, asked = Faults("list.txt"), []
    for n in range(25):
        faults.add("ids given twice", lambda n=n: asked.append(n) or f"list.txt:{n}: twice")
    faults.add("lines too long", "list.txt:99: long")
    with pytest.raises(UserError, match=r"^list\.txt: 26 faults, the first: list\.txt:0: twice$") as caught:
        faults.refuse()
    lines = caught.value.details
    assert lines[0] == "ids given twice: 25" and lines[1:11] == tuple(f"list.txt:{n}: twice" for n in range(10))
    assert lines[11:] == ("... and 15 more", "lines too long: 1", "list.txt:99: long")
    assert asked == [*range(10)], "lines that are not shown are not worded"


def test_a_command_prints_them_in_front_of_its_error_line(capsys):
    def main(argv):
        faults = Faults("a.txt")
        faults.add("bad lines", "a.txt:1: bad \x1b[31m")
        faults.add("bad lines", "a.txt:2: bad")
        faults.refuse()

    with pytest.raises(SystemExit) as stop:
        run_main(main, [])
    assert stop.value.code == 1
    assert capsys.readouterr().err == ("  bad lines: 2\n  a.txt:1: bad \\x1b[31m\n  a.txt:2: bad\n"
                                       "error: a.txt: 2 faults, the first: a.txt:1: bad \\x1b[31m\n")


@pytest.mark.parametrize(("reader", "text", "count"), [
    (read_ids, "a\na\nb c\n../d\na\n", 4),
    (read_input_list, "a.jpg 0\nb.jpg 0\nc.jpg\na.png 3\n../d.jpg 4\ne.jpg -1\ne.jpg 123456789012345678901\n", 6),
    (lambda path: read_image_labels(path, 3), "a 1\na 2\nb 9\nc x\n../d 1\n", 4),
])
def test_readers_of_lists_tell_all_faults_of_a_file(tmp_path, reader, text, count):
    path = tmp_path / "list.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=f"{count} faults") as caught:
        reader(path)
    assert sum(":" in line and "list.txt:" in line for line in caught.value.details) == count
