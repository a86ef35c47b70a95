# PYTHON_ARGCOMPLETE_OK
"""Turn a cue file into one of the other kind.

    python -m localization_cues.convert_cues localization_cues-sal.pickle cues.npz  # many photos, little RAM
    python -m localization_cues.convert_cues cues.npz localization_cues.pickle      # for the original's layers

A pickle is read whole for it, once: about 12 KiB an image with a quarter of 41x41 cells marked.
"""

from pathlib import Path

from dsrg.cuefile.format import load_cues, save_cues
from dsrg.io.command_line import command_parser
from dsrg.io.counts import counted
from dsrg.io.errors import note, run_main
from dsrg.io.overwriting import refuse_overwriting


def parse_args(argv=None):
    parser = command_parser("localization_cues.convert_cues", __doc__)
    parser.add_argument("source", type=Path, help="cue file to read")
    parser.add_argument("target", type=Path, help="cue file to write, .pickle, .pkl or .npz")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    refuse_overwriting(args, {"target": [args.target]})
    cues = load_cues(args.source)
    save_cues(args.target, cues, overlaps=True)
    if double := cues.overlaps():
        note(f"note: {counted(len(double), 'image has', 'images have')} a cell with two cues, the first is "
             f"{double[0]}; the cues are kept, and both classes are seeds there")
    print(f"{args.target}: {counted(len(cues), 'image')}, {args.target.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    run_main(main)
