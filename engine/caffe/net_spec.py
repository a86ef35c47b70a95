"""Nets written in Python: ``n = caffe.NetSpec(); n.conv = L.Convolution(n.data, num_output=4); n.to_proto()``.

As in pycaffe: ``layers`` (L) makes layers of any type, ``params`` (P) knows the enum values (P.Pooling.MAX). Keyword
arguments that end in "param" fill that message of LayerParameter, others the layer type's own message or else
LayerParameter itself (loss_weight, name, phase). Tops without a name get ``<Type><n>``.
"""

import difflib
from collections import Counter, OrderedDict

from .proto import caffe_pb2, is_repeated


def param_name_dict():
    """Layer type -> its message in LayerParameter without "_param": {'Convolution': 'convolution', ...}."""
    fields = caffe_pb2.LayerParameter.DESCRIPTOR.fields
    return {
        field.message_type.name.removesuffix("Parameter"): field.name.removesuffix("_param")
        for field in fields
        if field.name.endswith("_param")
    }


_param_names = param_name_dict()


def assign_proto(proto, name, val):
    """Set a field of a message: a dict fills a sub-message, a list a repeated field (one value is a list of one).

    Parameters
    ----------
    proto : Message
    name : str
        Of a field.
    val : number, str, dict, Message or list

    Raises
    ------
    AttributeError
        No such field; the nearest name is given.
    TypeError, ValueError
        A value that the field does not take.
    """
    field = proto.DESCRIPTOR.fields_by_name.get(name)
    if field is None:
        fields = list(proto.DESCRIPTOR.fields_by_name)
        near = difflib.get_close_matches(name, fields, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else f"; it has {', '.join(fields)}"
        raise AttributeError(f"{proto.DESCRIPTOR.name} has no field '{name}'{hint}")
    if is_repeated(field):
        values = list(val) if isinstance(val, (list, tuple)) else [val]
        target = getattr(proto, name)
        if field.message_type is None:
            target.extend(values)
        else:
            for value in values:
                _fill(target.add(), value)
    elif field.message_type is not None:
        _fill(getattr(proto, name), val)
    else:
        setattr(proto, name, val)


def _fill(message, value):
    """A sub-message from a dict of its fields or from a message of its type."""
    if isinstance(value, dict):
        message.SetInParent()
        for key, item in value.items():
            assign_proto(message, key, item)
    else:
        message.CopyFrom(value)


class Top:
    """One output of a layer; what other layers take as bottom."""

    def __init__(self, fn, n):
        self.fn = fn
        self.n = n

    def to_proto(self):
        """NetParameter of everything this top needs."""
        return to_proto(self)

    def _update(self, params):
        self.fn._update(params)

    def _to_proto(self, layers, names, autonames):
        return self.fn._to_proto(layers, names, autonames)


class Function:
    """A layer: its type, the tops it reads, its parameters and its own tops."""

    def __init__(self, type_name, inputs, params):
        for index, item in enumerate(inputs):
            if not isinstance(item, Top):
                raise TypeError(f"{type_name} input {index} is not a Top (type is {type(item)})")
        self.type_name = type_name
        self.inputs = inputs
        self.params = dict(params)
        self.ntop = self.params.pop("ntop", 1)
        self.in_place = self.params.pop("in_place", False)
        self.tops = tuple(Top(self, n) for n in range(self.ntop))

    def _update(self, params):
        self.params.update(params)

    def _autoname(self, autonames):
        autonames[self.type_name] += 1
        return f"{self.type_name}{autonames[self.type_name]}"

    def _get_top_name(self, top, names, autonames):
        if top not in names:
            names[top] = top.fn._autoname(autonames)
        return names[top]

    def _get_name(self, names, autonames):
        if self not in names:
            names[self] = (
                self._get_top_name(self.tops[0], names, autonames) if self.tops else self._autoname(autonames)
            )
        return names[self]

    def _to_proto(self, layers, names, autonames):
        """Add this layer, after the layers it reads, to the ordered dict `layers`."""
        if self in layers:
            return
        bottoms = []
        for item in self.inputs:
            item._to_proto(layers, names, autonames)
            bottoms.append(layers[item.fn].top[item.n])
        layer = caffe_pb2.LayerParameter(type=self.type_name, bottom=bottoms)
        layer.top.extend(
            bottoms if self.in_place else [self._get_top_name(top, names, autonames) for top in self.tops]
        )
        layer.name = self._get_name(names, autonames)
        own = _param_names.get(self.type_name)
        own_fields = getattr(layer, f"{own}_param").DESCRIPTOR.fields_by_name if own else {}
        for key, value in self.params.items():
            in_own = key in own_fields and not key.endswith("param")
            try:
                assign_proto(getattr(layer, f"{own}_param") if in_own else layer, key, value)
            except (AttributeError, TypeError, ValueError) as error:
                raise type(error)(self._complaint(layer.name, key, own_fields, error)) from None
        layers[self] = layer

    def _complaint(self, name, key, own_fields, error):
        text = f"layer '{name}' ({self.type_name}): {key}: {error}"
        near = difflib.get_close_matches(key, own_fields, n=1)
        if isinstance(error, AttributeError) and near:
            text = f"layer '{name}' ({self.type_name}): no parameter '{key}'; did you mean '{near[0]}'?"
        return text


class NetSpec:
    """Named tops; attribute or item assignment names a top, to_proto makes the net."""

    def __init__(self):
        super().__setattr__("tops", OrderedDict())

    def __setattr__(self, name, value):
        self.tops[name] = value

    def __getattr__(self, name):
        try:
            return self.tops[name]
        except KeyError:
            raise AttributeError(
                f"the net has no top '{name}'; it has {', '.join(self.tops) or 'none'}"
            ) from None

    def __setitem__(self, key, value):
        self.tops[key] = value

    def __getitem__(self, item):
        return self.tops[item]

    def __delitem__(self, name):
        del self.tops[name]

    def __delattr__(self, name):
        del self.tops[name]

    def keys(self):
        """Names of the tops, in order."""
        return list(self.tops)

    def vals(self):
        """The tops, in order."""
        return list(self.tops.values())

    def update(self, name, params):
        """Change parameters of the layer that makes top `name`.

        Parameters
        ----------
        name : str
        params : dict
        """
        self.tops[name]._update(params)

    def to_proto(self):
        """NetParameter of all tops, in the order they were named, each after what it reads."""
        names = {top: name for name, top in self.tops.items()}
        return _net(self.tops.values(), names)


def to_proto(*tops):
    """NetParameter of everything the given tops need."""
    return _net(tops, {})


def _net(tops, names):
    layers, autonames = OrderedDict(), Counter()
    for top in tops:
        # a layer without tops stands for itself
        for fn in _after_their_inputs(getattr(top, "fn", top), layers):
            fn._to_proto(layers, names, autonames)
    net = caffe_pb2.NetParameter()
    net.layer.extend(layers.values())
    return net


def _after_their_inputs(fn, done):
    """A function and all that it reads and that is not in `done`, each after what it reads itself.

    `_to_proto` alone would do, by recursion, as in pycaffe; nets may be deeper than Python's stack.
    """
    seen, stack = set(done), [(fn, iter(fn.inputs))]
    while stack:
        current, inputs = stack[-1]
        following = next((item.fn for item in inputs if item.fn not in seen), None)
        if following is None:
            stack.pop()
            if current not in seen:
                seen.add(current)
                yield current
        else:
            stack.append((following, iter(following.inputs)))


class Layers:
    """``layers.Type(*bottoms, ntop=1, in_place=False, **params)`` makes a layer and returns its top or tops."""

    def __getattr__(self, name):
        def layer_fn(*args, **kwargs):
            fn = Function(name, args, kwargs)
            if fn.ntop == 0:
                return fn
            return fn.tops[0] if fn.ntop == 1 else fn.tops

        return layer_fn


class Parameters:
    """``params.Pooling.MAX``: enum values of a layer type's message."""

    def __getattr__(self, name):
        message = getattr(caffe_pb2, f"{name}Parameter", None)
        if message is None:
            raise AttributeError(f"no message {name}Parameter; try one of {', '.join(sorted(_param_names))}")
        return message


layers = Layers()
params = Parameters()
