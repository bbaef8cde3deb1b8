"""Security profiles from files: TOML, or the product's CFTSSL commands."""

from __future__ import annotations

from pathlib import Path

from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.profile import Profile
from tlsexit.profiles.cftssl import read_cftssl
from tlsexit.profiles.elements import ProfileError
from tlsexit.profiles.toml import read_toml

__all__ = ["ProfileError", "find_profile", "load_profiles", "read_cftssl", "read_toml"]


def load_profiles(file: str | Path) -> dict[tuple[Role, str], Profile]:
    """Return the profiles in a file by direction and id: TOML if its name ends in ``.toml``, else CFTSSL commands.

    Raises :class:`LocalError` for a file that cannot be read, :class:`ProfileError` for one that cannot be used.
    """
    path = Path(file)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise LocalError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise LocalError(f"{path}: not text in UTF-8") from error
    read = read_toml if path.suffix.lower() == ".toml" else read_cftssl
    return read(text, str(path))


def find_profile(file: str | Path, direction: Role, id: str | None = None) -> Profile:
    """Return one profile of a file: that of ``id``, or the only one of ``direction``.

    Raises :class:`LocalError` as :func:`load_profiles` does, and if there is no such profile or a choice to make.
    """
    ids = {name: profile for (side, name), profile in load_profiles(file).items() if side is direction}
    if id is None and len(ids) == 1:
        return next(iter(ids.values()))
    if id is not None and id in ids:
        return ids[id]
    there_are = f"there are {', '.join(ids)}" if ids else "there is none"
    if id is None and ids:
        raise LocalError(f"{file}: has several {direction.value} profiles: {', '.join(ids)}; name one")
    raise LocalError(f"{file}: has no {direction.value} profile{'' if id is None else ' ' + id}; {there_are}")
