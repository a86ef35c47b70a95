"""Commands of the pipeline, one per purpose; each runs from the repository root as `python -m tools.NAME`."""
