"""dsrg.io.lists."""



import numpy as np
import pytest

from dsrg.io import lists
from dsrg.io.errors import UserError

LABELS = np.array([[0, 1, 2, 255], [3, 4, 20, 254]], np.uint8)


def test_read_ids_keeps_the_order_and_drops_blank_lines(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_bytes(b"\xef\xbb\xbfb\r\n\r\na\r\nfolder/c\r\n")
    assert lists.read_ids(path) == ["b", "a", "folder/c"]


@pytest.mark.parametrize(("text", "message"), [
    ("a\nb\na\n", r":3: id 'a' is already on line 1"),
    ("a 1\n", r":1: expected one image id a line, got 'a 1'"),
    ("../a\n", r":1: id '\.\./a' leads out"),
    ("\n", "is empty"),
    (None, "does not exist"),
])
def test_read_ids_refuses_bad_lists(tmp_path, text, message):
    path = tmp_path / "ids.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=message):
        lists.read_ids(path)
