"""The command line: arguments, help, Hydra's run, and errors that a user can act on."""
