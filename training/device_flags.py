"""The flags --device, --precision and --allow-module, which every command that runs a net has."""

from dsrg import layer_modules
from dsrg.caffe_device import PRECISIONS


def add_flags(parser):
    """Add --device, --precision and --allow-module to an argparse parser or group.

    Parameters
    ----------
    parser : argparse.ArgumentParser or a group of one
    """
    parser.add_argument("--device", default="cpu",
                        help="cpu, the number of a GPU, or several with commas (training uses all of them; other "
                             "commands one for each process that torchrun starts) (default: %(default)s)")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32",
                        help="arithmetic of the embedded engine; auto: bf16 where the device multiplies it natively, "
                             "else fp32 (default: %(default)s)")
    layer_modules.add_flag(parser)
