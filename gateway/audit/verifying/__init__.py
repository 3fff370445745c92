"""The verifier of a published log: recomputes everything from bytes and trusts nothing but the keys it is given. Pure.

It shares hashing (`core.merkle`) and signed notes (`audit.note`) with the writer, and nothing else: how files are
called and cut, what an entry looks like and how a tree is built is said here a second time, on purpose.
"""

from __future__ import annotations

from gateway.audit.verifying.case import is_case, verify_case
from gateway.audit.verifying.findings import Finding, Report, Stamp
from gateway.audit.verifying.heads import Earlier, Trust
from gateway.audit.verifying.log import verify_log
from gateway.audit.verifying.source import Source

__all__ = ["Earlier", "Finding", "Report", "Source", "Stamp", "Trust", "is_case", "verify_case", "verify_log"]
