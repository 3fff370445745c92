"""What people may do with the audit log, each act recorded before its result is shown: read, export, erase, hold, prune."""
