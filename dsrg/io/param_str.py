"""The text of `python_param { param_str: "..." }`, read without running any of it."""

import ast

import yaml


def parse_param_str(text):
    """The value a param_str stands for, a mapping in every layer of ours; an empty text is an empty mapping.

    Python literals and YAML are both read: the original's nets hold Python dicts with tuples, which YAML would
    take apart at the commas, and hand-written ones are often plain YAML.

    Raises
    ------
    ValueError
        Neither the one nor the other.

    Examples
    --------
    >>> parse_param_str("{'mean': (104.0, 117.0, 123.0), 'mirror': True}")
    {'mean': (104.0, 117.0, 123.0), 'mirror': True}
    >>> parse_param_str("th1: 0.99, th2: 0.85".replace(", ", "\\n"))
    {'th1': 0.99, 'th2': 0.85}
    """
    if not text.strip():
        return {}
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        pass
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"param_str is not readable ({str(error).splitlines()[0]}): {text!r}") from None
