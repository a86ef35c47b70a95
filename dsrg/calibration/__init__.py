"""How far the probabilities of a net can be believed: a temperature that is fitted, and what is measured with it."""
