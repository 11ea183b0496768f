"""Where things are; `data_path` is set at start."""

import tempfile
from pathlib import Path

script_path = str(Path(__file__).resolve().parent.parent)
data_path = tempfile.gettempdir()
extensions_dir = str(Path(data_path) / "extensions")
models_path = str(Path(data_path) / "models")
