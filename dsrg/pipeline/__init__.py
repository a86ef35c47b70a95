"""The pipeline of an experiment: its stages as a table, their stamps, the folder of a run, and what runs them."""
