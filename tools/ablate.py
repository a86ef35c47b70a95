# PYTHON_ARGCOMPLETE_OK
"""Applies an ablation, prototxts/ablations/NAME.yaml, to the prototxts of a run's folder.

    python -m tools.ablate prototxts/ablations/static.yaml work/demo-static

How such a file is written stands in dsrg/pipeline/prototxt_edits.py. `run.sh --ablation NAME` does the same for a run
of its own.
"""

from pathlib import Path

from dsrg.io.atomic_files import write_text
from dsrg.io.command_line import command_parser
from dsrg.io.errors import UserError, run_main
from dsrg.io.overwriting import refuse_overwriting
from dsrg.io.prototxt_text import read_folder
from dsrg.pipeline.prototxt_edits import ablated


def parse_args(argv=None):
    parser = command_parser("tools.ablate", __doc__)
    parser.add_argument("ablation", type=Path, help="the ablation's file, prototxts/ablations/NAME.yaml")
    parser.add_argument("folder", type=Path, help="folder of the run whose prototxts change")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    texts = read_folder(args.folder)
    ablation, changed = ablated(args.ablation, texts, args.folder)
    if ablation.arguments:
        raise UserError(f"{args.ablation} changes arguments of {', '.join(ablation.arguments)}, which stand in no "
                        f"prototxt; run it: python -m tools.run NAME --ablation {args.ablation.stem}")
    refuse_overwriting(args, {"folder": [args.folder / name for name in (*changed, "ablation.txt")]})
    for name, text in changed.items():
        write_text(args.folder / name, text)
    write_text(args.folder / "ablation.txt", f"{args.ablation.stem}: {ablation.says}\n")
    print(f"== ablation {args.ablation.stem}: {ablation.says}")


if __name__ == "__main__":
    run_main(main)
