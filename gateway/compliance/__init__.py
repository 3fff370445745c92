"""What people may do with the audit log (read, export, erase, hold, prune, recover), each on record before it shows."""
