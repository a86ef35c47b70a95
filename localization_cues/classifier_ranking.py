"""Scores of photos by the classifier of the cues, and the table of how well they rank its classes."""

import numpy as np

from dsrg.io.counts import counted
from dsrg.io.errors import UserError
from dsrg.scoring.resizing import to_input
from localization_cues.class_scores import score_layer


def class_scores(net, image_bgr, mean_bgr, count):
    """Score of each class of one photo, float64 (count,): maps are averaged, as the classifier's pooling does.

    Parameters
    ----------
    net : caffe.Net
    image_bgr : uint8 array (H, W, 3)
    mean_bgr : three floats
    count : int
        Classes without background.

    Returns
    -------
    float64 array (count,)
        Before a sigmoid or softmax.

    Raises
    ------
    UserError
        Scores that the net itself overwrites, of another number of classes, or that are not finite.
    """
    data = net.blobs[net.inputs[0]]
    data.reshape(1, *data.shape[1:])
    data.data[0] = to_input(image_bgr, *data.shape[2:], mean_bgr)
    net.forward()
    scores = score_layer(net)
    if scores.overwritten_by:
        raise UserError(f"layer '{scores.overwritten_by}' writes its values over the scores of layer '{scores.name}' "
                        "(its top is its bottom); give it a top of another name")
    blob = scores.blob
    values = np.array(net.blobs[blob].data[0], np.float64)
    if len(values) != count:
        raise UserError(f"blob '{blob}' scores {len(values)} classes, but the data has {count} besides background; the "
                        "net belongs to other data")
    values = values.reshape(count, -1).mean(axis=1)
    if not np.isfinite(values).all():
        raise UserError("the classifier's scores are not finite: its training diverged; lower its base_lr")
    return values


def table(rankings, mean, chance, images, path):
    """Lines for people, in percent.

    Parameters
    ----------
    rankings : list of Ranking
    mean, chance : float or None
    images : int
    path : path
        Of the list of photos.

    Returns
    -------
    str
    """
    if mean is None:
        why = "it is empty" if not images else "its photos show every class or none"
        return f"classifier quality: not measured, {path} has no class to rank: {why}\n"
    width = max(len(one.name) for one in rankings)
    lines = [f"{'class':{width}}  photos  average precision  chance"]
    for one in rankings:
        value = "-" if one.average_precision is None else f"{100 * one.average_precision:.1f}"
        lines.append(f"{one.name:{width}}  {one.photos:6d}  {value:>17}  {100 * one.chance:6.1f}")
    lines.append(f"mean average precision {100 * mean:.1f} % (chance {100 * chance:.1f} %) on "
                 f"{counted(images, 'photo')} set apart")
    return "\n".join(lines) + "\n"
