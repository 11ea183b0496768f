"""What makes the page look again: the browser's part of `look`."""

from __future__ import annotations

# A slider that is dragged changes faster than the server answers, and answers may overtake each other: one request at a
# time, with the values of its own time, and one more after it if anything has changed.
#
# A picture that can be drawn on says that it has changed whenever it is shown anew, and a listener of gradio's makes it
# be shown anew, for ever. Pictures come to it by its file input or are dropped on it, and go by its button.
_LOOK = """() => {{
    const page = document.querySelector("gradio-app")?.shadowRoot ?? document;
    const look = (window.sonarLooks ||= {{}})["{button}"] ||= {{}};
    look.now ||= () => {{
        look.again = look.busy;
        if (look.busy) return;
        look.busy = true;
        page.querySelector("#{button}").click();
    }};
    const canvas = page.querySelector("#{canvas}");
    if (canvas && !look.watches) {{
        look.watches = true;
        const later = () => setTimeout(look.now, 300);
        canvas.addEventListener("change", later, true);
        canvas.addEventListener("drop", later, true);
        canvas.addEventListener("click", (event) => {{
            if (event.target.closest("[title='Remove Image']")) later();
        }}, true);
    }}
    look.now();
    return [];
}}"""
_AGAIN = """() => {{
    const look = window.sonarLooks["{button}"];
    look.busy = false;
    if (look.again) look.now();
    return [];
}}"""


def script(button: str, canvas: str) -> str:
    """The script that looks.

    Args:
        button: the id of the hidden button whose click is a request.
        canvas: the id of the picture that may have no listener of gradio's.
    """
    return _LOOK.format(button=button, canvas=canvas)


def script_after(button: str) -> str:
    """The script for when the answer is there."""
    return _AGAIN.format(button=button)
