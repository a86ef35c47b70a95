"""DSRG as a library: nothing in it parses a command line."""
