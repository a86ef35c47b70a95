"""Random messages for property tests: any message of caffe.proto, drawn from its descriptor."""

import math

from caffe.proto import caffe_pb2, is_repeated, is_required
from hypothesis import strategies as st

SKIPPED = {"blobs", "layers", "net_param", "train_net_param", "test_net_param"}  # big or deprecated


def _scalar(field):
    kinds = {
        field.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
        field.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
        field.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
        field.CPPTYPE_FLOAT: st.floats(width=32, allow_nan=False).filter(
            lambda x: math.copysign(1, x) > 0 or x
        ),
        field.CPPTYPE_DOUBLE: st.floats(allow_nan=False),
        field.CPPTYPE_BOOL: st.booleans(),
        field.CPPTYPE_STRING: st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    }
    if field.cpp_type == field.CPPTYPE_ENUM:
        return st.sampled_from([value.number for value in field.enum_type.values])
    return kinds[field.cpp_type]


@st.composite
def messages(draw, descriptor, depth=3):
    """A message of a type with up to four fields set, and all required ones."""
    message = getattr(caffe_pb2, descriptor.name)()
    fields = [f for f in descriptor.fields if f.name not in SKIPPED and (f.message_type is None or depth > 0)]
    wanted = draw(st.lists(st.sampled_from(fields), max_size=4, unique_by=lambda f: f.name)) if fields else []
    wanted += [f for f in descriptor.fields if is_required(f) and f not in wanted]
    for field in wanted:
        value = messages(field.message_type, depth - 1) if field.message_type else _scalar(field)
        if is_repeated(field):
            getattr(message, field.name).extend(draw(st.lists(value, max_size=3)))
        elif field.message_type:
            getattr(message, field.name).CopyFrom(draw(value))
        else:
            setattr(message, field.name, draw(value))
    return message
