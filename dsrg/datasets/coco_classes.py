"""Facts of COCO, each stated once, and how a file's categories become classes."""

from dsrg.io import voc
from dsrg.io.errors import UserError

# Category ids of COCO's instances (2014 and 2017). The paper of the data set planned 91; the eleven ids 12, 26, 29, 30,
# 45, 66, 68, 69, 71, 83 and 91 are in no annotation file. Class c of the nets is the c-th of these, background 0.
CATEGORIES = {
    1: "person", 2: "bicycle", 3: "car", 4: "motorcycle", 5: "airplane", 6: "bus", 7: "train", 8: "truck", 9: "boat",
    10: "traffic light", 11: "fire hydrant", 13: "stop sign", 14: "parking meter", 15: "bench", 16: "bird", 17: "cat",
    18: "dog", 19: "horse", 20: "sheep", 21: "cow", 22: "elephant", 23: "bear", 24: "zebra", 25: "giraffe",
    27: "backpack", 28: "umbrella", 31: "handbag", 32: "tie", 33: "suitcase", 34: "frisbee", 35: "skis",
    36: "snowboard", 37: "sports ball", 38: "kite", 39: "baseball bat", 40: "baseball glove", 41: "skateboard",
    42: "surfboard", 43: "tennis racket", 44: "bottle", 46: "wine glass", 47: "cup", 48: "fork", 49: "knife",
    50: "spoon", 51: "bowl", 52: "banana", 53: "apple", 54: "sandwich", 55: "orange", 56: "broccoli", 57: "carrot",
    58: "hot dog", 59: "pizza", 60: "donut", 61: "cake", 62: "chair", 63: "couch", 64: "potted plant", 65: "bed",
    67: "dining table", 70: "toilet", 72: "tv", 73: "laptop", 74: "mouse", 75: "remote", 76: "keyboard",
    77: "cell phone", 78: "microwave", 79: "oven", 80: "toaster", 81: "sink", 82: "refrigerator", 84: "book",
    85: "clock", 86: "vase", 87: "scissors", 88: "teddy bear", 89: "hair drier", 90: "toothbrush",
}


def class_map(categories):
    """Class of each category id.

    Parameters
    ----------
    categories : dict of int to str
        Ids and names of an annotation file.

    Returns
    -------
    classes : dict of int to int
        Category id -> class from 1 up. COCO's own categories, all or some of them, get COCO's 80 classes, so that
        excerpts fit the same net; others are numbered in the order of their ids.
    names : list of str
        Of the classes, background first.

    Raises
    ------
    UserError
        No category, two of one name, or more than a label map can hold.
    """
    if not categories:
        raise UserError("the annotations name no categories; give an instances file of COCO's format")
    if categories.items() <= CATEGORIES.items():
        categories = CATEGORIES
    names = ["background", *(categories[i] for i in sorted(categories))]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"the annotations have two categories '{twice[0]}' (or one named background); rename one")
    if len(names) > voc.IGNORE_LABEL:
        raise UserError(f"the annotations have {len(names) - 1} categories; a label map holds {voc.IGNORE_LABEL - 1}")
    return {i: c for c, i in enumerate(sorted(categories), 1)}, names
