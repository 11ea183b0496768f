"""The versions of the interface for nodes."""
