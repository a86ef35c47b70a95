"""Messages of prototxt files, caffemodels and solver states: ``from caffe.proto import caffe_pb2``."""


def is_repeated(field):
    """Whether a field descriptor is repeated (protobuf renamed the question between 4.25 and 7).

    Parameters
    ----------
    field : FieldDescriptor

    Returns
    -------
    bool
    """
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


def is_required(field):
    """Whether a field descriptor is required.

    Parameters
    ----------
    field : FieldDescriptor

    Returns
    -------
    bool
    """
    return field.is_required if hasattr(field, "is_required") else field.label == field.LABEL_REQUIRED
