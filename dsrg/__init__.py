"""The library: see README.md in this folder. `from dsrg import load` opens the network of a run."""

#: typing's, which type checkers know by its name; importing typing would take longer than all that a command does first
TYPE_CHECKING = False

if TYPE_CHECKING:
    from dsrg.model import Model, Segmentation, load

__all__ = ["Model", "Segmentation", "load"]


def __getattr__(name):
    """The names above, when they are first asked for: much of the library needs neither a net nor OpenCV."""
    if name in __all__:
        from dsrg import model

        return getattr(model, name)
    raise AttributeError(f"module 'dsrg' has no attribute '{name}'")
