"""Callbacks of extensions. All of them are forgotten when scripts are loaded again."""

from collections import defaultdict

from modules import shared

callbacks = defaultdict(list)


def _event(event):
    def on(callback, *, name=None):
        callbacks[event].append(callback)

    def fire(*args):
        for callback in list(callbacks[event]):
            try:
                callback(*args)
            except Exception:  # noqa: PERF203 - one bad callback must not spoil the rest
                shared.report(f"Error executing callback {event}")

    return on, fire


on_ui_settings, ui_settings_callback = _event("ui_settings")
on_cfg_after_cfg, cfg_after_cfg_callback = _event("cfg_after_cfg")
on_infotext_pasted, infotext_pasted_callback = _event("infotext_pasted")
on_script_unloaded, script_unloaded_callback = _event("script_unloaded")
on_before_ui, before_ui_callback = _event("before_ui")
