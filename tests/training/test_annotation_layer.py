"""AnnotationLayer: labels and cues from the file, mirroring with the photo, repeatable, clear refusals."""

import pickle

import numpy as np
import pytest

from dsrg.cuefile.format import save_cues
from dsrg.io.errors import UserError
from tests.training.nets import digest, one_layer_net

TOPS = ("labels", "cues", "images")
ANNOTATIONS = {
    0: (np.array([2]), np.array([[0, 2, 2], [0, 1, 3], [0, 4, 2]])),
    1: (np.array([1, 3]), np.array([[1, 3], [2, 2], [0, 4]])),
    7: (np.array([1]), np.array([[0, 1], [1, 1], [1, 2]])),
}


PARAMS = "{'cues': 'cues.pickle', 'classes': 4, 'size': [4, 5]}"
MIRROR = "{'cues': 'cues.pickle', 'mirror': True, 'classes': 4, 'size': [4, 5]}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a cue file of 4 classes on maps of 4x5."""
    monkeypatch.chdir(tmp_path)
    save_cues(tmp_path / "cues.pickle", ANNOTATIONS)
    return tmp_path


def annotation_net(folder, ids, rng, param_str=PARAMS, **keywords):
    bottoms = {
        "ids": np.array(ids, np.float32),
        "photos": rng.normal(size=(len(ids), 3, 8, 10)).astype(np.float32),
    }
    return one_layer_net(folder, keywords.pop("layer", "AnnotationLayer"), bottoms, param_str, TOPS, **keywords)


def test_labels_and_cues_are_those_of_the_image_numbers(folder, rng):
    net = annotation_net(folder, [7, 0], rng)
    before = digest(net, ("ids", "photos"))
    net.forward()
    assert net.blobs["labels"].data.tolist() == [[[[1, 1, 0, 0]]], [[[1, 0, 1, 0]]]]
    expected = np.zeros((2, 4, 4, 5), np.float32)
    expected[0, 0, 1, 1] = expected[0, 1, 1, 2] = 1
    expected[1, 0, 0, 0] = expected[1, 2, 1, 4] = expected[1, 2, 3, 2] = 1
    np.testing.assert_array_equal(net.blobs["cues"].data, expected)
    np.testing.assert_array_equal(net.blobs["images"].data, net.blobs["photos"].data)
    assert digest(net, ("ids", "photos")) == before


def test_photo_and_cues_are_mirrored_together(folder, rng):
    np.random.seed(0)  # noqa: NPY002 (the layer draws its seed from the global generator, as train.py has it)
    net = annotation_net(folder, [0, 1, 7, 0], rng, MIRROR)
    plain = annotation_net(folder, [0, 1, 7, 0], rng)
    plain.forward()
    seen = set()
    for _ in range(8):
        net.forward()
        for image in range(4):
            photo, cues = net.blobs["images"].data[image], net.blobs["cues"].data[image]
            flipped = not np.array_equal(photo, net.blobs["photos"].data[image])
            order = slice(None, None, -1 if flipped else 1)
            np.testing.assert_array_equal(photo, net.blobs["photos"].data[image][..., order])
            np.testing.assert_array_equal(cues, plain.blobs["cues"].data[image][..., order])
            seen.add(flipped)
    assert seen == {True, False}


def test_mirroring_repeats_with_the_seed_and_after_a_seek(folder, rng):
    def run(batches, first=0):
        np.random.seed(5)  # noqa: NPY002
        net = annotation_net(folder, [0, 1, 7, 0], np.random.default_rng(1), MIRROR)
        net.layer_dict["L"].seek(first)
        hashes = []
        for _ in range(batches):
            net.forward()
            hashes.append(digest(net, ("images", "cues")))
        return hashes

    unbroken = run(6)
    assert unbroken == run(6)
    assert unbroken[4:] == run(2, first=4)
    assert len({tuple(h) for h in unbroken}) > 1


@pytest.mark.parametrize(("layer", "classes"), [("AnnotationLayer", 21), ("AnnotationLayerCOCO", 81)])
def test_the_original_param_str_gives_the_original_shapes(layer, classes, folder, rng):
    net = annotation_net(folder, [0, 7], rng, "{'cues': 'cues.pickle', 'mirror': False}", layer=layer)
    assert tuple(net.blobs["labels"].shape) == (2, 1, 1, classes)
    assert tuple(net.blobs["cues"].shape) == (2, classes, 41, 41)
    net.forward()
    assert net.blobs["cues"].data.sum() == 5


@pytest.mark.parametrize("place", ["localization_cues", "cues"])
def test_a_bare_name_is_looked_for_in_the_folders_of_cues(place, folder, rng):
    (folder / place).mkdir()
    (folder / "cues.pickle").rename(folder / place / "moved.pickle")
    annotation_net(folder, [0], rng, "{'cues': 'moved.pickle', 'classes': 4, 'size': [4, 5]}").forward()


