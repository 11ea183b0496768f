"""Kinds of models."""


class CONST:
    """Flow matching."""


class EPS:
    """In units of sigma."""
