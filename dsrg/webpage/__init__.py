"""The local page of tools.segment --web: a photo is dropped on it, the stages of a run are compared."""
