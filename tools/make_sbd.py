# PYTHON_ARGCOMPLETE_OK
"""Masks and training list of VOC with SBD: SegmentationClassAug and trainaug.txt, for a VOC 2012 data root.

    python -m tools.make_sbd --sbd benchmark_RELEASE/dataset --data ~/VOCdevkit/VOC2012

SBD (Hariharan et al., ICCV 2011) has masks of VOC photos as MATLAB files, cls/<id>.mat. Written are index PNGs of the
photos of both, with VOC's own mask where there is one, and ImageSets/Segmentation/trainaug.txt: SBD's train and val
and VOC's train, without VOC's val. Evaluation alone needs the masks (MASKS=SegmentationClassAug bash run.sh ..); the
list decides which photos are trained on. A run that was cut off goes on.
"""

from pathlib import Path

import numpy as np

from dsrg.datasets.matlab_files import read_field
from dsrg.io.atomic_files import write_text
from dsrg.io.command_line import command_parser
from dsrg.io.counts import counted
from dsrg.io.errors import UserError, run_main
from dsrg.io.image_ids import file_of
from dsrg.io.label_png import load_label_png, save_label_png
from dsrg.io.lists import read_ids
from dsrg.io.output_folders import refuse_inputs_as_output
from dsrg.io.picture_files import MOST_BYTES
from dsrg.io.progress_bar import progress
from dsrg.io.regular_files import read_file
from dsrg.io.voc import CLASSES

SETS = Path("ImageSets", "Segmentation")
OUT = "SegmentationClassAug"


def parse_args(argv=None):
    parser = command_parser("tools.make_sbd", __doc__)
    parser.add_argument("--sbd", type=Path, required=True,
                        help="SBD's folder dataset, with cls/, train.txt and val.txt")
    parser.add_argument("--data", type=Path, required=True, help="data root: the folder VOC2012")
    return parser.parse_args(argv)


def read_sbd_mask(path):
    """The mask in one of SBD's MATLAB files.

    Parameters
    ----------
    path : Path
        cls/<id>.mat.

    Returns
    -------
    uint8 array (H, W)
        Class of each pixel, 0 to 20; SBD has no ignored pixels.

    Raises
    ------
    UserError
        A file that cannot be read, holds something else, or a class that VOC does not have.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist; give SBD's folder dataset")
    try:
        mask = read_field(read_file(path, "mask", MOST_BYTES), "GTcls", "Segmentation")
    except ValueError as error:
        raise UserError(f"{path}: not a mask of SBD ({error}); download it again") from None
    if mask.dtype.kind not in "iu" or mask.size == 0 or mask.min() < 0 or mask.max() >= len(CLASSES):
        raise UserError(f"{path}: its GTcls.Segmentation is {mask.dtype} {mask.shape}, expected classes from 0 to "
                        f"{len(CLASSES) - 1}")
    return mask.astype(np.uint8)


def main(argv=None):
    args = parse_args(argv)
    refuse_inputs_as_output(args.data / OUT, args.data / "SegmentationClass", args.data / "JPEGImages",
                            args.sbd / "cls", what=OUT)
    voc = {name: read_ids(args.data / SETS / f"{name}.txt") for name in ("train", "val")}
    sbd = [image_id for name in ("train", "val") for image_id in read_ids(args.sbd / f"{name}.txt")]
    of_voc = dict.fromkeys([*voc["train"], *voc["val"]])
    everything = dict.fromkeys([*of_voc, *sbd])
    for image_id in progress(everything, "masks"):
        target = file_of(args.data / OUT, image_id)
        if target.exists():
            continue
        if image_id in of_voc:
            mask = load_label_png(file_of(args.data / "SegmentationClass", image_id))
        else:
            mask = read_sbd_mask(file_of(args.sbd / "cls", image_id, ".mat"))
        save_label_png(target, mask)
    train = sorted({*sbd, *voc["train"]} - set(voc["val"]))
    write_text(args.data / SETS / "trainaug.txt", "".join(f"{image_id}\n" for image_id in train))
    print(f"{args.data}: {counted(len(everything), 'mask')} in {OUT}, {counted(len(train), 'photo')} in trainaug.txt")


if __name__ == "__main__":
    run_main(main)
