"""Kinds of models and their noise levels."""


class CONST:
    """Flow matching."""

    def noise_scaling(self, sigma, noise, latent_image):
        return sigma * noise + (1 - sigma) * latent_image


class EPS:
    """In units of sigma."""

    def noise_scaling(self, sigma, noise, latent_image):
        return latent_image + noise * sigma


class ModelSamplingDiscrete:
    """Levels of a model in units of sigma."""


class ModelSamplingDiscreteFlow:
    """Levels of a flow-matching model."""
