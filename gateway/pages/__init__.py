"""The data owner's pages: texts, templates and one stylesheet, rendered from values.

Pure but for reading its own package data at start. No script, no inline style, no request: which page is shown, and
where a form leads, is decided by who calls (gateway.http.consent).
"""
