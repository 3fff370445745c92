"""The audit record: pure. Writing lives in adapters."""
