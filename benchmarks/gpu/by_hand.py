"""The engine against the same VGG16-ASPP network and update written by hand in PyTorch, on a device, by precision.

    python -m benchmarks.gpu.by_hand --device 0 --json by-hand.json

`benchmarks.train_step` says what the two are; here they have all channels, 321x321 photos and the batch of stage f.
"""

import argparse
import json
from pathlib import Path

from benchmarks import train_step
from dsrg.io.atomic_files import write_text
from dsrg.io.errors import run_main


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.by_hand", description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=10, help="photos a step (%(default)s)")
    parser.add_argument("--steps", type=int, default=15, help="pairs of steps that count (%(default)s)")
    parser.add_argument("--device", default="0", help="cpu, or the number of a CUDA device (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a narrow net on small photos: a rehearsal")
    parser.add_argument("--json", type=Path, help="file for the figures")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    words = ["--width", "16", "--size", "65", "--batch", "1", "--steps", "2"] if args.quick else \
        ["--width", "1", "--size", "321", "--batch", str(args.batch), "--steps", str(args.steps)]
    found = {}
    for precision in ("fp32",) if args.quick else ("fp32", "tf32", "bf16"):
        found |= {f"{precision}, {title}": text for title, text in
                  train_step.compare([*words, "--device", args.device, "--precision", precision]).items()}
        if args.json:
            write_text(args.json, json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    run_main(main)
