"""The outside world for demo and tests: PKI, a DVP platform with its ledger, sources, an issuer, a bank's client."""
