"""The edges: the command line and its reports, the only code that prints or reads argv."""
