"""What a run of the tests left out and why, in one block at its end."""

import sys
from collections import Counter

PYTHON = f"Python {sys.version_info[0]}.{sys.version_info[1]}"
ALWAYS = (
    "a GPU: torch runs on the CPU here",
    "a real web UI: pytest tests/webui --webui PATH-OR-URL",
)


def why(reason):
    """A skip's reason in the words of somebody who did not write the test."""
    reason = reason.removeprefix("Skipped: ")
    if "'gradio'" in reason or "'playwright'" in reason:
        if sys.version_info >= (3, 13):
            return f"the web UI's page and API: gradio 3 is not made for {PYTHON}, take 3.10, 3.11 or 3.12"
        return "the web UI's page and API: gradio or playwright is not installed"
    return reason


def block(skips):
    """The lines, from the reasons of the skipped tests."""
    counted = Counter(why(reason) for reason in skips)
    lines = [f"{count} skipped: {reason}" for reason, count in counted.most_common()]
    return [*lines, *ALWAYS]


def report(terminal):
    """Writes the block; pytest's own summary follows."""
    terminal.section("left out")
    for line in block(report.longrepr[2] for report in terminal.stats.get("skipped", ())):
        terminal.line(f"- {line}")
