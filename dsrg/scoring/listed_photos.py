"""The photos of a list, segmented by a net and weights that are named one by one: what the stages of a run do."""

from pathlib import Path

from dsrg.calibration.record import Temperature, given
from dsrg.io.errors import note, warn
from dsrg.io.image_ids import file_of
from dsrg.io.lists import read_ids
from dsrg.io.output_folders import refuse_inputs_as_output
from dsrg.io.overwriting import refuse_written_over
from dsrg.io.photos import find_images
from dsrg.io.process_share import ALONE
from dsrg.io.workers import available_cpus
from dsrg.scoring.collapse import collapse_warning, count_classes
from dsrg.scoring.label_map_folder import SETTINGS, LabelMapFolder, digest
from dsrg.scoring.score_net import ScoreNet, open_net
from dsrg.scoring.scores_file import scores_path
from dsrg.scoring.segment_photos import labels_of_all, require_crf, segment_photos
from dsrg.scoring.settings_in_force import machine_settings

UNKNOWN = Temperature(says="of weights that are named one by one no temperature is known; give a run, or --temperature")


def segment_listed(caffe, net_file, weights, list_file, images, out, recipe, *, labels_file=None, scores_folder=None,
                   ignore_below=0.0, overwrite=False, crf_backend=None, device="cpu", precision="fp32", workers=None,
                   allow_random=(), ranks=ALONE, temperature=None):
    """Write `<out>/<id>.png` for every id of a list, and settings.json; maps that are there are kept.

    Parameters
    ----------
    caffe : module
    net_file, weights : Path
        Deploy prototxt and caffemodel.
    list_file : Path
        Image ids, one a line; the photos are `<images>/<id>.jpg` or the like.
    recipe : Recipe
    labels_file : Path, optional
        image_labels.txt: an image may hold background and its labels alone.
    ignore_below : float, optional
        Pixels of which the net is less sure are 255; as of label_map.
    scores_folder, overwrite, crf_backend, workers : as of segment_photos and LabelMapFolder
    device, precision, allow_random : as of open_net
    ranks : Ranks, optional
        The processes that share the list.
    temperature : float, optional
        Of the probabilities beside the scores; of weights that are named one by one none is known.
    """
    refuse_inputs_as_output(out, images)
    refuse_inputs_as_output(scores_folder, images, what="--scores")
    ids = read_ids(list_file)
    written = {"--out": [file_of(out, image_id) for image_id in ids] + [Path(out, SETTINGS)],
               "--scores": [scores_path(scores_folder, image_id) for image_id in ids] if scores_folder else []}
    refuse_written_over(written, [path for path in (net_file, weights, list_file, labels_file) if path])
    labels = labels_of_all(labels_file, ids) if labels_file else None
    if recipe.crf:
        require_crf()
    machine = machine_settings(caffe, device, precision, crf_backend if recipe.crf else None)
    settings = {"net": digest(net_file), "weights": digest(weights),
                "labels": digest(labels_file) if labels_file else None,
                "images": str(images), **recipe.settings(), **machine,
                **({"ignore_below": ignore_below} if ignore_below else {})}
    temperature = given(temperature) if temperature else UNKNOWN
    if scores_folder:
        settings["temperature"] = temperature.value
    folder = LabelMapFolder(out, settings, {"net": str(net_file), "weights": str(weights)},
                            lambda image_id: [scores_path(scores_folder, image_id)] if scores_folder else [])
    todo = folder.pending(ids, overwrite)
    ranks.wait()                        # all have looked before the first changes anything
    if todo:
        photos = find_images(images, ranks.share(todo))
        refuse_written_over(written, photos.values(), hard_links=False)
        net = ScoreNet(open_net(caffe, net_file, weights, device, machine["precision"], allow_random=allow_random),
                       recipe.output_blob)
        if ranks.is_first:
            folder.start_or_resume(ids, overwrite)      # not before the net is known to run: it removes outdated maps
        ranks.wait()
        segment_photos(net, photos, folder, recipe, workers or available_cpus(), labels, scores_folder, crf_backend,
                       temperature=temperature, ignore_below=ignore_below)
        ranks.wait()
    else:
        note(f"{out}: all {len(ids)} label maps are there")
    if not ranks.is_first:
        return
    if scores_folder:
        note(f"{scores_folder}: {temperature.line()}")
    counts = count_classes(map(folder.path, ids))
    folder.note_pixels(counts, len(ids))
    if warning := collapse_warning(counts, len(ids), out):
        warn(warning)
