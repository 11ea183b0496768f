"""Settings and the running job."""

from types import SimpleNamespace

DEFAULTS = {
    "schedulers_prediction_type": "default",
    "schedulers_beta_schedule": "default",
    "schedulers_timesteps": "",
    "schedulers_sigma": "default",
    "schedulers_use_thresholding": False,
    "schedulers_use_loworder": True,
    "schedulers_solver_order": 0,
    "schedulers_beta_start": 0,
    "schedulers_beta_end": 0,
    "schedulers_shift": 3,
    "schedulers_dynamic_shift": False,
    "schedulers_base_shift": 0.5,
    "schedulers_max_shift": 1.15,
    "schedulers_rescale_betas": False,
    "schedulers_timestep_spacing": "default",
    "schedulers_timesteps_range": 1000,
    "schedulers_fallback": True,
    "uni_pc_variant": "bh2",
}
opts = SimpleNamespace(**DEFAULTS)
state = SimpleNamespace(prediction_type=None)
sd_model_type = "sd"
