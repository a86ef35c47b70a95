"""Which program computes the dense CRF: chosen by a command, for itself and for the layers that Caffe makes."""

import os

from dsrg.io.errors import UserError

OWN = "own"
CRF_BACKENDS = (OWN, "pydensecrf")
VARIABLE = "CRF_BACKEND"


def add_flag(parser, what="the dense CRF"):
    """Add --crf-backend to an argparse parser; the variable CRF_BACKEND is its default.

    Parameters
    ----------
    parser : argparse.ArgumentParser or a group of one
    what : str
        What is computed, as the help calls it.
    """
    parser.add_argument("--crf-backend", choices=CRF_BACKENDS, default=os.environ.get(VARIABLE) or OWN,
                        help=f"what computes {what} (default: the variable {VARIABLE}, or {OWN})")


def use_crf_backend(name=OWN):
    """Let the dense CRF of this process be computed by `name`.

    Called by commands alone; library functions take a `backend` argument. Python layers, which Caffe makes, compute
    with what was chosen here.

    Parameters
    ----------
    name : {"own", "pydensecrf"}

    Returns
    -------
    str
        The name chosen.

    Raises
    ------
    UserError
        If the name is none of these, or the package that it needs is missing. "own" is not looked for: a net without a
        CRF does without the package.
    """
    if name not in CRF_BACKENDS:
        raise UserError(f"--crf-backend, or the variable {VARIABLE}: expected {' or '.join(CRF_BACKENDS)}, got "
                        f"'{name[:80]}'")
    try:
        import krahenbuhl2013

        krahenbuhl2013.set_backend(name)
    except ImportError as error:
        if name != OWN:
            raise UserError(f"--crf-backend {name}: {error}") from None
    return name
