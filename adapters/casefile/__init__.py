"""Exports as files: the case bundle with its own verifier, and tables. What goes into them is the flow's to say."""
