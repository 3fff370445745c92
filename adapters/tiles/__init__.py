"""The published log as a folder of plain files."""
