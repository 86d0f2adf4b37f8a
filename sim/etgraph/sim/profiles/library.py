"""Profiles by name or path: those that come with etgraph, and files that may build on them or on each other."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path

from etgraph.model.errors import NotFound
from etgraph.model.settings.document import Node, document, merged, text_of
from etgraph.model.settings.problems import Problem, near
from etgraph.sim.profiles.profile import Profile
from etgraph.sim.profiles.reading import ProfileError, profile_of

_SUFFIX = ".toml"
_OWN = ("name", "description", "extends", "ranks")
"""Keys that are about one file, and not taken over from what it builds on."""


@cache
def builtin_names() -> tuple[str, ...]:
    """Names of the profiles that come with etgraph, sorted."""
    return tuple(sorted(each.name.removesuffix(_SUFFIX) for each in _builtin().iterdir() if _is_profile(each.name)))


def builtin_text(name: str) -> str:
    """The file of a built-in profile, as it is."""
    return (_builtin() / f"{name}{_SUFFIX}").read_text("utf-8")


def load(name_or_path: str | Path) -> Profile:
    """A built-in profile by its name, or the profile in a file.

    What is a built-in name means that one; write `./name` for a file of the same name. Raises NotFound where there is
    neither, ProfileError (all problems, each with its line) for a file that is no profile.

    >>> load("h100-sxm").device.memory_bandwidth
    3350000000000.0
    """
    text = str(name_or_path)
    if isinstance(name_or_path, str) and text in builtin_names():
        return _load_builtin(text)
    path = Path(name_or_path).expanduser()
    if not path.exists() and isinstance(name_or_path, str) and not _looks_like_path(text):
        raise _unknown(text)
    return profile_of(_of_file(path, ()))


def loads(text: str, *, file: str = "profile.toml", folder: Path | None = None) -> Profile:
    """The profile in a TOML text; `file` names it in messages, paths that it builds on are relative to `folder`."""
    return profile_of(_on_its_base(document(text, file, ProfileError), Path(file).name, folder or Path(), ()))


@cache
def _load_builtin(name: str) -> Profile:
    return profile_of(_of_builtin(name, ()))


def _of_builtin(name: str, chain: tuple[str, ...]) -> Node:
    text = builtin_text(name)
    return _on_its_base(document(text, f"{name}{_SUFFIX} (built in)", ProfileError), name, None, (*chain, name))


def _of_file(path: Path, chain: tuple[str, ...]) -> Node:
    text = text_of(path, "'etgraph profile list' lists built-in profiles")
    return _on_its_base(document(text, str(path), ProfileError), path.name, path.parent, (*chain, str(path.resolve())))


def _on_its_base(root: Node, name: str, folder: Path | None, chain: tuple[str, ...]) -> Node:
    """The tree with what it builds on below it, and the name of its file where it gives itself none."""
    extends = root.table.get("extends")
    own = {key: value for key, value in root.table.items() if key != "extends"}
    own.setdefault("name", Node(name.removesuffix(_SUFFIX), root.file))
    if extends is None:
        return replace(root, value=own)
    base = _base(extends, folder, chain)
    inherited = {key: value for key, value in base.table.items() if key not in _OWN}
    return merged(replace(base, value=inherited), replace(root, value=own))


def _base(extends: Node, folder: Path | None, chain: tuple[str, ...]) -> Node:
    def refuse(found: str, expected: str, hint: str | None = None) -> ProfileError:
        return ProfileError([Problem(extends.file, extends.line, "extends", found, expected, hint)])

    name = extends.value
    if not isinstance(name, str):
        raise refuse("no text", "the name of a built-in profile, or a path")
    path = None if folder is None or name in builtin_names() else folder / name
    if (name if path is None else str(path.resolve())) in chain:
        raise refuse(f'"{name}", which builds on this file', "a profile that does not")
    if path is None and name in builtin_names():
        return _of_builtin(name, chain)
    if path is None or not path.is_file():
        raise refuse(f'"{name}"', "the name of a built-in profile, or a path from this file's folder",
                     near(name, builtin_names()))  # fmt: skip
    return _of_file(path, chain)


def _unknown(name: str) -> NotFound:
    hint = near(name, builtin_names())
    listed = "'etgraph profile list' lists the built-in ones; a file is named by its path"
    return NotFound(f"no profile {name!r}", hint=f"{hint} {listed}" if hint else listed)


def _looks_like_path(text: str) -> bool:
    return "/" in text or text.endswith(_SUFFIX) or text.startswith(("~", "."))


def _is_profile(name: str) -> bool:
    return name.endswith(_SUFFIX)


def _builtin() -> resources.abc.Traversable:
    return resources.files(__package__) / "builtin"
