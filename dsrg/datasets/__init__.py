"""Data roots made from other layouts, and the demo's scenes."""
