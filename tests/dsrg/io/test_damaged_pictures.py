"""Pictures damaged at random: read, or refused with one UserError; nothing else ever comes out."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from dsrg.datasets.colour_masks import index_mask
from dsrg.io.errors import UserError
from dsrg.io.label_png import load_label_png
from dsrg.io.orientation import exif_orientation
from dsrg.io.photos import load_gray, load_image_bgr
from dsrg.saliency.drfi.object_mask import read_mask

#: more by the environment, for long runs
CASES = int(os.environ.get("DSRG_FUZZ_CASES", "120"))
FORMATS = [("JPEG", "RGB"), ("PNG", "RGB"), ("PNG", "P"), ("PNG", "LA"), ("TIFF", "RGB"), ("WEBP", "RGB"),
           ("BMP", "RGB"), ("PPM", "RGB"), ("GIF", "P")]


def seed_file(kind, mode, rng):
    image = Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8)).convert(mode)
    exif = image.getexif()
    exif[0x112] = 6
    exif[0x10E] = "text"
    out = io.BytesIO()
    image.save(out, format=kind, **({"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "TIFF") else {}))
    return out.getvalue()


def damaged(data, rng):
    data = bytearray(data)
    for _ in range(rng.integers(1, 8)):
        place = int(rng.integers(0, min(len(data), 200) if rng.random() < 0.6 else len(data)))
        way = rng.integers(0, 4)
        if way == 0:
            data[place] = rng.integers(0, 256)
        elif way == 1:
            data[place:place + 4] = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"])
        elif way == 2:
            del data[place:place + int(rng.integers(1, 40))]
        else:
            data[place:place] = data[:int(rng.integers(1, 40))]
        if not data:
            break
    return bytes(data)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of metadata
@pytest.mark.parametrize(("kind", "mode"), FORMATS)
def test_damaged_pictures_are_read_or_refused(tmp_path, kind, mode):
    rng = np.random.default_rng(len(kind) + ord(mode[0]))
    seed, path, refused = seed_file(kind, mode, rng), tmp_path / "a.png", 0
    colours = np.zeros((1, 3), np.uint8)
    for _ in range(CASES):
        data = damaged(seed, rng)
        path.write_bytes(data)
        for reader in (load_image_bgr, exif_orientation, lambda p: load_gray(p, "map"), load_label_png,
                       lambda p: index_mask(p, colours), lambda p: read_mask(p, (20, 30))):
            try:
                reader(path)
            except UserError as error:
                refused += 1
                assert "\n" not in str(error) and len(str(error)) < 1000
            except BaseException as error:
                (tmp_path / "failed").write_bytes(data)
                raise AssertionError(f"{type(error).__name__}: {error}; the input is {tmp_path / 'failed'}") from error
    assert refused > 0
