"""Completes torch on Linux after `dev.lock` is installed.

Its wheels there are built for CUDA: `import torch` links to 1.7 GB of libraries that nothing uses without a GPU.
With a driver the libraries of `cuda.lock` are installed. Without one, torch gets one library of empty functions in
place of all of them; a function that is called ends the process and says its name.
"""

import ctypes
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

LOCK = Path(__file__).with_name("cuda.lock")
STAND_IN = "libsonar_no_cuda.so"
PREFIX = "(?:cublas|cudnn|cufft|curand|cusparse|nccl|nvshmem)"
SOURCE = """#include <stdio.h>
#include <stdlib.h>
#define EMPTY(name) void name(void) { fputs(#name ": there is no GPU (requirements/cuda.py)\\n", stderr); abort(); }
"""


def has_driver() -> bool:
    """Whether the driver's library is on this machine."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def output(*command: str | Path) -> str:
    """What a command of the compiler's tools prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def wanted(folder: Path) -> tuple[set[str], dict[str, set[str]]]:
    """The libraries that torch links to, and the functions it takes from them, by their version (`""` for none)."""
    libraries: set[str] = set()
    functions: dict[str, set[str]] = {}
    for path in folder.glob("*.so"):
        if path.name == STAND_IN:
            continue
        libraries |= set(re.findall(rf"NEEDED.*\[(lib{PREFIX}\S*)\]", output("readelf", "--dynamic", path)))
        undefined = output("nm", "--dynamic", "--undefined-only", path)
        for name, version in re.findall(rf"\bU ({PREFIX}\w*)(?:@(\S+))?$", undefined, re.MULTILINE):
            functions.setdefault(version, set()).add(name)
    return libraries, functions


def stand_in(folder: Path) -> None:
    """Puts the library of empty functions beside torch's own, under the name of every one that it stands for."""
    libraries, functions = wanted(folder)
    names = sorted(set().union(*functions.values()))
    with tempfile.TemporaryDirectory() as made:
        source, versions = Path(made, "empty.c"), Path(made, "versions")
        source.write_text(SOURCE + "".join(f"EMPTY({name})\n" for name in names))
        versions.write_text("".join(f"{version} {{ {'; '.join(sorted(functions[version]))}; }};\n"
                                    for version in sorted(functions) if version))  # fmt: skip
        library = folder / STAND_IN
        output("cc", "-shared", "-fPIC", "-o", library, source, f"-Wl,--version-script={versions}")
    for name in libraries:
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(STAND_IN)


def main() -> None:
    """Installs the CUDA libraries, or the stand-in."""
    if sys.platform != "linux":
        return
    if has_driver():
        uv = Path(sys.executable).with_name("uv")
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--requirements", LOCK], check=True
        )
    else:
        stand_in(Path(sysconfig.get_path("purelib"), "torch", "lib"))


if __name__ == "__main__":
    main()
