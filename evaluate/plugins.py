"""Scores from a file of the user's own."""

import runpy
from pathlib import Path

from ..errors import DipbenchError, ScoreError, named, one_line
from .scores import SCORES


def load_plugin(path: Path | str) -> list[str]:
    """Run a Python file that registers scores, and return the names it added.

    Nothing stays registered from a file that fails.

    Args:
        path: of a file that calls `register_score`.

    Raises:
        ScoreError: if there is no such file, it raises, redefines a score or registers none.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from dipbench.evaluate import SCORES, score
    >>> from dipbench.evaluate.plugins import load_plugin
    >>> file = Path(tempfile.mkdtemp()) / "my_score.py"
    >>> _ = file.write_text('''
    ... from dipbench.evaluate import register_score
    ...
    ... @register_score("largest_value", direction="lower", inputs="output")
    ... def largest_value(output):
    ...     return output.max()
    ... ''')
    >>> load_plugin(file), score([[[0.0, 0.5]]], names=["largest_value"])
    (['largest_value'], {'largest_value': 0.5})
    >>> _ = SCORES.pop("largest_value")
    """
    path = Path(path)
    before = dict(SCORES)
    try:
        runpy.run_path(str(path))
        added = [name for name in SCORES if name not in before]
        if not added:
            raise ScoreError("it registers no score; use @register_score from dipbench.evaluate")
    except (Exception, SystemExit) as error:
        SCORES.clear()
        SCORES.update(before)
        raise ScoreError(f"plugin {path}: {_described(error, path)}") from error
    return added


def _described(error: BaseException, plugin: Path) -> str:
    if isinstance(error, OSError) and error.filename == str(plugin.absolute()):
        return f"cannot be read ({one_line(error)})"
    return str(error) if isinstance(error, DipbenchError) else named(error)
