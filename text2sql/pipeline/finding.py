"""What is wrong with a statement, in words for a person and for Claude."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong; `closest` are names that may have been meant."""

    code: str
    message: str
    closest: tuple[str, ...] = ()
    severity: Literal["error", "warning"] = "error"

    def as_document(self) -> dict[str, Any]:
        return {
            "severity": self.severity,
            "code": self.code,
            "message": self.message,
            "closest": list(self.closest),
        }

    def __str__(self) -> str:
        names = f" Closest names: {', '.join(self.closest)}." if self.closest else ""
        return f"{self.message}{names}"
