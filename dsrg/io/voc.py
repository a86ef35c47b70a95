"""Facts of PASCAL VOC 2012 segmentation, each stated once, with its source."""

import numpy as np

# Index order of the VOC 2012 development kit (VOCinit.m, VOCopts.classes), background put first.
CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)

# Value of pixels that count for nothing: the pale borders of VOC's masks (development kit, segmentation).
IGNORE_LABEL = 255

# Mean pixel in the order B, G, R, as mean_value in train-s.prototxt of DSRG and as the VGG16 weights expect.
MEAN_BGR = (104.0, 117.0, 123.0)


def palette():
    """Colours of label maps: the colour map of the VOC development kit (VOClabelcolormap.m).

    The bits of an index are dealt out to red, green and blue in turn, three at a time, from the highest bit
    of each colour down; so any number of classes up to 256 gets distinct colours.

    Returns
    -------
    ndarray of uint8, shape (256, 3)
        Row i is the colour (R, G, B) of class i; row 255 is the pale colour of ignored pixels.

    Examples
    --------
    >>> palette()[[0, 1, 2, 15]].tolist()
    [[0, 0, 0], [128, 0, 0], [0, 128, 0], [192, 128, 128]]
    """
    index = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for level in range(8):
        for channel in range(3):
            bit = (index >> (3 * level + channel)) & 1
            colours[:, channel] |= (bit << (7 - level)).astype(np.uint8)
    return colours
