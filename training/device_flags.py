"""The flags --device, --precision and --allow-module, which every command that runs a net has."""

from dsrg import layer_modules
from dsrg.caffe_device import PRECISIONS


def add_flags(parser, precision="fp32", precision_says="%(default)s"):
    """Add --device, --precision and --allow-module to an argparse parser or group.

    Parameters
    ----------
    parser : argparse.ArgumentParser or a group of one
    precision : str or None
        Default of --precision.
    precision_says : str
        That default as the help calls it.
    """
    parser.add_argument("--device", default="cpu",
                        help="cpu, the number of a GPU, or several with commas (training uses all of them; other "
                             "commands one for each process that torchrun starts) (default: %(default)s)")
    parser.add_argument("--precision", choices=PRECISIONS, default=precision,
                        help="arithmetic of the embedded engine; auto: bf16 where the device multiplies it natively, "
                             f"else fp32 (default: {precision_says})")
    layer_modules.add_flag(parser)
