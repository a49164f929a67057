"""Writes a project of your own: an option, its class, an experiment, a test and a README.

vae-lab new my-project
"""

import keyword
import re
from pathlib import Path

from vae_lab.console.command import Words, as_started, command
from vae_lab.errors import UsageError

TEMPLATES = Path(__file__).parent / "new_project"
ENDING = ".template"


def new(words: Words) -> int:
    """Writes the project into a folder that is not there yet."""
    if len(words.names) != 1:
        raise UsageError(as_started("name one folder for the project, as in: vae-lab new my-project"))
    folder = Path(words.names[0]).expanduser()
    package = package_of(folder)
    if folder.exists() or folder.is_symlink():
        raise UsageError(f"{folder} is there already; name a folder that is not")
    try:
        for template in sorted(TEMPLATES.rglob(f"*{ENDING}")):
            place = folder / place_of(template.relative_to(TEMPLATES), package)
            place.parent.mkdir(parents=True, exist_ok=True)
            text = template.read_text(encoding="utf-8")
            text = text.replace("{{project}}", folder.name).replace("{{package}}", package)
            place.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{folder} cannot be written ({error}); name another folder") from None
    print(f"{folder}: a project of its own. To begin:\n  cd {folder}\n  vae-lab train experiment=student_or_mvn")
    return 0


def package_of(folder: Path) -> str:
    """The project's package, by the folder's name.

    Raises:
      UsageError: where none can be made of it.
    """
    package = re.sub(r"[-.]", "_", folder.name).lower()
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", package) or keyword.iskeyword(package) or package in ("vae_lab", "tests"):
        raise UsageError(f"{folder.name} makes no name of a package; use letters, digits and -, such as my-project")
    return package


def place_of(template: Path, package: str) -> str:
    """Where a template's file goes, in the project's folder."""
    parts = [package if part == "PACKAGE" else part for part in template.parts]
    name = parts.pop().removesuffix(ENDING)
    return "/".join([*parts, ".gitignore" if name == "gitignore" else name])


main = command(new, __doc__, names=True)
