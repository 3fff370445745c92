"""The data owners' login at a bank's own OpenID provider: discovery, redirect, code for ID token, and what it says."""
