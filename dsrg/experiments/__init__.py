"""Nets and solvers of an experiment from the numbers in its settings.yaml."""
