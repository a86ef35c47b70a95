"""The flags --device and --precision, which every command that runs a net has."""

from dsrg.caffe_device import PRECISIONS


def add_flags(parser):
    """Add --device and --precision to an argparse parser or group."""
    parser.add_argument("--device", default="cpu",
                        help="cpu, the number of a GPU, or several with commas (training uses all of them, other "
                             "commands the first) (default: %(default)s)")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32",
                        help="arithmetic of the embedded engine; auto: bf16 where the device multiplies it natively, "
                             "else fp32 (default: %(default)s)")
