"""Commands of the pipeline, one per purpose; each runs from the repository root as `python -m tools.NAME`."""

from dsrg.io.interrupts import end_silently_while_importing

end_silently_while_importing(__name__)
