"""The SQL database (SQLite or PostgreSQL): state of consents and exchanges, and the audit log's entries.

One schema and one set of statements for both. Everything that writes goes through a group commit.
"""
