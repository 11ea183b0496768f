"""Translations of the samplers for programs that generate images; nothing here is imported by the rest."""
