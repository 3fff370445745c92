"""What follows the audit log beside its commit path: publication, cosigning, time-stamps, index, copies for a SIEM."""
