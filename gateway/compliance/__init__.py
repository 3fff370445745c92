"""What people may do with the audit log (read, export, erase, hold, prune, recover): on record before it shows."""
