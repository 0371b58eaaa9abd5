"""Logs of a node: sentences with facts beside them, for people on the terminal and for programs in a file.

Call ``log.info("reconnected", broker=url, seconds=3)``: the first argument is a fixed sentence, which can
be searched for; what varies stands in fields. Nobody may log a capability. Since somebody will, every
line passes a filter that masks whatever looks like one, tracebacks included.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final

from tahoe.errors import BadConfiguration

LOG_BYTES: Final = 10_000_000
LOGS_KEPT: Final = 3

_FIELDS: Final = "tahoe_fields"
_CAPABILITY: Final = re.compile(r"(?:x-[a-z0-9-]+-)?URI(?::|%3A)[^\s\"'<>\\]+", re.IGNORECASE)
_MASK: Final = "URI:(masked)"


def mask(text: str) -> str:
    """The text with everything that looks like a capability masked."""
    return _CAPABILITY.sub(_MASK, text)


class NodeLog:
    """Writes one node's log. Several nodes in one process have one each.

    Args:
        logger: where it goes.
        fixed: fields that stand in every line.
    """

    __slots__ = ("_fixed", "_logger")

    def __init__(self, logger: logging.Logger, **fixed: Any) -> None:
        self._logger = logger
        self._fixed = fixed

    def debug(self, message: str, **fields: Any) -> None:
        """For whoever looks for a bug."""
        self._write(logging.DEBUG, message, fields)

    def info(self, message: str, **fields: Any) -> None:
        """What an operator may like to know later."""
        self._write(logging.INFO, message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        """Something an operator should look at some day."""
        self._write(logging.WARNING, message, fields)

    def error(self, message: str, **fields: Any) -> None:
        """Something an operator should look at now."""
        self._write(logging.ERROR, message, fields)

    def failure(self, message: str, error: BaseException, **fields: Any) -> None:
        """A bug, with its traceback."""
        self._write(logging.ERROR, message, fields, error)

    def _write(self, level: int, message: str, fields: dict[str, Any], error: BaseException | None = None) -> None:
        self._logger.log(level, message, extra={_FIELDS: self._fixed | fields}, exc_info=error)

    def close(self) -> None:
        """Close the files."""
        for handler in tuple(self._logger.handlers):
            self._logger.removeHandler(handler)
            handler.close()


def open_log(name: str, file: Path, level: str = "info", *, as_json: bool = False, terminal: bool = False) -> NodeLog:
    """Open a node's log.

    Args:
        name: tells the nodes of one process apart on the terminal.
        file: is rotated at 10 MB, three old ones are kept.
        level: least serious level that is written.
        as_json: one JSON object a line in the file.
        terminal: write to standard error as well.

    Raises:
        BadConfiguration: the file can't be opened.
    """
    logger = logging.Logger(name, level.upper())  # noqa: LOG001  # not registered: it ends with the node
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        to_file = RotatingFileHandler(file, maxBytes=LOG_BYTES, backupCount=LOGS_KEPT, encoding="utf-8", delay=False)
    except OSError as error:
        raise BadConfiguration(f"{file}: can't be written ({error.strerror})") from error
    to_file.setFormatter(JsonFormatter() if as_json else HumanFormatter())
    logger.addHandler(to_file)
    if terminal:
        to_terminal = logging.StreamHandler(sys.stderr)
        to_terminal.setFormatter(HumanFormatter())
        logger.addHandler(to_terminal)
    return NodeLog(logger)


class HumanFormatter(logging.Formatter):
    """``2026-11-24 08:20:16 info  nickname: sentence field=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback below where there is one."""
        when = dt.datetime.fromtimestamp(record.created).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        fields = "".join(f" {name}={_shown(value)}" for name, value in _fields(record).items())
        line = f"{when} {record.levelname.lower():7} {record.name}: {record.getMessage()}{fields}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return mask(line)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time level node message`` and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        entry: dict[str, Any] = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(),
            "level": record.levelname.lower(),
            "node": record.name,
            "message": record.getMessage(),
        }
        entry.update(_fields(record))
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return mask(json.dumps(entry, default=str, ensure_ascii=False))


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    found = getattr(record, _FIELDS, {})
    assert isinstance(found, dict)
    return found


def _shown(value: Any) -> str:
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return json.dumps(text, ensure_ascii=False) if " " in text or not text else text
