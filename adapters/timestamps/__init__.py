"""Authorities that time-stamp the log's checkpoints."""
