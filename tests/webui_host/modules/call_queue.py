"""One job at a time; what a job raises is shown in the page."""

import functools
import html
import threading
import time

from modules import errors, shared

queue_lock = threading.Lock()


def wrap_queued_call(func):
    @functools.wraps(func)
    def f(*args, **kwargs):
        with queue_lock:
            return func(*args, **kwargs)

    return f


def wrap_gradio_gpu_call(func, extra_outputs=None):
    @functools.wraps(func)
    def f(*args, **kwargs):
        start = time.perf_counter()
        with queue_lock:
            shared.state.begin(job="page")
            try:
                res = list(func(*args, **kwargs))
            except Exception as e:
                errors.report("Error completing request", exc_info=True)
                res = [
                    *(extra_outputs or [None, ""]),
                    f"<div class='error'>{html.escape(f'{type(e).__name__}: {e}')}</div>",
                ]
            finally:
                shared.state.end()
                shared.state.interrupted = shared.state.skipped = False
        res[-1] += f"<p class='time'>Time taken: {time.perf_counter() - start:.1f} sec.</p>"
        return tuple(res)

    return f
