"""Security profiles from files: TOML, or the product's CFTSSL commands."""

from __future__ import annotations

from pathlib import Path

from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.profile import Profile
from tlsexit.profiles.cftssl import read_cftssl
from tlsexit.profiles.elements import ProfileError
from tlsexit.profiles.toml import read_toml

__all__ = ["ProfileError", "load_profiles", "read_cftssl", "read_toml"]


def load_profiles(file: str | Path) -> dict[tuple[Role, str], Profile]:
    """Return the profiles in a file by direction and id: TOML if its name ends in ``.toml``, else CFTSSL commands.

    Raises :class:`LocalError` for a file that cannot be read, :class:`ProfileError` for one that cannot be used.
    """
    path = Path(file)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise LocalError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise LocalError(f"{path}: not text in UTF-8") from error
    read = read_toml if path.suffix.lower() == ".toml" else read_cftssl
    return read(text, str(path))
