"""COMPOSITION ROOT: settings → adapters → flows → listeners. The only place that names concrete classes."""

from gateway.app.serve import StartRefused, serve

__all__ = ["StartRefused", "serve"]
