"""The legend below an overlay."""

import numpy as np

from dsrg.report.mask_overlay import overlay_with_legend, share_of_classes
from dsrg.report.picture_legend import LINE, with_legend


def test_names_beyond_ascii_are_drawn_as_they_are():
    """Hershey fonts draw '?' for what they lack, so that two such names look alike."""
    image, labels = np.full((40, 60, 3), 99, np.uint8), np.ones((40, 60), np.uint8)
    drawn = {name: overlay_with_legend(image, labels, ["background", name])[-LINE:] for name in ("ä", "é", "и", "?")}
    names = list(drawn)
    assert all((drawn[a] != drawn[b]).any() for n, a in enumerate(names) for b in names[:n])


def test_a_text_that_is_longer_than_the_picture_is_wide_is_drawn_whole():
    picture = np.full((9, 30, 3), 99, np.uint8)
    short, long = (with_legend(picture, [((0, 128, 0), text)]) for text in ("iii", "a class of a very long name, 9 %"))
    assert short.shape[1] < long.shape[1] and (long[-LINE:, -8:] == 255).all()
    assert (long[-LINE:, -24:-8] < 255).any() and (long[:9, 30:] == 255).all()


def test_the_sheet_has_a_line_for_each_class_that_occurs_largest_first():
    labels = np.zeros((500, 400), np.uint8)
    labels[:100], labels[400:] = 2, 255
    sheet = overlay_with_legend(np.full((500, 400, 3), 99, np.uint8), labels, ["background", "cow", "sheep"])
    assert sheet.shape == (500 + 2 * LINE, 400, 3)
    swatches = [sheet[500 + LINE * k + LINE // 2, 18].tolist() for k in range(2)]
    assert swatches == [[0, 0, 0], [0, 128, 0]]
    np.testing.assert_allclose(share_of_classes(labels, 3), [0.75, 0, 0.25])


def test_large_photos_are_drawn_smaller():
    sheet = overlay_with_legend(np.zeros((3000, 200, 3), np.uint8), np.zeros((3000, 200), np.uint8), ["background"])
    assert sheet.shape[0] == 1600 + LINE
