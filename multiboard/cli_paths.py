"""Arguments of commands that are directories of runs, on this computer or remote."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from multiboard.errors import MultiboardError
from multiboard.urls import is_url

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator


class LogDir(click.Path):
    """A path, or a URL; of a URL the command gets a local copy, into which what is new is copied first.

    Args:
        exists: whether it must exist.
        file_okay: whether it may be a file.
        copied: False leaves a URL as a text to the command.
    """

    name = "directory or url"

    def __init__(self, *, exists: bool = True, file_okay: bool = False, copied: bool = True) -> None:
        super().__init__(exists=exists, file_okay=file_okay, path_type=Path)
        self._copied = copied

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """Return a path, or fail as click does."""
        if not is_url(value):
            return super().convert(value, param, ctx)
        if not self._copied:
            return value
        from multiboard.reader import local_directory

        try:
            return local_directory(value)
        except (MultiboardError, OSError) as error:
            self.fail(str(error), param, ctx)


LOG_DIR: Final = LogDir()
ANY_PATH: Final = LogDir(exists=False, file_okay=True)


@contextlib.contextmanager
def up_to_date(log_dir: Path | str, say: Callable[[str], None], every: float = 15.0) -> Iterator[Path]:
    """Yield a directory; that of a URL is a copy into which what is new there is copied as long as it is in use.

    Args:
        log_dir: a directory, or a URL.
        say: called with a sentence for a person.
        every: seconds between two looks at the URL.

    Raises:
        ClickException: the URL cannot be read at first, or the copy cannot be written.
    """
    if not is_url(log_dir):
        yield Path(log_dir)
        return
    from multiboard.remote.mirror import Mirror, Mirroring

    try:
        mirror = Mirror(str(log_dir))
        done = mirror.update()
    except (MultiboardError, OSError) as error:
        raise click.ClickException(str(error)) from error
    say(f"{mirror.url}: {done.total} files, of which {done.files} are new ({done.size / 1e6:.1f} MB), are in {mirror.path}")
    with Mirroring(mirror, every, say):
        yield mirror.path
