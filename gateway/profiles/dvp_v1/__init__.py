"""DVP's messages, version 1, as modelled by this project: no public specification exists.

A participant of DVP puts the official shapes here and in `schemas/dvp`, and nowhere else.
"""
