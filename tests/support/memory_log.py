"""A log that keeps what it is told."""


class MemoryLog:
    """Takes what `telemetry.logs.Logger` takes: level, message and fields of each line."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    def debug(self, msg: str, /, **fields: object) -> None:
        self.lines.append(("debug", msg, fields))

    def info(self, msg: str, /, **fields: object) -> None:
        self.lines.append(("info", msg, fields))

    def warning(self, msg: str, /, **fields: object) -> None:
        self.lines.append(("warning", msg, fields))

    def error(self, msg: str, /, **fields: object) -> None:
        self.lines.append(("error", msg, fields))

    @property
    def messages(self) -> list[str]:
        return [message for _, message, _ in self.lines]
