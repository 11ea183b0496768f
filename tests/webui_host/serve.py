"""Runs the test host as a process: python serve.py --port 7860 --data-dir DIR --extension DIR."""

import argparse
import os
import threading
from pathlib import Path

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("OMP_NUM_THREADS", "1")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--extension", type=Path, action="append", default=[])
    args = parser.parse_args()
    from modules import initialize

    print("Running on", initialize.start(args.data_dir, args.extension, args.port), flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
