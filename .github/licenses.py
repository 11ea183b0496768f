"""Prints the licences of all that is linked into the core: `python .github/licenses.py > LICENSES-THIRD-PARTY.txt`.

Of a crate that may be had under several licences, MIT is taken. The crates are the same on all systems of a release.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEAD = """The compiled core of Sonar (sonar_sampler/_core) contains the following software, under these licences.
"""
RULE = "=" * 100
RUST = f"""{RULE}
The Rust standard library: MIT OR Apache-2.0

Copyright (c) The Rust Project Contributors

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def linked() -> list[dict[str, str]]:
    """The crates whose code is in the compiled module, from cargo; a macro's code stays in the compiler."""
    options = ["--locked", "--features", "python"]
    tree = ["cargo", "tree", *options, "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]
    lines = subprocess.check_output(tree, cwd=ROOT, text=True).splitlines()
    names = {tuple(line.split()[:2]) for line in lines} - {("sonar-sampler", lines[0].split()[1])}
    host = subprocess.check_output(["rustc", "--print", "host-tuple"], text=True).strip()
    metadata = ["cargo", "metadata", *options, "--format-version", "1", "--filter-platform", host]
    packages = json.loads(subprocess.check_output(metadata, cwd=ROOT))["packages"]
    crates = [package for package in packages if (package["name"], f"v{package['version']}") in names]
    return sorted(crates, key=lambda crate: (crate["name"], crate["version"]))


def text(crate: dict[str, str]) -> str:
    """The name of a crate and its licence."""
    folder = Path(crate["manifest_path"]).parent
    names = sorted(path.name for path in folder.iterdir() if path.name.upper().startswith(("LICENSE", "LICENCE")))
    names = [name for name in names if "MIT" in name] or names
    if not names:
        sys.exit(f"{crate['name']} {crate['version']} ({crate['license']}) comes without the text of its licence")
    texts = [(folder / name).read_text(encoding="utf-8").strip() for name in names]
    return "\n".join([RULE, f"{crate['name']} {crate['version']}: {crate['license']}", "", *texts, ""])


def listing() -> str:
    """The whole file."""
    whole = "\n".join([HEAD, *map(text, linked()), RUST])
    return "\n".join(line.rstrip() for line in whole.splitlines()) + "\n"


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    print(listing(), end="")
