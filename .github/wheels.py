"""Lists the wheels of a release for `install.py`: `python .github/wheels.py FOLDER ADDRESS > wheels.json`.

FOLDER holds the wheels, which will be found at ADDRESS/NAME. A wheel of other sources than this checkout is an error.
"""

import hashlib
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import install


def listing(folder: Path, address: str) -> dict[str, object]:
    """The contents of wheels.json."""
    wheels = []
    for wheel in sorted(folder.glob("*.whl")):
        content = wheel.read_bytes()
        install.core_of(content, wheel.name)
        url = f"{address.rstrip('/')}/{wheel.name}"
        wheels.append({"name": wheel.name, "url": url, "sha256": hashlib.sha256(content).hexdigest()})
    return {"source": install.source(), "wheels": wheels}


if __name__ == "__main__":
    print(json.dumps(listing(Path(sys.argv[1]), sys.argv[2]), indent=2))
