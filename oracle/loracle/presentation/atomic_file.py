"""A file that appears whole or not at all, and whose place is claimed before the work begins."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from types import TracebackType

from loracle.errors import UsageError

__all__ = ["AtomicFile"]


class AtomicFile:
    """`with AtomicFile(path) as file: ... file.write(text)`.

    Entering makes a temporary file beside `path`; raises UsageError, in one line, if that cannot be
    done. `write` puts the content into it and renames it to `path`, replacing what was there.
    Leaving without a write leaves `path` as it was. A link is followed, and something that is not a
    plain file (a pipe, /dev/null) is written to directly.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(os.path.realpath(path))
        self._shown = os.fspath(path)
        self._temporary: Path | None = None

    def __enter__(self) -> AtomicFile:
        folder = self._path.parent
        if self._path.is_dir():
            raise UsageError(f"cannot write {self._shown}: it is a directory; name a file")
        if not folder.is_dir():
            raise UsageError(f"cannot write {self._shown}: there is no directory {folder}")
        if self._is_special():
            return self
        try:
            handle, name = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=folder)
        except OSError as error:
            # Where the system has files of its own alone, it denies the folder that is there.
            why = "" if error.errno == errno.ENOENT else f": {error.strerror}"
            raise UsageError(
                f"cannot write {self._shown}: no file can be made in {folder}{why}"
            ) from None
        os.close(handle)
        self._temporary = Path(name)
        return self

    def write(self, content: str | bytes) -> None:
        """Writes the whole of the content, text as UTF-8; once. Raises UsageError if the system
        refuses."""
        try:
            self._write(content.encode() if isinstance(content, str) else content)
        except OSError as error:
            raise UsageError(f"cannot write {self._shown}: {error.strerror}") from None

    def _write(self, content: bytes) -> None:
        if self._temporary is None:
            self._path.write_bytes(content)
            return
        self._temporary.write_bytes(content)
        # mkstemp makes a file that only its owner can read; this gives the usual permissions.
        mask = os.umask(0)
        os.umask(mask)
        self._temporary.chmod(0o666 & ~mask)
        self._temporary.replace(self._path)
        self._temporary = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)

    def _is_special(self) -> bool:
        return self._path.exists() and not self._path.is_file()
