"""The embedded, Azure-compatible service."""
