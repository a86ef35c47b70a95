"""Training of DSRG: the solver's command, the Python layers of the nets and their maths."""
