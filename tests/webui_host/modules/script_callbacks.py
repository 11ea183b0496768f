"""Callbacks of extensions. All of them are forgotten when scripts are loaded again."""

# ruff: noqa: PERF203 - one bad callback must not spoil the rest
import inspect
from collections import defaultdict
from types import SimpleNamespace

from modules import errors

_callbacks = defaultdict(list)


class ImageSaveParams(SimpleNamespace):
    def __init__(self, image, p, filename, pnginfo):
        super().__init__(image=image, p=p, filename=filename, pnginfo=pnginfo)


class ImageGridLoopParams(SimpleNamespace):
    def __init__(self, imgs, cols, rows):
        super().__init__(imgs=imgs, cols=cols, rows=rows)


class ExtraNoiseParams(SimpleNamespace):
    def __init__(self, noise, x, xi):
        super().__init__(noise=noise, x=x, xi=xi)


class CFGDenoiserParams(SimpleNamespace):
    def __init__(
        self, x, image_cond, sigma, sampling_step, total_sampling_steps, text_cond, text_uncond, denoiser=None
    ):
        super().__init__(
            x=x,
            image_cond=image_cond,
            sigma=sigma,
            sampling_step=sampling_step,
            total_sampling_steps=total_sampling_steps,
            text_cond=text_cond,
            text_uncond=text_uncond,
            denoiser=denoiser,
        )


class AfterCFGCallbackParams(SimpleNamespace):
    def __init__(self, x, sampling_step, total_sampling_steps):
        super().__init__(x=x, sampling_step=sampling_step, total_sampling_steps=total_sampling_steps)


def _event(name, backwards=False):
    def on(callback, *, name=None):
        _callbacks[event].append((inspect.stack()[1].filename, callback))

    def fire(*args):
        for _, callback in reversed(_callbacks[event]) if backwards else list(_callbacks[event]):
            try:
                callback(*args)
            except Exception:
                errors.report(f"Error executing callback {event}", exc_info=True)

    event = name
    return on, fire


on_app_started, app_started_callback = _event("app_started")
on_before_reload, app_reload_callback = _event("before_reload")
on_model_loaded, model_loaded_callback = _event("model_loaded")
on_ui_settings, ui_settings_callback = _event("ui_settings")
on_before_image_saved, before_image_saved_callback = _event("before_image_saved")
on_image_saved, image_saved_callback = _event("image_saved")
on_extra_noise, extra_noise_callback = _event("extra_noise")
on_cfg_denoiser, cfg_denoiser_callback = _event("cfg_denoiser")
on_cfg_denoised, cfg_denoised_callback = _event("cfg_denoised")
on_cfg_after_cfg, cfg_after_cfg_callback = _event("cfg_after_cfg")
on_image_grid, image_grid_callback = _event("image_grid")
on_infotext_pasted, infotext_pasted_callback = _event("infotext_pasted")
on_script_unloaded, script_unloaded_callback = _event("script_unloaded", backwards=True)
on_before_ui, before_ui_callback = _event("before_ui")


def clear_callbacks():
    _callbacks.clear()


def remove_callbacks_for_function(callback_func):
    for listed in _callbacks.values():
        listed[:] = [entry for entry in listed if entry[1] != callback_func]


def remove_current_script_callbacks():
    here = inspect.stack()[1].filename
    for listed in _callbacks.values():
        listed[:] = [entry for entry in listed if entry[0] != here]


def count(event):
    """For tests: how many callbacks an event has."""
    return len(_callbacks[event])
