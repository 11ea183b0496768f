"""Lists the wheels of a release for `install.py`: `python .github/wheels.py FOLDER ADDRESS > wheels.json`.

FOLDER holds the wheels, which will be found at ADDRESS/NAME; the checkout must be the one they were built from.
"""

import hashlib
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import install


def listing(folder: Path, address: str) -> dict[str, object]:
    """The contents of wheels.json."""
    wheels = [
        {
            "name": wheel.name,
            "url": f"{address.rstrip('/')}/{wheel.name}",
            "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        }
        for wheel in sorted(folder.glob("*.whl"))
    ]
    return {"release": install.release(), "wheels": wheels}


if __name__ == "__main__":
    print(json.dumps(listing(Path(sys.argv[1]), sys.argv[2]), indent=2))
