"""How a photo is stored, as EXIF says, and the turn that makes it upright."""

from dsrg.io.picture_files import MOST_BYTES, ORIENTATION_TAG, open_picture
from dsrg.io.regular_files import read_file


def exif_orientation(path):
    """How a photo is stored, 1 to 8 as EXIF's tag 274 says; 1 is upright and the answer where nothing is said.

    Parameters
    ----------
    path : path

    Returns
    -------
    int

    Raises
    ------
    UserError
        No regular file, no picture, or too many pixels.
    """
    data = read_file(path, "photo", MOST_BYTES)
    with open_picture(data, path, "photo") as image:
        try:
            return orientation_in(image, data)
        except (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError):  # damaged EXIF says nothing
            return 1


def orientation_in(image, data=None):
    """As exif_orientation, of an image that Pillow has opened and the bytes of its file, where it has one.

    Parameters
    ----------
    image : PIL.Image.Image
    data : bytes, optional

    Returns
    -------
    int
    """
    if data is not None and image.format == "PNG" and b"eXIf" not in data:
        return 1    # Pillow would decode all of it to look behind the pixels
    orientation = image.getexif().get(ORIENTATION_TAG, 1)
    return orientation if orientation in range(1, 9) else 1


def upright(pixels, orientation):
    """A view of stored pixels (H, W, ..), turned and mirrored to those of the scene (TIFF 6.0, Orientation, 1 to 8).

    Parameters
    ----------
    pixels : array (H, W, ..)
        Rows and columns of the file.
    orientation : int
        1 to 8.

    Returns
    -------
    array (H, W, ..) or (W, H, ..)
    """
    turned = pixels.swapaxes(0, 1) if orientation >= 5 else pixels
    rows = slice(None, None, -1) if orientation in (3, 4, 7, 8) else slice(None)
    columns = slice(None, None, -1) if orientation in (2, 3, 6, 7) else slice(None)
    return turned[rows, columns]
