"""Errors go to the log and to `reported`, where tests look."""

import sys
import traceback

reported: list[str] = []


def report(message, *, exc_info=False):
    text = message + ("\n" + traceback.format_exc() if exc_info else "")
    reported.append(text)
    print("***", text, file=sys.stderr)


def display(e, task, *, full_traceback=False):
    report(f"{task}: {type(e).__name__}: {e}", exc_info=True)


def print_error_explanation(message):
    report(message)


def print_traceback_report():
    report("", exc_info=True)
