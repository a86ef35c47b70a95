"""Files that would cost memory or time without end, or that are none: refused in one line by every reader."""

import os
import socket
import struct
import threading
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from dsrg.cuefile.format import CueError, load_cues
from dsrg.datasets.colour_masks import index_mask
from dsrg.datasets.voc_annotations import read_object_names
from dsrg.io.class_names import read_classes
from dsrg.io.errors import UserError
from dsrg.io.image_labels import read_image_labels
from dsrg.io.label_png import load_label_png
from dsrg.io.lists import read_ids, read_input_list
from dsrg.io.photos import load_gray, load_image_bgr
from dsrg.saliency.background_detection import read_saliency
from dsrg.saliency.drfi.object_mask import read_mask
from training.pylayers.segmentation_batches import load_pair, read_pairs

PICTURES = {
    "photo": load_image_bgr,
    "label map": load_label_png,
    "saliency map": lambda path: read_saliency(path, (2, 2)),
    "mask of drfi": lambda path: read_mask(path, (2, 2)),
    "colour mask": lambda path: index_mask(path, np.zeros((1, 3), np.uint8)),
    "gray": lambda path: load_gray(path, "picture"),
    "pair": lambda path: load_pair(path, path),
}
TEXTS = {
    "ids": read_ids, "input list": read_input_list, "labels": read_image_labels, "classes": read_classes,
    "pairs": lambda path: read_pairs(path, ""), "annotation": read_object_names,
}


def png_header(width, height, colour=0):
    """A PNG of a few bytes that says it has this size."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(b"\0" * 1000)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("size", [(20000, 6000), (60000, 60000), (2**31 - 1, 2**31 - 1)])
@pytest.mark.parametrize("reader", PICTURES.values(), ids=PICTURES)
def test_pictures_of_too_many_pixels_are_refused_by_their_header(tmp_path, reader, size):
    path = tmp_path / "a.png"
    path.write_bytes(png_header(*size))
    with pytest.raises(UserError, match=r"a\.png (has .*expected at most 100 megapixels|is not a readable picture)"):
        reader(path)


def test_the_limit_is_a_setting(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.new("RGB", (2000, 1000)).save(path)
    assert load_image_bgr(path).shape == (1000, 2000, 3)
    monkeypatch.setenv("DSRG_MAX_MEGAPIXELS", "1.5")
    with pytest.raises(UserError, match="has 2000x1000 = 2 megapixels, expected at most 1.5 megapixels; shrink it, or "
                                        "set DSRG_MAX_MEGAPIXELS"):
        load_image_bgr(path)
    monkeypatch.setenv("DSRG_MAX_MEGAPIXELS", "2")
    assert load_image_bgr(path).shape == (1000, 2000, 3)
    for text in ("no", "0", "-3", "nan"):
        monkeypatch.setenv("DSRG_MAX_MEGAPIXELS", text)
        with pytest.raises(UserError, match=f"DSRG_MAX_MEGAPIXELS={text}: expected a number"):
            load_image_bgr(path)


def test_a_limit_above_pillows_own_holds(tmp_path, monkeypatch):
    """Pillow refuses from 179 megapixels on by itself."""
    path = tmp_path / "a.png"
    path.write_bytes(png_header(20000, 10000))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    monkeypatch.setenv("DSRG_MAX_MEGAPIXELS", "150")
    with pytest.raises(UserError, match="expected at most 150 megapixels"):
        load_label_png(path)


def special_file(tmp_path, kind):
    path = tmp_path / "a.png"
    if kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    return path


@pytest.mark.parametrize("kind", ["a FIFO", "a folder", "a device"])
@pytest.mark.parametrize("reader", [*PICTURES.values(), *TEXTS.values()], ids=[*PICTURES, *TEXTS])
def test_what_is_no_file_is_refused_without_waiting(tmp_path, reader, kind):
    path = special_file(tmp_path, kind)
    caught = []

    def read():
        try:
            reader(path)
        except UserError as error:
            caught.append(str(error))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "it waits for a writer"
    assert kind in caught[0] or "no mask" in caught[0] or "no saliency map" in caught[0]


def test_sockets_and_nul_characters_are_refused(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.png"))
        with pytest.raises(UserError, match=r"s\.png cannot be read|is a socket"):
            load_image_bgr(tmp_path / "s.png")
    with pytest.raises(UserError, match="holds a NUL character"):
        load_image_bgr(str(tmp_path / "a\0.png"))


@pytest.mark.parametrize("kind", ["a FIFO", "a folder"])
def test_cue_files_that_are_no_file_are_refused(tmp_path, kind):
    with pytest.raises(CueError, match=r"a\.png: no file"):
        load_cues(special_file(tmp_path, kind))


@pytest.mark.parametrize("reader", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("data", [b"", b"\xff\xfea\0b\0", b"\0" * 64, b"\x1b]0;owned\x07 1 2 3\n" * 3])
def test_texts_that_are_none_are_refused_in_one_printable_line(tmp_path, reader, data):
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(UserError):
        reader(tmp_path / "a.txt")


@pytest.mark.parametrize(("reader", "line"), [
    (read_ids, "folder/{n}\n"), (read_input_list, "{n}.jpg {n}\n"), (read_image_labels, "{n} 1 2\n"),
    (lambda path: read_pairs(path, ""), "/a/{n}.jpg /b/{n}.png\n")])
def test_long_lists_take_time_in_proportion(tmp_path, reader, line):
    path = tmp_path / "list.txt"
    path.write_text("".join(line.format(n=n) for n in range(200_000)))
    started = time.process_time()
    assert len(reader(path)) == 200_000
    assert time.process_time() - started < 20  # 0.3 to 1 s; with a search of the lines before each it would be hours


@pytest.mark.parametrize("line", ["same\n", "a b c d\n", "../x\n", "name{n} 1\n"])
@pytest.mark.parametrize("reader", [read_ids, read_input_list, read_image_labels, read_classes])
def test_long_lists_of_faults_too(tmp_path, reader, line):
    path = tmp_path / "list.txt"
    path.write_text("".join(line.format(n=n) for n in range(100_000)))
    started = time.process_time()
    try:
        reader(path)
    except UserError as error:
        assert len(str(error)) < 1000 and len(error.details) < 50
    assert time.process_time() - started < 20
