# PYTHON_ARGCOMPLETE_OK
"""Sets how many photos an iteration takes in every training net of a run's folder.

    python -m tools.set_batch 2 work/voc12-vgg16

For trying an experiment out on a small machine (BATCH=2 bash run.sh ...): rates and iterations stay those of the
original batch, so results are others.
"""

from pathlib import Path

from dsrg.io.atomic_files import write_text
from dsrg.io.command_line import command_parser
from dsrg.io.errors import run_main
from dsrg.io.prototxt_text import read_folder
from dsrg.pipeline.prototxt_edits import with_batch
from training.shared_flags import positive


def parse_args(argv=None):
    parser = command_parser("tools.set_batch", __doc__)
    parser.add_argument("batch", type=positive, help="photos an iteration")
    parser.add_argument("folder", type=Path, help="folder of the run whose prototxts change")
    args = parser.parse_args(argv)
    return args


def main(argv=None):
    args = parse_args(argv)
    texts = read_folder(args.folder)
    changed = with_batch(texts, args.batch, args.folder)
    for name, text in changed.items():
        write_text(args.folder / name, text)
    print(f"== batch of {args.batch}: {', '.join(changed)}")


if __name__ == "__main__":
    run_main(main)
