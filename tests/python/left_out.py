"""What a run of the tests left out and why, in one block at its end."""

from collections import Counter

ALWAYS = (
    "a GPU: torch runs on the CPU here",
    "tests/webui, the panel, requests, X/Y/Z plot and upscalers in a real web UI: make webui WEBUI=FOLDER-OR-URL",
)


def block(skips):
    """The lines, from the reasons of the skipped tests."""
    counted = Counter(reason.removeprefix("Skipped: ") for reason in skips)
    lines = [f"{count} skipped: {reason}" for reason, count in counted.most_common()]
    return [*lines, *ALWAYS]


def report(terminal):
    """Writes the block; pytest's own summary follows."""
    terminal.section("left out")
    for line in block(report.longrepr[2] for report in terminal.stats.get("skipped", ())):
        terminal.line(f"- {line}")
