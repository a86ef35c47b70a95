# PYTHON_ARGCOMPLETE_OK
"""Commands of DRFI saliency: train on photos and masks, apply to photos, evaluate maps.

    python -m localization_cues.drfi train --images DIR --masks DIR --out model.npz
    python -m localization_cues.drfi apply --model model.npz --images DIR --out MAPS
    python -m localization_cues.drfi evaluate --maps MAPS --images DIR --masks DIR --montage sheet.png
"""

import argparse
import json
from pathlib import Path

from dsrg.io.atomic_files import write_text
from dsrg.io.command_line import add_json_flag, command_parser, print_result, sharing_ranks
from dsrg.io.counts import counted
from dsrg.io.errors import UserError, run_main
from dsrg.io.image_ids import file_of
from dsrg.io.output_folders import refuse_inputs_as_output
from dsrg.io.overwriting import refuse_overwriting, refuse_written_over
from dsrg.io.photo_folder import photos_of
from dsrg.io.versions import git_commit
from dsrg.saliency.drfi.apply_to_folder import apply
from dsrg.saliency.drfi.forest_training import train
from dsrg.saliency.drfi.map_quality import draw_montage, results, table
from dsrg.saliency.drfi.model import save_model
from localization_cues.drfi_training_flags import add_training, training_options
from training.shared_flags import add_workers, positive


def parse_args(argv):
    parser = command_parser("localization_cues.drfi", __doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--images", type=Path, required=True, help="folder of photos, searched with its folders")
    common.add_argument("--list", type=Path, help="ids of the photos to take, one a line (default: all)")

    parts = commands.add_parser("train", parents=[common], help="train a forest on photos and masks")
    parts.add_argument("--masks", type=Path, required=True, help="folder of <id>.png, 255 on the object, 0 beside it")
    parts.add_argument("--out", type=Path, required=True, help="model file to write, .npz")
    add_training(parts)
    add_workers(parts)
    parts.set_defaults(act=_train)

    parts = commands.add_parser("apply", parents=[common], help="write the map of each photo")
    parts.add_argument("--model", type=Path, required=True, help="model of `train`, or the authors' drfiModelCpp.data")
    parts.add_argument("--out", type=Path, required=True, help="folder for the maps, <id>.png, 255 = salient")
    parts.add_argument("--enhance", action="store_true",
                       help="sharpen each level before the mean, as the authors' MATLAB program does")
    add_workers(parts)
    parts.set_defaults(act=_apply)

    parts = commands.add_parser("evaluate", parents=[common], help="score maps against masks")
    parts.add_argument("--masks", type=Path, required=True, help="folder of <id>.png, 255 on the object, 0 beside it")
    parts.add_argument("--maps", type=_named, nargs="+", required=True, metavar="[NAME=]DIR",
                       help="folders of maps, <id>.png, of any method")
    parts.add_argument("--out", type=Path, help="write the scores as JSON")
    parts.add_argument("--montage", type=Path, help="draw photos, masks and maps to this picture")
    parts.add_argument("--rows", type=positive, default=8, help="photos on the montage (default %(default)s)")
    add_json_flag(parts)
    parts.set_defaults(act=_evaluate)
    args = parser.parse_args(argv)
    if args.command == "evaluate" and not args.montage:
        parts.refuse_unused(args, "without --montage", "--rows")
    if args.command == "train" and args.out.suffix != ".npz":
        parser.error("--out ends in .npz")
    return args


def _named(text):
    name, equals, folder = text.rpartition("=")
    return (name, Path(folder)) if equals else (Path(text).name, Path(text))


def main(argv=None):
    args = parse_args(argv)
    inputs = [args.images, getattr(args, "masks", None), *(folder for _, folder in getattr(args, "maps", ()))]
    refuse_inputs_as_output(args.out, *inputs)
    refuse_inputs_as_output(getattr(args, "montage", None), *inputs, what="--montage")
    if args.command != "apply":
        refuse_overwriting(args, {"--out": [args.out], "--montage": [getattr(args, "montage", None)]})
    photos = photos_of(args.images, args.list)
    args.act(args, photos)


def _train(args, photos):
    model = train(photos, args.masks, training_options(args), args.workers)
    save_model(args.out, model)
    print(f"{args.out}: {counted(args.trees, 'tree')}, {len(model.forest.feature)} nodes, "
          f"{args.out.stat().st_size / 2**20:.1f} MiB")


def _apply(args, photos):
    maps = {"--out": [file_of(args.out, image_id) for image_id in photos]}
    refuse_overwriting(args, maps)
    refuse_written_over(maps, photos.values(), hard_links=False)
    ranks = sharing_ranks()
    apply(photos, args.model, args.out, args.enhance, ranks.part_of(args.workers), ranks)


def _evaluate(args, photos):
    folders = dict(args.maps)
    if len(folders) < len(args.maps):
        raise UserError("two of --maps have the same name; give them as NAME=DIR")
    scores = results(photos, args.masks, folders)
    record = {"scores": scores, "commit": git_commit()}
    print_result(record, table(scores), args.json)
    if args.out:
        write_text(args.out, json.dumps(record, indent=1) + "\n")
    if args.montage:
        draw_montage(args.montage, photos, args.masks, folders, args.rows)


if __name__ == "__main__":
    run_main(main)
