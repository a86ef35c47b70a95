"""From a net to scores, from scores to label maps, from label maps to measures."""
