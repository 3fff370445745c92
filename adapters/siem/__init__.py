"""Receivers of copies for security monitoring: syslog over TLS, and HTTPS. What an event looks like is the caller's."""
