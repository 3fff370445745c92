"""The CDI-DVP gateway: what the service knows. No vendor and no store is named below this package."""
