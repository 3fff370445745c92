"""The command line: one file per command; they parse, call, print and return an exit code. No rule lives here."""
