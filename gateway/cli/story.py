"""How `demo` tells what happens: one step after the other, with what was asked, over what, and what came back.

Colours and wrapping only on a terminal; plain lines elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.text import Text

_WIDTH_MAX = 150


@dataclass(slots=True, kw_only=True)
class Step:
    """One step and its checks: text of each, and whether it came out as it must."""

    number: int
    title: str
    checks: list[tuple[str, bool]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return bool(self.checks) and all(ok for _, ok in self.checks)


class Story:
    """`quiet` prints nothing; the steps are there to be read afterwards."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.steps: list[Step] = []
        self._console = Console(soft_wrap=True, highlight=False, quiet=quiet)

    @property
    def ok(self) -> bool:
        return bool(self.steps) and all(step.ok for step in self.steps)

    def begin(self, title: str) -> None:
        """The next step."""
        self.steps.append(Step(number=len(self.steps) + 1, title=title))
        self._console.print(Text(f"\n{self.steps[-1].number}. {title}", style="bold"))

    def asked(self, connection: str, call: str) -> None:
        self._line("→", f"{call}   [{connection}]", "cyan")

    def tell(self, text: str) -> None:
        self._line(" ", text, "")

    def check(self, text: str, ok: bool) -> None:
        """What came back, and whether it is what must come back."""
        self.steps[-1].checks.append((text, ok))
        self._line("ok" if ok else "FAILED", text, "green" if ok else "bold red")

    def end(self) -> None:
        good = sum(step.ok for step in self.steps)
        style = "bold green" if self.ok else "bold red"
        self._console.print(Text(f"\n{good} of {len(self.steps)} steps came out as they must.", style=style))

    def body(self) -> dict[str, Any]:
        """The whole story as JSON."""
        return {
            "ok": self.ok,
            "steps": [
                {
                    "number": step.number,
                    "title": step.title,
                    "ok": step.ok,
                    "checks": [{"text": text, "ok": ok} for text, ok in step.checks],
                }
                for step in self.steps
            ],
        }

    def _line(self, mark: str, text: str, style: str) -> None:
        shown = text if len(text) <= _WIDTH_MAX else text[: _WIDTH_MAX - 1] + "…"
        self._console.print(Text.assemble((f"   {mark:<6} ", style), shown))
