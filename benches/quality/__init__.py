"""How near each sampler comes to the model's own converged samples, at equal model calls. See README.md."""
