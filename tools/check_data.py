# PYTHON_ARGCOMPLETE_OK
"""Read all of a data set and say, in one go, everything that is wrong with it and what helps.

    python -m tools.check_data my-data                  # a data root: lists, labels, photos, masks
    python -m tools.check_data work/mine                # a run: its lists, cues and pseudo-labels too
    python -m tools.check_data mine --json              # the same by the experiment's name, for a script
    python -m tools.check_data my-data --skip-bad --out check       # which photos to leave out: check/left_out.txt

Every run does this first, as its stage check. Exit status 0: no fault, though perhaps warnings; 1: faults. With
--skip-bad, faults that leaving photos out mends do not count. What was found of good pictures is kept, by size, times
and inode, so that the next check of thousands takes seconds. docs/reliability.md lists what is looked for.
"""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

from dsrg.datacheck.check import check, files_of_result, places_of_data_root, places_of_run, write_checked
from dsrg.datacheck.picture_facts import PictureFacts
from dsrg.io.command_line import command_parser, print_json
from dsrg.io.errors import UserError, run_main
from dsrg.io.output_folders import refuse_inputs_as_output, refuse_other_content
from dsrg.io.overwriting import refuse_overwriting
from dsrg.pipeline.settings import experiment_names
from training.shared_flags import positive

ROOT = Path(__file__).resolve().parents[1]
CACHES = Path("~/.cache/dsrg")


def parse_args(argv):
    parser = command_parser("tools.check_data", __doc__, json=True)
    parser.add_argument("target", metavar="DATA_ROOT|RUN|EXPERIMENT", help="a data root in VOC layout, the folder of "
                        "a run, or the name of an experiment that was run in work/")
    what = parser.add_argument_group("what is read")
    what.add_argument("--masks", type=Path, metavar="DIR", help="folder of true masks (default: SegmentationClass of "
                      "the data root)")
    what.add_argument("--cues", type=Path, metavar="FILE", help="a cue file (default: that of a run)")
    what.add_argument("--numbers", type=Path, metavar="FILE", help='"<photo> <number>" lines that came with the cues '
                      "(default: image_ids.txt of the data root, a run's input_list.txt, else the train list's order)")
    what.add_argument("--cue-size", type=positive, nargs=2, metavar=("H", "W"), help="of the map that cues are for "
                      "(default: as the .json beside the cue file says)")
    how = parser.add_argument_group("what is done with it")
    how.add_argument("--skip-bad", action="store_true", help="name the photos with faults to be left out")
    how.add_argument("--out", type=Path, metavar="DIR", help="write data.json and data.txt there, and with --skip-bad "
                     "left_out.txt")
    how.add_argument("--cache", type=Path, metavar="FILE", help="where good pictures are remembered (default: a file "
                     f"in {CACHES}, or in the run's stamps/)")
    return parser.parse_args(argv)


def places_of(target):
    """What a target stands for, and where its pictures are remembered.

    Parameters
    ----------
    target : str
        A folder, or the name of an experiment that was run.

    Returns
    -------
    places : Places
    cache : Path

    Raises
    ------
    UserError
        Neither a data root nor a run.
    """
    for folder in (Path(target), *([Path("work", target)] if target in experiment_names(ROOT / "prototxts") else [])):
        if (folder / "stamps").is_dir():
            return places_of_run(folder), folder / "stamps/pictures.cache"
        if folder.is_dir():
            digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
            return places_of_data_root(folder), CACHES.expanduser() / f"pictures-{digest}.json"
    raise UserError(f"{target}: no such data root or run; give a folder with JPEGImages/ and ImageSets/, or the name "
                    f"of an experiment that was run ({', '.join(experiment_names(ROOT / 'prototxts'))})")


def main(argv=None):
    args = parse_args(argv)
    places, cache = places_of(args.target)
    given = {name: value for name in ("masks", "cues", "numbers") if (value := getattr(args, name)) is not None}
    if args.cue_size:
        given["cue_size"] = tuple(args.cue_size)
    places = replace(places, **given)
    if args.cue_size and places.cues is None:
        raise UserError(f"--cue-size is of a cue file, and {args.target} has none; give it with --cues, too")
    inputs = (places.data / "JPEGImages", places.masks, places.pseudo_labels)
    refuse_inputs_as_output(args.out, *inputs)
    refuse_inputs_as_output(args.cache, *inputs, what="--cache")
    refuse_overwriting(args, {"--out": files_of_result(args.out) if args.out else [], "--cache": [args.cache]},
                       places.files())
    if args.cache:
        refuse_other_content(args.cache, re.compile(rb'\{["}]'), "what this command remembers pictures in")
    result = check(args.target, places, PictureFacts(args.cache or cache), args.skip_bad)
    if args.out:
        write_checked(result, args.out)
    if args.json:
        print_json(result.record())
    else:
        print("\n".join(result.text()))
    return 1 if result.stops else 0


if __name__ == "__main__":
    run_main(main)
