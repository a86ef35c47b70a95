"""Files: whole or not at all; photos, label maps, lists, labels, and errors that say what to do."""
