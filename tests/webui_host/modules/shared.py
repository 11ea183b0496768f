"""What the host's modules and its extensions share: settings, the running job, the model."""

import argparse
import datetime
import time

from modules import devices
from modules.options import OptionHTML, OptionInfo, Options, options_section  # noqa: F401

cmd_opts = argparse.Namespace(
    api=True,
    nowebui=False,
    freeze_settings=False,
    disable_console_progressbars=True,
    no_half=True,
    lowvram=False,
    medvram=False,
)
device = devices.device
demo = api = config_filename = None
sd_model = None
sd_upscalers = []  # bound anew after the extensions' scripts were loaded
latent_upscale_default_mode = "Latent"
latent_upscale_modes = {
    "Latent": {"mode": "bilinear", "antialias": False},
    "Latent (nearest)": {"mode": "nearest", "antialias": False},
}
parallel_processing_allowed = True

_builtin = {
    "saving": {"samples_save": True, "samples_format": "png", "grid_save": True, "grid_format": "png"},
    "infotext": {"enable_pnginfo": True, "infotext_skip_pasting": [], "send_seed": True, "send_size": True},
    "paths": {f"outdir_{kind}": "" for kind in ("samples", "grids", "txt2img_samples", "img2img_samples")}
    | {"outdir_txt2img_grids": "", "outdir_img2img_grids": ""},
    "grid": {"return_grid": True, "grid_only_if_multiple": True, "n_rows": -1, "img_max_size_mp": 200, "font": ""},
    "colours": {"grid_background_color": "#ffffff", "grid_text_active_color": "#000000"},
    "sampler": {"hide_samplers": [], "eta_ancestral": 1.0, "eta_ddim": 0.0, "eta_noise_seed_delta": 0},
    "churn": {"s_churn": 0.0, "s_tmin": 0.0, "s_tmax": 0.0, "s_noise": 1.0, "s_min_uncond": 0.0},
    "schedule": {"sgm_noise_multiplier": False, "always_discard_next_to_last_sigma": False},
    "random": {"randn_source": "CPU", "enable_quantization": False},
    "img2img": {"img2img_fix_steps": False, "img2img_extra_noise": 0.0, "initial_noise_multiplier": 1.0},
    "vae": {"sd_vae_encode_method": "Full", "sd_vae_decode_method": "Full"},
    "upscaling": {"upscaler_for_img2img": "", "ESRGAN_tile": 192, "ESRGAN_tile_overlap": 8},
    "preview": {"live_previews_enable": True, "show_progress_every_n_steps": 1, "show_progress_type": "Full"},
    "interrupt": {"interrupt_after_current": True},
}
opts = Options(
    {k: OptionInfo(v, k, section=(name, name)) for name, group in _builtin.items() for k, v in group.items()}
)


class State:
    """The running job."""

    def __init__(self):
        self.interrupted = self.skipped = self.stopping_generation = False
        self.job, self.server_start, self.id_live_preview = "", time.time(), 0
        self.begin()
        self.end()

    def begin(self, job="(unknown)"):
        self.job, self.job_no, self.job_count = job, 0, -1
        self.processing_has_refined_job_count = False
        self.sampling_step = self.sampling_steps = 0
        self.job_timestamp = datetime.datetime.now().strftime("%Y%m%d%H%M%S")
        self.current_latent = self.current_image = self.textinfo = None
        self.interrupted = self.skipped = self.stopping_generation = False
        self.time_start = time.time()
        self.highest_job_no = self.highest_job_count = 0

    def end(self):
        self.job, self.job_count = "", 0

    def nextjob(self):
        self.job_no += 1
        self.highest_job_no = max(self.highest_job_no, self.job_no)
        self.highest_job_count = max(self.highest_job_count, self.job_count)
        self.sampling_step = 0

    def interrupt(self):
        self.interrupted = True

    def skip(self):
        self.skipped = True

    def assign_current_image(self, image):
        self.current_image = image
        self.id_live_preview += 1

    def dict(self):
        keys = "skipped interrupted stopping_generation job job_count job_timestamp job_no sampling_step sampling_steps"
        return {key: getattr(self, key) for key in keys.split()}


state = State()


class TotalTQDM:
    """Counts the steps of a job; the real one draws a bar."""

    def __init__(self):
        self.total = self.n = 0

    def update(self):
        self.n += 1

    def updateTotal(self, new_total):
        self.total = new_total

    def reset(self):
        self.n = 0

    def clear(self):
        self.total = self.n = 0


total_tqdm = TotalTQDM()
