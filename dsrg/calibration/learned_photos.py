"""Which photos a run's weights have learned from, as the net says that was trained."""

import re
from pathlib import Path, PurePosixPath

from dsrg.io.errors import UserError
from dsrg.io.image_ids import id_of
from dsrg.io.text_files import read_text
from dsrg.pipeline.prototxts import listed_files, net_files

PHOTOS = "data/JPEGImages"


def learned_photos(run, weights):
    """Photos in the lists of the net that a training kept beside its weights.

    Those that the weights were learned from which it began with do not count.

    Parameters
    ----------
    run : path
        Folder of the run.
    weights : path
        `<prefix>_iter_<n>.caffemodel`; the net is `<prefix>_net.prototxt`.

    Returns
    -------
    set of str, or None
        Ids; None where the net or a list of it is not there any more.
    """
    run, weights = Path(run), Path(weights)
    match = re.fullmatch(r"(.+)_iter_\d+\.caffemodel(\.h5)?", weights.name)
    net = weights.with_name(f"{match[1]}_net.prototxt") if match else None
    if net is None or not net.is_file():
        return None
    found = set()
    try:
        text = read_text(net, "net")
        for source, root in net_files(text, net, lambda name: (run / name).is_file()).lists:
            photos, _ = listed_files(read_text(run / source, "list"), root)
            found.update(_id(name) for name in photos)
    except (OSError, UserError):
        return None
    return found


def _id(name):
    path = PurePosixPath(name)
    return id_of(str(path.relative_to(PHOTOS) if path.is_relative_to(PHOTOS) else path))
