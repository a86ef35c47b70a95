"""Texts as other systems write them: read right, or refused by the name of their encoding."""

import pytest
from caffe.proto import caffe_pb2

from dsrg.datacheck import listed_ids
from dsrg.datacheck.findings import Findings
from dsrg.datasets.colour_masks import read_colours
from dsrg.datasets.label_table import read_label_table
from dsrg.io.class_names import read_classes
from dsrg.io.errors import UserError
from dsrg.io.faults import Faults
from dsrg.io.image_labels import read_image_labels
from dsrg.io.lists import read_ids, read_input_list
from dsrg.io.prototxt_text import read_prototxt
from dsrg.io.text_files import decode_text
from dsrg.pipeline.prototxt_edits import read_ablation
from dsrg.pipeline.prototxts import listed_files
from dsrg.pipeline.settings import read_experiment

NET = 'name: "n"  # a comment\ninput: "x"  # another\nlayer { name: "a" type: "ReLU" bottom: "x" top: "a" }\n'


def checked_ids(path):
    found = Findings()
    ids = listed_ids.read_ids(path, found)
    if not ids:
        raise UserError("\n".join(found.text()))
    return ids


def settings(path):
    path.rename(path.with_name("settings.yaml"))
    return read_experiment(path.parent).skip


#: reader -> a text, and what is read of it
READERS = {
    read_ids: ("a\nb\n", ["a", "b"]),
    checked_ids: ("a\nb\n", ["a", "b"]),
    read_input_list: ("/a.jpg 0\n/b.jpg 1\n", {0: "/a.jpg", 1: "/b.jpg"}),
    lambda path: read_image_labels(path, 3): ("a 1 2\nb 1\n", {"a": [1, 2], "b": [1]}),
    read_classes: ("background\ncow\n", ["background", "cow"]),
    lambda path: read_colours(path).tolist(): ("0 0 0\n128 0 0\n", [[0, 0, 0], [128, 0, 0]]),
    lambda path: read_label_table(path, path.parent, ["a.jpg"], Faults(path)).words:
        ("image,label\na.jpg,cow\n", {"a.jpg": [(2, "cow")]}),
    settings: ("# words\nskip: [cam]\n", ("cam",)),
    lambda path: read_ablation(path).says: ("# words\nsays: less\n", "less"),
    lambda path: len(read_prototxt(path, caffe_pb2.NetParameter(), "net")[0].layer): (NET, 1),
    lambda path: listed_files(decode_text(path.read_bytes(), "list"), ".")[0]:
        ("/a.jpg 0\n/b.jpg 1\n", ["a.jpg", "b.jpg"]),
}


@pytest.mark.parametrize("read", READERS)
def test_marks_and_line_ends_of_other_systems_are_read_and_other_encodings_named(read, tmp_path):
    """A prototxt with an old Mac's line ends would otherwise end in its first comment."""
    text, expected = READERS[read]
    path = tmp_path / "text"
    for data in (text, "\ufeff" + text, text.replace("\n", "\r\n"), text.replace("\n", "\r")):
        path.write_bytes(data.encode())
        assert read(path) == expected
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        path.write_bytes(text.encode(encoding))
        with pytest.raises(UserError, match=f"it is {encoding[:6].upper()} text"):
            read(path)
    path.write_bytes(text.replace("\n", "\0\n", 1).encode())
    with pytest.raises(UserError, match=f"byte {text.index(chr(10))} is NUL"):
        read(path)


def test_utf_16_of_other_letters_is_known_by_its_line_ends():
    with pytest.raises(UserError, match="^list a cannot be read as UTF-8 text: it is UTF-16 text; save it as UTF-8$"):
        decode_text("\u725b\u99ac\n\u7f8a\n\u72ac\u8c9a\n".encode("utf-16-le"), "list a")
    assert decode_text("\ufeffa\u2028b\r\n".encode(), "list a") == "a\u2028b\n"
