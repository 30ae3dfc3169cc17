"""Record the golden answers: ``python -m tests.golden.record [SCENE ...]``.

Plays the scenes (all, unless some are named) on a fresh system and writes ``answers/*.txt``. Only
for an intended change of behaviour; the difference in the recorded files is then part of what is
reviewed. See ``test_golden.py``.
"""

import sys

from tests.golden.play import Player, written
from tests.golden.script import ANSWERS, ScriptError, load, scene_names
from tests.golden.system import running


def main(names: list[str]) -> int:
    """Record scenes by name; 1 when one cannot be played."""
    unknown = set(names) - set(scene_names())
    if unknown:
        print(f"no such scene: {', '.join(sorted(unknown))}; known: {', '.join(scene_names())}")
        return 1
    ANSWERS.mkdir(exist_ok=True)
    if not names:
        for file in ANSWERS.glob("*.txt"):
            if file.stem not in scene_names():
                file.unlink()
    failed = 0
    with running() as system:
        for name in sorted(names) or scene_names():
            scene = load(name)
            try:
                answers = Player(system, scene).play()
            except ScriptError as error:
                print(error)
                failed = 1
                continue
            scene.recorded.write_text(written(answers), encoding="utf-8")
            print(f"{name}: {len(answers)} answers")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
