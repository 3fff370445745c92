"""What people may do with the audit log (read, export, erase, hold, prune): each act is on record before it shows."""
