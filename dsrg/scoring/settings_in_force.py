"""What else decides the numbers of a score map: engine, device and arithmetic, as they are in force."""

from dsrg.caffe_device import device_numbers, use_machine
from dsrg.find_caffe import name_of


def machine_settings(caffe, device, precision, crf_backend):
    """Put Caffe on the device; what is in force there, ready for settings.json.

    Parameters
    ----------
    caffe : module
    device, precision : str
        As for dsrg.caffe_device.use_machine.
    crf_backend : str or None
        What computes the CRF (dsrg.crf_backend); None without the CRF.

    Returns
    -------
    dict
        precision (never 'auto'), engine with version, device ('cpu' or 'gpu'), crf_backend.
    """
    return {
        "precision": use_machine(caffe, device, precision),
        "engine": name_of(caffe),
        "device": "gpu" if device_numbers(device) else "cpu",
        "crf_backend": crf_backend,
    }
