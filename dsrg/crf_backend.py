"""Which program computes the dense CRF: chosen by a command, for itself and for the layers that Caffe makes."""

from dsrg.io.errors import UserError

OWN = "own"
CRF_BACKENDS = (OWN, "pydensecrf")


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
        raise UserError(f"--crf-backend, or the variable CRF_BACKEND: expected {' or '.join(CRF_BACKENDS)}, got "
                        f"'{name[:80]}'")
    try:
        import krahenbuhl2013

        krahenbuhl2013.set_backend(name)
    except ImportError as error:
        if name != OWN:
            raise UserError(f"--crf-backend {name}: {error}") from None
    return name
