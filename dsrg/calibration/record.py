"""calibration/<stage>.json of a run: the temperatures of its net and its CRF, fitted on what and for which weights."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from dsrg.io.atomic_files import write_text
from dsrg.io.counts import counted
from dsrg.io.errors import UserError
from dsrg.io.json_files import is_number, parse_json
from dsrg.io.regular_files import read_file
from dsrg.scoring.label_map_folder import digest

FOLDER = "calibration"
#: settings of a recipe that decide the scores; the CRF comes after them
OF_SCORES = ("sizes", "scales", "flip", "mean", "output_blob", "max_side")


@dataclass(frozen=True)
class Temperature:
    """What scores, or logarithms of marginals, are divided by before the softmax; and what the probabilities are then.

    Attributes
    ----------
    value : float
    calibrated : bool
        Whether it was fitted, for these weights and these sizes, on photos that the net has not learned from.
    says : str
        Where it comes from: the end of a sentence.
    """

    value: float = 1.0
    calibrated: bool = False
    says: str = "no temperature was fitted"

    def line(self):
        """What a command says of probabilities that it writes.

        Returns
        -------
        str
        """
        word = "calibrated" if self.calibrated else "not calibrated"
        return f"probabilities are {word}: {self.says}"

    def about(self):
        """The same for the metadata of a file.

        Returns
        -------
        dict
            "temperature" (float), "calibrated" (bool), "calibration" (str).
        """
        return {"temperature": self.value, "calibrated": self.calibrated, "calibration": self.says}


NOT_FITTED = Temperature()


def given(value):
    """A temperature that the user gave.

    Parameters
    ----------
    value : float

    Returns
    -------
    Temperature
    """
    return Temperature(value, False, f"temperature {value:g} was given, and is taken as it is")


def record_path(run, stage):
    """Where a run keeps the temperature of a stage.

    Parameters
    ----------
    run : path
    stage : str

    Returns
    -------
    Path
    """
    return Path(run, FOLDER, f"{stage}.json")


def write_record(path, content):
    """Write a record.

    Parameters
    ----------
    path : path
    content : dict
        As of dsrg.calibration.fit.calibrated.
    """
    write_text(Path(path), json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_record(path):
    """A record that is there and whole.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict or None
        None where there is no such file.

    Raises
    ------
    UserError
        A file that is no record.
    """
    path = Path(path)
    if not path.is_file():
        return None
    try:
        content = parse_json(read_file(path, "calibration"))
        on, parts = content["fitted_on"], content["parts"]
        fits = is_number(on["photos"]) and isinstance(on["labels"], str) and "net" in parts and \
            (on["learned_from"] is None or is_number(on["learned_from"])) and all(
                is_number(part["temperature"]) and part["temperature"] > 0 and isinstance(part["settings"], dict) and
                isinstance(part["measured"], list) for part in parts.values())
    except (ValueError, KeyError, TypeError, AttributeError):
        fits = False
    if not fits:
        raise UserError(f"{path}: not what tools.calibrate writes; remove it, and fit again: python -m tools.calibrate "
                        f"{path.parent.parent}")
    return content


def settings_of(files, recipe, crf):
    """What a temperature belongs to, ready for JSON: digests of net and weights, and the settings of the scores.

    Parameters
    ----------
    files : RunModel
    recipe : Recipe
    crf : bool
        Whether it is of the CRF's marginals.

    Returns
    -------
    dict
    """
    return {"net": digest(files.net), "weights": digest(files.weights), **_of_scores(recipe, crf)}


def _of_scores(recipe, crf):
    said = recipe.settings()
    return {**{name: said[name] for name in OF_SCORES}, **({"crf_scale": recipe.crf_scale} if crf else {})}


@dataclass(frozen=True)
class Calibration:
    """What is known of a model's probabilities, whatever recipe it is used with.

    Attributes
    ----------
    record : dict or None
        As of `read_record`.
    path : Path or None
        Of the record.
    files : dict
        Digests of the model's net and weights; {} without a record.
    fixed : Temperature or None
        One that was given, whatever the record says.
    """

    record: dict | None = None
    path: Path | None = None
    files: dict = field(default_factory=dict)
    fixed: Temperature | None = None

    @classmethod
    def of_run(cls, run, stage, files):
        """What a run keeps of a stage.

        Parameters
        ----------
        run : path
        stage : str
        files : RunModel

        Returns
        -------
        Calibration

        Raises
        ------
        UserError
            A record that is damaged.
        """
        path = record_path(run, stage)
        record = read_record(path)
        return cls(record, path, {"net": digest(files.net), "weights": digest(files.weights)} if record else {})

    def temperature(self, recipe, crf=None):
        """The temperature for probabilities as a recipe makes them.

        Parameters
        ----------
        recipe : Recipe
        crf : bool, optional
            Whether they are the CRF's, by default as the recipe.

        Returns
        -------
        Temperature
            Of value 1 where none was fitted, or for other weights or sizes.
        """
        if self.fixed is not None or self.record is None:
            return self.fixed or NOT_FITTED
        crf = recipe.crf if crf is None else crf
        part = self.record["parts"].get("crf" if crf else "net")
        if part is None:
            return Temperature(says=f"{self.path} holds no temperature of probabilities with the CRF")
        now = {**self.files, **_of_scores(recipe, crf)}
        other = [name for name, value in now.items() if part["settings"].get(name) != value]
        if other:
            return Temperature(says=f"the temperature of {self.path} was fitted for other {' and '.join(other)}")
        value, on = float(part["temperature"]), self.record["fitted_on"]
        says = f"temperature {value:.3f}, fitted to {on['labels']}, on {counted(int(on['photos']), 'photo')}"
        if on["learned_from"] == 0:
            return Temperature(value, True, f"{says} that the net has not learned from")
        how = "the net may have learned from" if on["learned_from"] is None else \
            f"the net has learned from, {on['learned_from']} of them"
        return Temperature(value, False, f"{says} that {how}, so that it is less often right on others")
