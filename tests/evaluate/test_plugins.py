from pathlib import Path

import pytest

from dipbench.errors import ScoreError
from dipbench.evaluate import SCORES, score
from dipbench.evaluate.plugins import load_plugin

HEAD = "from dipbench.evaluate import register_score\n"
GOOD = (
    HEAD + "@register_score('ours', inputs='output')\ndef ours(output):\n    return output.mean()\n"
)


@pytest.fixture(autouse=True)
def _registry_as_before():
    before = dict(SCORES)
    yield
    SCORES.clear()
    SCORES.update(before)


@pytest.fixture
def plugin(tmp_path):
    def write(text):
        file = tmp_path / "my_score.py"
        file.write_text(text)
        return file

    return write


def test_a_plugin_adds_its_scores(plugin):
    assert load_plugin(plugin(GOOD)) == ["ours"]
    assert score([[[0.0, 1.0]]], names=["ours"]) == {"ours": 0.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + GOOD, "'ours' is registered already"),
        (GOOD.replace("ours", "psd_db_mse"), "'psd_db_mse' is registered already"),
        (GOOD + "1 / 0", "ZeroDivisionError"),
        ("def broken(:", "SyntaxError"),
        ("x = 1", "registers no score"),
        (GOOD + "raise ValueError('two\\nlines')", "ValueError: two lines"),
        (GOOD + "raise SystemExit(0)", "SystemExit: 0"),
        (GOOD + "open('weights.npy')", "FileNotFoundError: .*weights.npy"),
    ],
)
def test_a_bad_plugin_is_refused_whole(plugin, text, message):
    before = dict(SCORES)
    with pytest.raises(ScoreError, match=message) as caught:
        load_plugin(plugin(text))
    assert "my_score.py" in str(caught.value)
    assert before == SCORES


@pytest.mark.parametrize("folder", ["", "."])
def test_a_plugin_that_is_not_there_is_named(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ScoreError, match=r"missing\.py: cannot be read \(No such file"):
        load_plugin(Path(folder or tmp_path) / "missing.py")
