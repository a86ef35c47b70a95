"""Temperature scaling (Guo et al., On Calibration of Modern Neural Networks, ICML 2017), and what it is measured by.

A net's scores are divided by one number before the softmax. The order of the classes, and with it every label map,
stays; the probabilities become as large as the net is often right.
"""

from dataclasses import dataclass

import numpy as np

BOUNDS = (0.05, 100.0)      # of a temperature that is looked for
BINS = 15                   # of a reliability diagram, as in the paper
BAND = 1 << 18              # pixels whose probabilities are held at a time


def scaled_softmax(scores, temperature=1.0):
    """Probabilities of scores.

    Parameters
    ----------
    scores : float array (.., C)
        Before the softmax.
    temperature : float
        What they are divided by; 1 leaves them.

    Returns
    -------
    float32 array (.., C)
        0 to 1, summing to 1 over the last axis.
    """
    values = np.asarray(scores, np.float32) / np.float32(temperature)
    values -= values.max(axis=-1, keepdims=True)
    np.exp(values, out=values)
    values /= values.sum(axis=-1, keepdims=True)
    return values


def mean_nll(scores, labels, temperature=1.0):
    """Mean negative log-likelihood of labels.

    Parameters
    ----------
    scores : float array (N, C)
        Before the softmax.
    labels : int array (N,)
        0 to C - 1.
    temperature : float

    Returns
    -------
    float
        In nats, 0 or more; nan of no pixels.
    """
    total = 0.0
    for start in range(0, len(labels), BAND):
        band, true = scores[start:start + BAND].astype(np.float64), labels[start:start + BAND]
        band -= band.max(axis=1, keepdims=True)
        band /= temperature
        total += float((np.log(np.exp(band).sum(axis=1)) - band[np.arange(len(true)), true]).sum())
    return total / len(labels) if len(labels) else float("nan")


def fit_temperature(scores, labels):
    """The temperature of the least `mean_nll`.

    The likelihood has one maximum in 1 / T (its logarithm is concave there), so a bounded search in log T finds it.

    Parameters
    ----------
    scores : float array (N, C)
        Before the softmax; N at least 1.
    labels : int array (N,)

    Returns
    -------
    float
        Within BOUNDS; at the lower one where every label has the largest score, at the upper one where scores say
        nothing of the labels.
    """
    from scipy.optimize import minimize_scalar  # here: whoever only applies a temperature starts sooner without it

    found = minimize_scalar(lambda log_t: mean_nll(scores, labels, np.exp(log_t)), bounds=tuple(np.log(BOUNDS)),
                            method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


@dataclass(frozen=True)
class Reliability:
    """How often a net is right, by how sure it is: sums over pixels whose largest probability is in each of the bins.

    Attributes
    ----------
    pixels : int64 array (BINS,)
        Bin k holds confidences above k / BINS and up to (k + 1) / BINS.
    confidence : float64 array (BINS,)
        Sum of the largest probabilities.
    right : int64 array (BINS,)
        Pixels whose most probable class is the label.
    """

    pixels: np.ndarray
    confidence: np.ndarray
    right: np.ndarray

    @classmethod
    def of(cls, probabilities, labels):
        """Sums of some pixels.

        Parameters
        ----------
        probabilities : float array (N, C)
        labels : int array (N,)

        Returns
        -------
        Reliability
        """
        sure, said = probabilities.max(axis=1).astype(np.float64), probabilities.argmax(axis=1)
        bins = np.clip(np.ceil(sure * BINS).astype(int) - 1, 0, BINS - 1)
        return cls(np.bincount(bins, minlength=BINS), np.bincount(bins, sure, BINS),
                   np.bincount(bins[said == labels], minlength=BINS))

    @property
    def ece(self):
        """float: expected calibration error, the mean over pixels of |how sure - how often right| of their bin."""
        return float(np.abs(self.confidence - self.right).sum() / max(1, self.pixels.sum()))

    def rows(self):
        """The bins that hold pixels, ready for JSON.

        Returns
        -------
        list of dict
            "from", "to": confidences; "pixels"; "confidence" and "right": means, 0 to 1.
        """
        return [{"from": k / BINS, "to": (k + 1) / BINS, "pixels": int(self.pixels[k]),
                 "confidence": float(self.confidence[k] / self.pixels[k]),
                 "right": float(self.right[k] / self.pixels[k])} for k in np.flatnonzero(self.pixels)]


def measured(scores, labels, temperature=1.0):
    """How well probabilities fit labels at a temperature.

    Parameters
    ----------
    scores : float array (N, C)
    labels : int array (N,)
    temperature : float

    Returns
    -------
    dict
        "nll", "ece", "confidence" and "right" (means over the pixels), and "bins" as of Reliability.rows.
    """
    sums = [Reliability.of(scaled_softmax(scores[k:k + BAND], temperature), labels[k:k + BAND])
            for k in range(0, len(labels), BAND)]
    total = Reliability(*(sum(getattr(one, name) for one in sums) for name in ("pixels", "confidence", "right")))
    pixels = max(1, len(labels))
    return {"nll": mean_nll(scores, labels, temperature), "ece": total.ece,
            "confidence": float(total.confidence.sum() / pixels), "right": float(total.right.sum() / pixels),
            "bins": total.rows()}
