"""Rate limits and replay memory."""
