"""Images: Dockerfiles, what they build with, and what proves them where no Docker engine is at hand."""
