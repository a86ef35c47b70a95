"""Training of DSRG: the solver's command, the Python layers of the nets and their maths."""

from dsrg.io.interrupts import end_silently_while_importing

end_silently_while_importing(__name__)
