# PYTHON_ARGCOMPLETE_OK
"""Make a small data set in the layout of VOC 2012, 20 classes, to try the full-size networks on.

    python -m tools.make_voc_sample --out work/voc-sample --photos 40 --weights work/random.caffemodel

Each photo shows one to three objects: shapes of a colour and outline that belong to the class, on a striped ground.
It has everything VOC has (photos, annotations, lists, palette masks with pale borders of train and val) and what SBD
adds (SegmentationClassAug: gray index PNGs of all photos, without borders where VOC has no mask), but nothing to learn
for the real world: it is for tests and benchmarks of the code.
"""

from pathlib import Path

import numpy as np

from dsrg.datasets.voc_sample import draw_sample, write_sample
from dsrg.io.atomic_files import atomic_write, write_text
from dsrg.io.command_line import command_parser
from dsrg.io.errors import UserError, run_main
from dsrg.io.overwriting import refuse_overwriting
from dsrg.io.progress_bar import progress
from training.shared_flags import not_negative, positive

DEPLOY = Path(__file__).resolve().parents[1] / "prototxts" / "voc12-vgg16" / "deploy.prototxt"


def parse_args(argv):
    parser = command_parser("tools.make_voc_sample", __doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to make; it must not exist or be empty")
    parser.add_argument("--photos", type=positive, default=40, metavar="N",
                        help="number of photos: half train, three quarters trainaug, a quarter val "
                        "(default: %(default)s)")
    parser.add_argument("--weights", type=Path, metavar="FILE",
                        help="also write random weights of voc12-vgg16's net there, to start trainings from")
    parser.add_argument("--size", type=positive, nargs=2, default=(375, 500), metavar=("H", "W"),
                        help="height and width of the photos; every third is upright (default: 375 500)")
    parser.add_argument("--seed", type=not_negative, default=0, help="of everything drawn (default: %(default)s)")
    args = parser.parse_args(argv)
    if args.photos < 4 or min(args.size) < 32:
        parser.error("--photos must be at least 4 and --size at least 32 32")
    return args


def main(argv=None):
    args = parse_args(argv)
    refuse_overwriting(args, {"--weights": [args.weights]}, [DEPLOY])
    if args.out.exists() and (not args.out.is_dir() or any(args.out.iterdir())):
        raise UserError(f"{args.out} is not empty; choose another --out")
    ids = [f"2012_{n:06d}" for n in range(args.photos)]
    train_and_aug = ids[:3 * args.photos // 4]
    lists = {"train": ids[:args.photos // 2], "trainaug": train_and_aug, "val": ids[len(train_and_aug):]}
    of_voc = {*lists["train"], *lists["val"]}
    for n, image_id in enumerate(progress(ids, "photos")):
        size = tuple(args.size)[::-1] if n % 3 == 2 else tuple(args.size)
        sample = draw_sample(n, *size, np.random.default_rng([args.seed, n]))
        write_sample(args.out, image_id, *sample, of_voc=image_id in of_voc)
    for name, members in lists.items():
        path = args.out / "ImageSets" / "Segmentation" / f"{name}.txt"
        write_text(path, "".join(f"{image_id}\n" for image_id in members))
    if args.weights:
        write_weights(args.weights, args.seed)
    print(f"{args.out}: {args.photos} photos, {len(lists['trainaug'])} in trainaug, {len(lists['val'])} in val")


def write_weights(path, seed):
    """Write a caffemodel with the layers of vgg16_20M_mc, each convolution drawn to keep the size of the signal.

    Parameters
    ----------
    path : Path
    seed : int
        Weights are normal with variance 2 / (inputs of a unit), biases are 0; fc8 is left out, as ImageNet has no
        classifier of these classes.

    Raises
    ------
    UserError
        A file that cannot be written.
    """
    from training.findcaffe import caffe

    net = caffe.Net(str(DEPLOY), caffe.TEST)
    rng = np.random.default_rng(seed)
    for weights, *_ in net.params.values():
        shape = tuple(weights.shape)
        weights.data[...] = rng.standard_normal(shape, np.float32) * np.sqrt(2 / np.prod(shape[1:]))
    with atomic_write(path) as temporary:
        net.save(str(temporary))
        message = caffe.proto.caffe_pb2.NetParameter.FromString(temporary.read_bytes())
        for layer in [layer for layer in message.layer if layer.name.startswith("fc8") or not layer.blobs]:
            message.layer.remove(layer)
        temporary.write_bytes(message.SerializeToString())


if __name__ == "__main__":
    run_main(main)
