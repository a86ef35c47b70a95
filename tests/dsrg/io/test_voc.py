"""dsrg.io.voc."""



import numpy as np

from dsrg.io import voc

LABELS = np.array([[0, 1, 2, 255], [3, 4, 20, 254]], np.uint8)


def test_palette_has_256_distinct_colours_and_vocs_own():
    colours = voc.palette()
    assert len({tuple(colour) for colour in colours.tolist()}) == 256
    assert colours[20].tolist() == [0, 64, 128] and colours[255].tolist() == [224, 224, 192]
    assert len(voc.CLASSES) == 21
