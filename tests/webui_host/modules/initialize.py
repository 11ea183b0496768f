"""Start, and "Reload UI"."""

from pathlib import Path

import torch

from modules import paths, script_callbacks, scripts, sd_models, sd_samplers, shared, ui, upscaler
from modules.api.api import Api
from modules.call_queue import queue_lock


def start(data_dir, extensions, port):
    """The whole host; its URL."""
    torch.set_num_threads(1)
    paths.data_path = str(data_dir)
    config = shared.config_filename = Path(data_dir) / "config.json"
    if config.exists():
        shared.opts.load(config)
    scripts.extension_dirs[:] = [str(folder) for folder in extensions]
    sd_models.load()
    return load_and_serve(port)


def reload(port):
    """Reload UI: everything of the scripts again, but `modules` and installed packages stay as they are."""
    shared.demo.close()
    script_callbacks.app_reload_callback()
    script_callbacks.script_unloaded_callback()
    return load_and_serve(port)


def load_and_serve(port):
    sd_samplers.set_samplers()
    scripts.load_scripts()
    upscaler.load_upscalers()
    script_callbacks.before_ui_callback()
    shared.demo = ui.create_ui()
    shared.demo.queue(64)
    app, url, _ = shared.demo.launch(
        server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, quiet=True, show_api=False, show_error=True
    )
    shared.api = Api(app, queue_lock)
    script_callbacks.app_started_callback(shared.demo, app)
    return url.rstrip("/")
