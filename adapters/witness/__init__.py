"""Witnesses that cosign the log's checkpoints."""
