"""ImageLabelLayer: targets of the classifier from the label file."""

import numpy as np
import pytest

from dsrg.io.errors import UserError
from tests.training.nets import one_layer_net


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/input_list.txt").write_text("a.jpg 0\nsub/b.c.png 5\n")
    (tmp_path / "lists/image_labels.txt").write_text("sub/b.c 3\na 1 2\nval 2\n")
    return tmp_path


def label_net(folder, ids, text="{'classes': 4}"):
    return one_layer_net(folder, "ImageLabelLayer", {"ids": np.array(ids, np.float32)}, text)


def test_targets_leave_background_out(folder):
    net = label_net(folder, [5, 0, 5])
    net.forward()
    assert net.blobs["top"].data.tolist() == [[0, 0, 1], [1, 1, 0], [0, 0, 1]]


def test_files_may_lie_elsewhere(folder):
    (folder / "lists").rename(folder / "other")
    net = label_net(folder, [0], "{'classes': 4, 'labels': 'other/image_labels.txt', 'list': 'other/input_list.txt'}")
    net.forward()
    assert net.blobs["top"].data.tolist() == [[1, 1, 0]]


@pytest.mark.parametrize(("file", "content", "message"), [
    ("image_labels.txt", "a 1 9\nsub/b.c 3\n", r"layer 'L' \(ImageLabelLayer\): .*image_labels\.txt:1: .* class 9"),
    ("image_labels.txt", "a 1\n", r"image_labels\.txt: no labels for 'sub/b\.c' of lists/input_list\.txt; name its"),
    ("image_labels.txt", "a 1\nsub/b.c\n", r"no labels for 'sub/b\.c'"),
    ("input_list.txt", "a.jpg\n", r"input_list\.txt:1: expected '<photo> <number>', got 'a\.jpg'"),
    ("input_list.txt", "", r"input_list\.txt is empty"),
    ("input_list.txt", "a.jpg 0\nsub/b.c.png 0\n", r"input_list\.txt:2: number 0 is given twice; each photo needs"),
])
def test_lists_that_do_not_fit_are_named(file, content, message, folder):
    (folder / "lists" / file).write_text(content)
    with pytest.raises(UserError, match=message):
        label_net(folder, [0])


def test_a_number_that_is_not_in_the_list_is_named(folder):
    net = label_net(folder, [0, 4])
    with pytest.raises(UserError, match=r"image 4 is not in lists/input_list\.txt \(2 images\)"):
        net.forward()


def test_the_number_of_classes_has_to_be_given(folder):
    with pytest.raises(UserError, match=r"param_str lacks 'classes'; it takes classes, labels, list"):
        label_net(folder, [0], "")


def test_names_of_the_originals_lists_begin_with_a_slash(folder):
    (folder / "lists/input_list.txt").write_text("/a.jpg 0\n/sub/b.c.png 5\n")
    net = label_net(folder, [5])
    net.forward()
    assert net.blobs["top"].data.shape == (1, 3)
