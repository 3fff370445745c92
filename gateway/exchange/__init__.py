"""THE ORDER: one file per flow, each step taking what the step before proved.

Arrival → Admitted → Caller → (request) → Consented → Question → Answer → Verdict → reply.
"""
