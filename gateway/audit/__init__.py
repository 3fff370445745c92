"""The audit record and, later, the log's tree: pure. Writing lives in adapters."""
