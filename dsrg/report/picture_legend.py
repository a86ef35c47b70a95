"""The legend below a picture: a line a class, its colour and a text."""

import functools
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LINE = 22           # height of a line of the legend
TEXT_AT = 38        # where the texts begin, right of the colours


@functools.cache
def font(size=14):
    """DejaVu Sans, which comes with matplotlib: names of classes are in any European language, not in ASCII alone."""
    import matplotlib  # not by commands that draw nothing

    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")), size)


def with_legend(picture, lines):
    """A picture with lines below it; it becomes wider where a text is longer.

    Parameters
    ----------
    picture : uint8 array (H, W, 3), RGB
    lines : sequence of ((int, int, int), str)
        Colour, RGB, and text of each.

    Returns
    -------
    uint8 array (H + LINE * len(lines), W', 3), RGB
    """
    height, width = picture.shape[:2]
    longest = max((font().getlength(text) for _, text in lines), default=0)
    sheet = np.full((height + LINE * len(lines), max(width, TEXT_AT + int(longest) + 8), 3), 255, np.uint8)
    sheet[:height, :width] = picture
    image = Image.fromarray(sheet)
    draw = ImageDraw.Draw(image)
    for line, (colour, text) in enumerate(lines):
        top = height + line * LINE
        draw.rectangle((6, top + 3, 30, top + LINE - 3), fill=tuple(map(int, colour)), outline="black")
        draw.text((TEXT_AT, top + LINE // 2), text, "black", font(), anchor="lm")
    return np.array(image)
