"""How photos become label maps: everything but net, weights and machine, as one value that is stored with the maps."""

from dataclasses import dataclass, fields, replace

from dsrg.io import voc
from dsrg.scoring.multiscale import CRF_SCALE, MAX_SIDE

SIZES = (241, 321, 401)  # squares of the original's test-ms.py


@dataclass(frozen=True)
class Recipe:
    """Settings of a segmentation.

    Attributes
    ----------
    sizes : tuple of int, optional
        Sides of square inputs.
    scales : tuple of float, optional
        Where `sizes` is None: factors of the photo's own size.
    flip : bool
        Mean with the scores of the mirrored photo.
    crf : bool
        Refine with the dense CRF.
    crf_scale : float
        Divides the CRF's spatial widths.
    mean : tuple of 3 floats
        Mean pixel, B, G, R.
    output_blob : str, optional
        Blob of the scores; None for the net's only output.
    max_side : int
        Photos with a longer side are scored and refined shrunk to it; 0 for no bound.
    """

    sizes: tuple | None = SIZES
    scales: tuple | None = None
    flip: bool = False
    crf: bool = True
    crf_scale: float = CRF_SCALE
    mean: tuple = voc.MEAN_BGR
    output_blob: str | None = None
    max_side: int = MAX_SIDE

    @classmethod
    def from_settings(cls, settings):
        """The recipe of a settings.json (its "settings"); KeyError, TypeError or ValueError where it is none.

        Parameters
        ----------
        settings : dict

        Returns
        -------
        Recipe
        """
        values = {name: settings[name] for name in ("sizes", "scales", "flip", "mean", "output_blob")}
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        recipe = cls(**values, crf=bool(settings["crf"]), crf_scale=settings["crf"] or CRF_SCALE,
                     max_side=settings.get("max_side", MAX_SIDE))
        recipe.check()
        return recipe

    def check(self):
        """Refuse values that no segmentation was made with.

        Raises
        ------
        ValueError
        """
        fits = {"sizes": self.sizes is None or _all_numbers(self.sizes, int),
                "scales": self.scales is None or _all_numbers(self.scales, (int, float)),
                "flip": isinstance(self.flip, bool), "crf": _all_numbers((self.crf_scale,), (int, float)),
                "mean": _all_numbers(self.mean, (int, float), least=-1e6) and len(self.mean) == 3,
                "output_blob": self.output_blob is None or isinstance(self.output_blob, str),
                "max_side": _all_numbers((self.max_side,), int, least=0)}
        for name, fitting in fits.items():
            if not fitting:
                raise ValueError(f"{name} of another type or range")

    def changed(self, **values):
        """The recipe with other values; None leaves one as it is. `sizes` and `scales` take each other's place.

        Parameters
        ----------
        **values
            Fields of the recipe.

        Returns
        -------
        Recipe
        """
        given = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
                 if value is not None}
        if {"sizes", "scales"} & set(given):
            given = {"sizes": None, "scales": None, **given}
        return replace(self, **given)

    def settings(self):
        """The part of settings.json that the recipe makes; of a CRF that is not used no width counts."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        del values["crf_scale"]
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return {**values, "crf": self.crf and self.crf_scale}


def _all_numbers(values, kinds, least=1e-6):
    """Whether a value is a tuple of numbers of these kinds, each of them one that a segmentation may have."""
    return isinstance(values, tuple) and len(values) > 0 and all(
        isinstance(value, kinds) and not isinstance(value, bool) and least <= value <= 1e6 for value in values)
