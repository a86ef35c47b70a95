"""What two nets differ in, layer by layer."""

from collections import Counter

from dsrg.io.param_str import parse_param_str


def differences(old, new):
    """Lines that say where the net `new` differs from `old` (NetParameters), in the order of the layers.

    "+ name (type)" for a layer that is new, "- name (type)" for one that is gone, "~ name (type)" for one that
    changed, followed by a line "    field: old → new" for each of its fields; keys of a param_str are fields.

    Parameters
    ----------
    old, new : NetParameter

    Returns
    -------
    list of str
    """
    before, after = _layers(old), _layers(new)
    lines = []
    for key in _merged(list(before), list(after)):
        if key not in after:
            lines.append(f"- {_title(before[key])}")
        elif key not in before:
            lines.append(f"+ {_title(after[key])}")
        else:
            changed = _changes(fields(before[key]), fields(after[key]))
            if changed:
                lines += [f"~ {_title(after[key])}", *(f"    {line}" for line in changed)]
    kept = [key for key in before if key in after]
    if kept != [key for key in after if key in before]:
        moved = next(a for a, b in zip(kept, (k for k in after if k in before), strict=True) if a != b)
        lines.append(f"~ the layers stand in another order, from '{moved[0]}' on")
    return lines


def fields(message):
    """{dotted field: text} of all that a message sets; a repeated message or a list of several counts from [0].

    Parameters
    ----------
    message : google.protobuf.message.Message

    Returns
    -------
    dict of str to str
    """
    found = {}
    for field, value in message.ListFields():
        repeated = field.label == field.LABEL_REPEATED
        if field.type == field.TYPE_MESSAGE:
            for k, item in enumerate(value if repeated else [value]):
                name = f"{field.name}[{k}]" if repeated else field.name
                found |= {f"{name}.{key}": text for key, text in fields(item).items()} or {name: "set"}
        elif field.name == "param_str":
            found |= _params(value)
        else:
            found[field.name] = ", ".join(map(_text(field), value)) if repeated else _text(field)(value)
    return found


def _params(text):
    try:
        params = parse_param_str(text)
    except ValueError:
        params = None
    if not isinstance(params, dict):
        return {"param_str": text}
    return {f"param_str.{key}": str(value) for key, value in params.items()}


def _text(field):
    if field.enum_type is not None:
        return lambda number: field.enum_type.values_by_number[number].name
    return lambda value: f"{value:g}" if isinstance(value, float) else str(value)


def _changes(old, new):
    names = [*old, *(name for name in new if name not in old)]
    return [f"{name}: {old.get(name, 'not set')} → {new.get(name, 'not set')}"
            for name in names if old.get(name) != new.get(name)]


def _layers(net):
    seen, found = Counter(), {}
    for layer in net.layer:
        found[layer.name, seen[layer.name]] = layer
        seen[layer.name] += 1
    return found


def _merged(old, new):
    """The keys of both in one order: those of `new`, with what is gone after what it stood behind."""
    merged, kept = list(new), set(new)
    for k, key in enumerate(old):
        if key not in kept:
            merged.insert(merged.index(old[k - 1]) + 1 if k else 0, key)
    return merged


def _title(layer):
    return f"{layer.name} ({layer.type})"
