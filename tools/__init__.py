"""Commands of the pipeline, one per purpose; each runs from the repository root as `python -m tools.NAME`."""

from dsrg.io.interrupts import end_silently_while_importing

end_silently_while_importing(__name__)

from dsrg.io.utf8_mode import read_names_as_utf8  # noqa: E402 (Ctrl-C first)

read_names_as_utf8(__name__)
