"""The kinds of things that can be wrong with a data set: how each is told, what helps, whether a run can do without.

A name here is part of what `python -m tools.check_data --json` promises: it stays what it is.
"""

from dataclasses import dataclass

FAULT, WARNING = "fault", "warning"


@dataclass(frozen=True)
class Kind:
    """A kind of finding.

    Attributes
    ----------
    severity : str
        FAULT: a run fails on it, or learns or measures nonsense. WARNING: worth knowing, stops nothing.
    one, many : str
        What follows the count 1, and any other.
    remedy : str
    of_photos : bool
        Whether leaving the photos out that it names mends it (--skip-bad).
    """

    severity: str
    one: str
    many: str
    remedy: str
    of_photos: bool = False


def _of_photo(one, many, remedy):
    return Kind(FAULT, one, many, remedy, of_photos=True)


def _fault(one, many, remedy):
    return Kind(FAULT, one, many, remedy)


def _warning(one, many, remedy):
    return Kind(WARNING, one, many, remedy)


_AGAIN = "copy or download it again"
_ONE_LINE = "keep one line of each"

KINDS = {
    # lists, and other files of text
    "file-unusable": _fault("file cannot be used", "files cannot be used", "mend the file as each line says"),
    "line-no-id": _fault("line of a list is not one id", "lines of lists are not one id",
                         "write one id a line: the photo's path below JPEGImages without suffix, no spaces"),
    "nothing-left": _fault("list would have no photo left without those with faults",
                           "lists would have no photo left without those with faults",
                           "mend the photos: there is nothing to learn from, or nothing to measure on"),
    "id-twice": _of_photo("photo is listed twice", "photos are listed twice", _ONE_LINE),
    "id-train-and-val": _of_photo("photo is both in the train list and in val.txt",
                                  "photos are both in the train list and in val.txt",
                                  "take it out of one of them: what was learned from is no measure"),
    "id-case": _warning("photo has the id of another but for upper and lower case or accents' coding",
                        "photos have the id of another but for upper and lower case or accents' coding",
                        "rename one, if the run is ever to lie on a disk that does not tell them apart"),
    "list-byte-order-mark": _warning("list begins with a byte order mark", "lists begin with a byte order mark",
                                     "it is passed over here; programs of others read it as part of the first id"),
    "list-crlf": _warning("list has line ends of Windows", "lists have line ends of Windows",
                          "they are passed over here; for programs of others: sed -i 's/\\r$//' LIST"),
    "list-blank-lines": _warning("list has blank lines", "lists have blank lines",
                                 "they are passed over here; programs of others may read them as an id"),
    # photos
    "photo-missing": _of_photo("listed photo is missing", "listed photos are missing",
                               "add it to JPEGImages (jpg, png, webp, tif, bmp ..), or take its id out of the list"),
    "photo-same-id": _of_photo("id has several photos", "ids have several photos",
                               "keep one: they differ in suffix alone, and a mask or a label is of one of them"),
    "photo-unreadable": _of_photo("photo may not be read", "photos may not be read",
                                  "change its permissions (chmod a+r), or put a plain file there"),
    "photo-empty": _of_photo("photo has 0 bytes", "photos have 0 bytes", _AGAIN),
    "photo-damaged": _of_photo("photo is no readable picture", "photos are no readable pictures",
                               "replace it, or convert it to .jpg or .png"),
    "photo-cut-off": _of_photo("photo is cut off before its end", "photos are cut off before their end", _AGAIN),
    "photo-too-large": _of_photo("photo has too many pixels", "photos have too many pixels",
                                 "shrink it, or set DSRG_MAX_MEGAPIXELS where such photos are meant"),
    "photo-copied": _warning("val photo is a copy of a train photo", "val photos are copies of train photos",
                             "take one of each pair out of its list: what was learned from is no measure"),
    "photo-tiny": _warning("photo has a side under 32 pixels", "photos have a side under 32 pixels",
                           "look at it: nothing can be learned of a photo that small"),
    # image-level labels
    "label-none": _of_photo("train photo has no row of labels", "train photos have no row of labels",
                            "add its row to image_labels.txt, or take it out of the train list"),
    "label-row-empty": _of_photo("train photo has a row of labels without a class",
                                 "train photos have a row of labels without a class",
                                 "name its classes there, or take it out of the train list"),
    "label-row-empty-elsewhere": _warning("row without a class is of a photo that is not learned from",
                                          "rows without a class are of photos that are not learned from",
                                          "name its classes, or take the row out"),
    "label-twice": _of_photo("photo has two rows of labels", "photos have two rows of labels", _ONE_LINE),
    "label-unknown": _of_photo("photo has a label that is no class", "photos have a label that is no class",
                               "correct the label, or add the class to classes.txt"),
    # masks
    "mask-size": _of_photo("mask has another size than its photo", "masks have another size than their photos",
                           "make it from this photo"),
    "mask-not-turned": _of_photo("mask is of the photo's pixels as stored, and EXIF turns the photo",
                                 "masks are of the photos' pixels as stored, and EXIF turns the photos",
                                 "turn it upright (python -m tools.make_dataset --masks-stored turns masks)"),
    "mask-beyond-classes": _of_photo("mask holds a number that is no class", "masks hold a number that is no class",
                                     "check classes.txt and the mask: 0 is background, 255 is ignored"),
    "mask-of-colours": _of_photo("mask is no index PNG", "masks are no index PNGs",
                                 "python -m tools.index_masks turns colours and gray levels into class indices"),
    "mask-damaged": _of_photo("mask is no readable picture", "masks are no readable pictures",
                              "make or download it again"),
    "mask-unreadable": _of_photo("mask may not be read", "masks may not be read", "change its permissions (chmod a+r)"),
    "mask-0-and-255": _of_photo("mask holds 0 and 255 alone, and 255 means ignored",
                                "masks hold 0 and 255 alone, and 255 means ignored",
                                "write the class's index where the object is; with one class, "
                                "python -m tools.index_masks --gray 0 255 does it"),
    "mask-order": _warning("class lies in masks of photos that are mostly labelled otherwise",
                           "classes lie in masks of photos that are mostly labelled otherwise",
                           "the masks seem to number the classes in another order than classes.txt: unless you know "
                           "better, nothing that is measured with them means anything"),
    "mask-some-0-and-255": _warning("labelled photo has a mask of 0 and 255 (ignored) alone",
                                    "labelled photos have a mask of 0 and 255 (ignored) alone",
                                    "look at it: nothing in it counts"),
    "mask-lacks-label": _warning("photo is labelled with a class that its mask lacks",
                                 "photos are labelled with a class that their mask lacks",
                                 "check the label: or is the object too small, or ignored?"),
    "mask-unlabelled": _warning("mask holds a class that its photo is not labelled with",
                                "masks hold a class that their photo is not labelled with",
                                "add the label: what is not named cannot be learned there"),
    "mask-missing": _warning("list has photos without a mask, beside others with one",
                             "lists have photos without a mask, beside others with one",
                             "nothing is measured on a list unless each of its photos has a mask"),
    # classes
    "class-no-photo": _warning("class is on no train photo", "classes are on no train photo",
                               "label photos with it, or take it out of classes.txt: nothing can be learned of it"),
    "class-few-photos": _warning("class is on under 20 train photos", "classes are on under 20 train photos",
                                 "add photos: what is learned of so few is mostly their backgrounds"),
    "class-never-alone": _warning("class is never the only one of a train photo",
                                  "classes are never the only one of a train photo",
                                  "add photos of it without its companion: labels alone do not tell the two apart"),
    # cues
    "cue-out-of-range": _fault("photo has cues or labels outside the net's classes or map",
                               "photos have cues or labels outside the net's classes or map",
                               "make the cues again with this experiment, or give the file that fits it"),
    "cue-no-photo": _warning("entry of the cue file is of no photo of the train list",
                             "entries of the cue file are of no photo of the train list",
                             "check INPUT_LIST: their numbers are those of no photo here"),
    "photo-no-cue": _of_photo("train photo has no cue", "train photos have no cue",
                              "make the cues again with a lower threshold, or take it out of the train list"),
    "cue-other-labels": _warning("photo has other labels in the cue file than in its row of labels",
                                 "photos have other labels in the cue file than in their row of labels",
                                 "make the cues again, or check INPUT_LIST: are the numbers those of these photos?"),
    "class-no-cue": _warning("class has no cue in any photo", "classes have no cue in any photo",
                             "lower --threshold, or train the classifier longer: nothing grows where no seed is"),
    # pseudo-labels of a run
    "pseudo-label-missing": _fault("pseudo-label is missing", "pseudo-labels are missing", "run the stage label again"),
    "pseudo-label-bad": _fault("pseudo-label does not fit its photo", "pseudo-labels do not fit their photos",
                               "remove it, and run the stage label again"),
    "pseudo-label-unlabelled": _warning("pseudo-label holds a class that its photo is not labelled with",
                                        "pseudo-labels hold a class that their photo is not labelled with",
                                        "run the stage label again: labels have changed since"),
}
