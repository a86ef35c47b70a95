"""Everything that is wrong with a data set, found in one go: lists, labels, photos, masks, cues, pseudo-labels."""
