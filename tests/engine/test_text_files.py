"""Nets, solvers and lists as other systems write them: read right, or refused by the name of their encoding."""

import caffe
import pytest
from caffe import prototxt
from caffe.layers.window_data import WindowWords
from caffe.text_files import read_lines_of

NET = """name: "n"  # a comment
input: "x"  # another
input_shape { dim: 1 dim: 2 }
layer { name: "a" type: "ReLU" bottom: "x" top: "a" }
"""
LIST = "a.jpg 0\nb\u2028c.jpg 1\n"


@pytest.mark.parametrize("change", [str, "\ufeff".__add__, lambda text: text.replace("\n", "\r\n"),
                                    lambda text: text.replace("\n", "\r")])
def test_marks_and_line_ends_of_other_systems(change, tmp_path):
    """A net with an old Mac's line ends would otherwise end in its first comment, without a word."""
    path = tmp_path / "text"
    path.write_bytes(change(NET).encode())
    assert list(caffe.Net(str(path), caffe.TEST).blobs) == ["x", "a"]
    path.write_bytes(change('net: "n"  # a net\nbase_lr: 0.5\n').encode())
    assert prototxt.read_solver(path).base_lr == 0.5
    path.write_bytes(change(LIST).encode())
    assert read_lines_of(path) == ["a.jpg 0", "b\u2028c.jpg 1", ""]
    path.write_bytes(change("# 0\na.jpg\n3\n").encode())
    words = WindowWords(read_lines_of(path))
    assert [words.next() for _ in range(4)] == ["#", "0", "a.jpg", "3"] and words.line == 3 and not words.more()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings_are_named(encoding, tmp_path):
    path, named = tmp_path / "text", encoding[:6].upper()
    path.write_bytes(NET.encode(encoding))
    for read in (prototxt.read_net, prototxt.read_solver):
        with pytest.raises(caffe.PrototxtError, match=f"text: {named} text, expected UTF-8; save it as UTF-8"):
            read(path)
    net = ('layer { name: "d" type: "ImageData" top: "d" top: "l" transform_param { crop_size: 2 } '
           f'image_data_param {{ source: "{path}" batch_size: 1 }} }}')
    for layer in (net, net.replace("ImageData", "WindowData").replace("image_data", "window_data")):
        (tmp_path / "net").write_text(layer)
        with pytest.raises(caffe.LayerError, match=f"it is {named} text; save it as UTF-8"):
            caffe.Net(str(tmp_path / "net"), caffe.TEST)
    path.write_bytes(LIST.replace("b", "\0").encode())
    with pytest.raises(ValueError, match="^byte 8 is NUL"):
        read_lines_of(path)
