"""Reading a published log where it lies: a folder, a zip archive, an address. See `gateway.audit.verifying.Source`."""
