"""What is asked of a known classifier, and its answers: a layer's arrays, normalisation and geometry as trained."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Norm:
    """Normalisation with stored statistics: gamma (x - mean) / sqrt(variance + eps) + beta, each (O,)."""

    mean: np.ndarray
    variance: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray
    eps: float


@dataclass(frozen=True)
class Trained:
    """A convolution as it was trained: name in the file, weight (O, I, k, k), bias (O,) or None, its normalisation."""

    name: str
    weight: np.ndarray
    bias: np.ndarray | None = None
    norm: Norm | None = None


@dataclass(frozen=True)
class Spec:
    """How a layer was trained: stride, pad, and how many pixels of the photo its taps are apart."""

    stride: int = 1
    pad: int = 0
    step: int = 1


class Architecture:
    """What the classes of the known classifiers answer for the arrays of a weights file.

    Attributes
    ----------
    kind : str
        Its word for `recognise`.
    first : str
        Key of the convolution that sees the photo.
    reducible : tuple of str
        Keys of the layers of which a net may hold a part of the filters.
    store : Store
    """

    kind, first, reducible = "", "", ()

    @staticmethod
    def recognises(store):
        """Whether the names in a file are of this architecture.

        Parameters
        ----------
        store : Store

        Returns
        -------
        bool
        """
        raise NotImplementedError

    def key(self, target):
        """Key of the trained layer that a layer of the net comes from.

        Parameters
        ----------
        target : str
            Name of the net's layer.

        Returns
        -------
        str or None
            None for a layer that the classifier does not have.
        """
        raise NotImplementedError

    def source_name(self, key):
        """Name of a layer in the file.

        Parameters
        ----------
        key : str

        Returns
        -------
        str
        """
        raise NotImplementedError

    def trained(self, key):
        """A layer as it was trained.

        Parameters
        ----------
        key : str

        Returns
        -------
        Trained

        Raises
        ------
        UserError
            The file lacks it, or holds it in a shape that it cannot have.
        """
        raise NotImplementedError

    def spec(self, key):
        """How a layer was trained.

        Parameters
        ----------
        key : str

        Returns
        -------
        Spec
        """
        raise NotImplementedError
