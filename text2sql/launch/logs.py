"""Log files that children write themselves, so that no child ever waits for whoever reads them."""

import io
import os
import re
import shutil
from pathlib import Path

KEEP_BYTES = 20_000_000
_READ_BYTES = 65_536
_ALARM = re.compile(r"\b(WARNING|ERROR|CRITICAL|FATAL|PANIC)\b|\[(warn|warning|error|critical)\]")


class LogFile:
    """One child's log: opened for appending, read behind the writer, kept below two times KEEP_BYTES."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.rotate()
        self._offset = self._size()

    def open(self) -> io.FileIO:
        """A handle for a child's stdout and stderr; the caller closes it after the start."""
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return io.FileIO(handle, "a")

    def rotate(self) -> None:
        """Move what is there into `<name>.1` once it is too long.

        The file is emptied in place because its writers hold it open; a line written in between is lost.
        """
        if self._size() <= KEEP_BYTES:
            return
        shutil.copyfile(self.path, self.path.with_name(self.path.name + ".1"))
        os.truncate(self.path, 0)
        self._offset = 0

    def fresh_lines(self) -> list[str]:
        """The complete lines written since the last call, at most 64 KB of them: the newest."""
        size = self._size()
        if size == self._offset:
            return []
        start = min(self._offset, size)
        skipped = size - start > _READ_BYTES
        if skipped:
            start = size - _READ_BYTES
        with self.path.open("rb") as file:
            file.seek(start)
            data = file.read(_READ_BYTES)
        if skipped:
            start += data.find(b"\n") + 1
            data = data[data.find(b"\n") + 1 :]
        complete = data.rfind(b"\n") + 1
        if not complete and len(data) == _READ_BYTES:
            complete = len(data)  # a line without end must not stop the reading
        self._offset = start + complete
        return data[:complete].decode(errors="replace").splitlines()

    def tail(self, lines: int) -> str:
        """The last lines, joined."""
        with self.path.open("rb") as file:
            file.seek(max(self._size() - _READ_BYTES, 0))
            text = file.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0


def is_alarm(line: str) -> bool:
    """Whether a log line is a warning or worse, and so belongs on the terminal too."""
    return bool(_ALARM.search(line))
