"""Reads the fenced blocks of the documentation, and compares outputs loosely.

A comment in the line before a block says how it is tested, if not by simply running it:

    <!-- run: by the clone test -->       tests/cluster/test_fresh_clone.py runs these commands
    <!-- run: by the demo of these tests --> the demo that the pages' commands talk to
    <!-- run: by the test run itself -->  a command that would start the tests from within
    <!-- parse: node.toml -->             read by the product's own parser, not run

``text`` blocks are drawings and formulas; every other language is run or parsed.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

REPO = Path(__file__).parents[2]
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[^\s`]*)\s*$")
NOTE = re.compile(r"^ *<!-- (?P<name>run|parse): (?P<value>.+?) -->\s*$")
PARSED_ELSEWHERE = {"benchmarks.md"}
"""Pages of measurements, whose commands take long; their own tests run them."""

CLONE_TESTED = {
    "make demo",
    "make demo ARGS=--background",
    'eval "$(python3 docs/env.py)"',
    "make demo ARGS=--stop",
}
ITSELF_TESTED = {
    "make test",
    'make test ARGS="tests/unit"',
    'make test ARGS="-k refund"',
    'make test ARGS="-n 0 tests/cluster/test_flood.py"',
    'make test ARGS="-n 0 -s tests/interop/test_sdk_suite.py"',
    'make test ARGS="-n 0 tests/interop/test_sdks.py"',
    'BAILIWICK_SCHEMATHESIS_EXAMPLES=200 make test ARGS="-n 0 tests/interop/test_schemathesis.py"',
    "make test-busy",
    'make test-busy ARGS="tests/postgres"',
}
DEMO_TESTED = {'make demo ARGS="--background --overview"'}
RUN_BY = {
    "by the clone test": CLONE_TESTED,
    "by the demo of these tests": DEMO_TESTED,
    "by the test run itself": ITSELF_TESTED,
}


@dataclass
class Block:
    """A fenced block: where it stands, what it holds, and the comment before it."""

    page: str
    line: int
    language: str
    text: str
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass
class Command:
    """A command line and the output shown for it (empty: not compared)."""

    text: str
    shown: str = ""


def pages() -> list[Path]:
    """Every page whose blocks are tested."""
    channels = REPO / "src" / "bailiwick" / "channels"
    found = [REPO / "README.md", *sorted((REPO / "docs").rglob("*.md"))]
    found += sorted(channels.glob("*/page.md"))
    skipped = {"_build", "_channels", "changes"}
    return [
        page
        for page in found
        if page.name not in PARSED_ELSEWHERE and not skipped & set(page.relative_to(REPO).parts)
    ]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order. Raises ValueError for a fence left open."""
    found: list[Block] = []
    notes: dict[str, str] = {}
    inside: list[str] | None = None
    start, language, indent = 0, "", 0
    name = str(page.relative_to(REPO))
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = FENCE.match(line)
        if inside is not None:
            if line.strip() == "```":
                if not language.startswith("{"):  # a directive of the page itself
                    found.append(Block(name, start, language, "\n".join(inside), notes))
                inside, notes = None, {}
            else:
                inside.append(line[indent:])
        elif fence is not None:
            start, language, inside = number, fence["language"], []
            indent = len(fence["indent"])
        elif note := NOTE.match(line):
            notes[note["name"]] = note["value"]
        elif line.strip():
            notes = {}
    if inside is not None:
        raise ValueError(f"{name}:{start}: the fence is never closed")
    return found


def commands(block: Block) -> list[Command]:
    """The commands of a block: lines after ``$ `` (console), or the whole text (sh)."""
    if block.language == "sh":
        return [Command(block.text)]
    found: list[Command] = []
    continues = False
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:]))
        elif continues:
            found[-1].text += "\n" + line
        elif found:
            found[-1].shown += line + "\n"
        else:
            raise ValueError(f"{block.place}: a console block begins with '$ '")
        continues = (line.startswith("$ ") or continues) and line.endswith("\\")
    return found


def fits(shown: str, got: str) -> bool:
    """Whether an output is as shown; ``...`` stands for any text, space at line ends is free."""
    wanted = "\n".join(line.rstrip() for line in shown.strip().splitlines())
    given = "\n".join(line.rstrip() for line in got.strip().splitlines())
    pattern = ".*?".join(re.escape(part) for part in wanted.split("..."))
    return re.fullmatch(pattern, given, re.DOTALL) is not None


def printed(code: str) -> str:
    """What the comments after ``print(...)`` say is printed."""
    found = re.findall(r"^ *print\(.*\)  # (.*)$", code, re.MULTILINE)
    return "\n".join(found)
