# PYTHON_ARGCOMPLETE_OK
"""Saliency maps of a folder of photos, without any training (robust background detection).

    python -m localization_cues.saliency --images DIR --out DIR      # 8-bit PNGs, all cores
"""

from pathlib import Path

from dsrg.io.command_line import command_parser, sharing_ranks
from dsrg.io.errors import run_main
from dsrg.io.image_ids import file_of
from dsrg.io.output_folders import refuse_inputs_as_output
from dsrg.io.overwriting import refuse_written_over
from dsrg.io.photo_folder import photos_of
from dsrg.io.progress_bar import progress
from dsrg.io.workers import in_order
from dsrg.saliency.background_detection import write_saliency
from training.shared_flags import add_workers


def main(argv=None):
    parser = command_parser("localization_cues.saliency", __doc__)
    parser.add_argument("--images", type=Path, required=True, help="folder of photos, searched with its folders")
    parser.add_argument("--out", type=Path, required=True, help="folder for the maps, <id>.png, 255 = salient")
    add_workers(parser)
    args = parser.parse_args(argv)
    refuse_inputs_as_output(args.out, args.images)
    photos = photos_of(args.images)
    maps = {"--out": [file_of(args.out, image_id) for image_id in photos]}
    refuse_written_over(maps, photos.values(), hard_links=False)
    ranks = sharing_ranks()
    jobs = [(path, file_of(args.out, image_id)) for image_id, path in ranks.share(photos).items()]
    done = in_order(write_saliency, jobs, ranks.part_of(args.workers))
    for _ in progress(done, "saliency", len(jobs)):
        pass
    ranks.wait()


if __name__ == "__main__":
    run_main(main)
