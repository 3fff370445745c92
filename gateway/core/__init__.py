"""Pure rules: they compute or refuse. No IO, clock or randomness; "now" is an argument."""