def test_image_ids_of_any_shape_are_taken(folder, rng):
    bottoms = {"ids": np.array([7, 0], np.float32).reshape(2, 1, 1, 1), "photos": np.zeros((2, 3, 8, 10), np.float32)}
    net = one_layer_net(folder, "AnnotationLayer", bottoms, PARAMS, TOPS)
    net.forward()
    assert net.blobs["labels"].data[0, 0, 0].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(("text", "message"), [
    ("{'mirror': True}", r"layer 'L' \(AnnotationLayer\): param_str lacks 'cues'; it takes cues, mirror, classes"),
    ("{'cues': 'nowhere.pickle'}", r"nowhere\.pickle: no such cue file"),
    ("{'cues': 'cues.pickle', 'classes': 3, 'size': [4, 5]}", r"cues\.pickle: image 1 has label 3, expected 0 to 2"),
    ("{'cues': 'cues.pickle', 'classes': 4, 'size': 4}", r"cues\.pickle: image 0 has column 4, .* another map"),
    ("{'cues': 'cues.pickle', 'size': [4, -1]}", r"param 'size': expected a size or \[height, width\]"),
])
def test_cue_files_and_settings_that_do_not_fit_are_named(text, message, folder, rng):
    with pytest.raises(UserError, match=message):
        annotation_net(folder, [0], rng, text)


def test_an_image_that_is_not_in_the_file_is_named(folder, rng):
    net = annotation_net(folder, [0, 3], rng)
    with pytest.raises(UserError, match=r"image 3 is not among the 3 of cues\.pickle; the file belongs to another"):
        net.forward()


def test_an_image_without_any_cue_is_named(folder, rng):
    save_cues(folder / "bare.npz", {**ANNOTATIONS, 4: (np.array([1]), np.zeros((3, 0), int))})
    with pytest.raises(UserError, match=r"bare\.npz: image 4 has no cue at all, one of 1; make the cues again"):
        annotation_net(folder, [0], rng, "{'cues': 'bare.npz', 'classes': 4, 'size': [4, 5]}")


def test_a_pickle_that_would_run_code_is_refused(folder, rng):
    class Trap:
        def __reduce__(self):
            return (exec, ("raise SystemExit",))

    (folder / "trap.pickle").write_bytes(pickle.dumps({"0_labels": Trap()}))
    with pytest.raises(UserError, match=r"trap\.pickle: refused"):
        annotation_net(folder, [0], rng, "{'cues': 'trap.pickle'}")


def test_fewer_ids_than_photos_are_named(folder):
    bottoms = {"ids": np.zeros(3, np.float32), "photos": np.zeros((2, 3, 8, 10), np.float32)}
    with pytest.raises(UserError, match=r"bottom\[0\] 'image ids' is \(3,\), expected 2 numbers"):
        one_layer_net(folder, "AnnotationLayer", bottoms, PARAMS, TOPS)


def test_classes_with_few_cues_or_none_are_named_before_the_training(folder, rng, capfd):
    """Class 3 has one cell of image 1, class 2 two of image 0; 30 cells of class 1 are enough."""
    (folder / "lists").mkdir()
    (folder / "lists/classes.txt").write_text("background\ncow\nsheep\nhorse\ndog\n")
    rows, columns = [0] * 5 + [1] * 5 + [2] * 5 + [3] * 5, [*range(5)] * 4
    plenty = {n: ([1], [[0] * 10 + [1] * 10, rows, columns]) for n in range(8, 11)}
    save_cues(folder / "cues.pickle", {**ANNOTATIONS, **plenty})
    annotation_net(folder, [0], rng, "{'cues': 'cues.pickle', 'classes': 5, 'size': [4, 5]}")
    said = capfd.readouterr().err
    assert "no cue of class dog; under 20 cells of 2 classes: sheep (2), horse (1); nothing grows" in said
    assert "cow" not in said and "background" not in said


def test_nothing_is_said_where_every_class_has_cues(folder, rng, capfd):
    rows, columns = [0] * 5 + [1] * 5 + [2] * 5 + [3] * 5, [*range(5)] * 4
    save_cues(folder / "cues.pickle", {n: ([1], [[0] * 10 + [1] * 10, rows, columns]) for n in range(2)})
    annotation_net(folder, [0], rng, "{'cues': 'cues.pickle', 'classes': 2, 'size': [4, 5]}")
    assert "cue of class" not in capfd.readouterr().err


def test_cells_with_two_cues_are_seeds_of_both(folder, rng):
    """A converted file keeps them (python -m localization_cues.convert_cues), as the layer takes them."""
    from localization_cues import convert_cues

    save_cues(folder / "double.pickle", {0: ([1, 2], [[1, 2, 0], [1, 1, 0], [2, 2, 0]])}, overlaps=True)
    convert_cues.main(["double.pickle", "double.npz"])
    net = annotation_net(folder, [0], rng, "{'cues': 'double.npz', 'classes': 4, 'size': [4, 5]}")
    net.forward()
    assert net.blobs["cues"].data[0, :, 1, 2].tolist() == [0, 1, 1, 0]
