"""The page in a real browser: sorted, filtered, drawn and measured at two widths."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest

from dipbench.analysis.report_tables import NAMES
from dipbench.genotypes.upsample import PRIMITIVES

pytest.importorskip("selenium")

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

# Selenium leaves its sockets to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(params=["phone", "desktop"])
def opened(visit, page, request):
    return visit(page, request.param)


def column(browser, table, name):
    """The texts of a column, and its head."""
    heads = browser.find_elements(By.CSS_SELECTOR, f"#{table}-table thead th")
    place = [head.text.split(" ↑")[0].split(" ↓")[0] for head in heads].index(name)
    rows = browser.find_elements(By.CSS_SELECTOR, f"#{table}-table tbody tr")
    return heads[place], [row.find_elements(By.XPATH, "./*")[place].text for row in rows]


def click(browser, element):
    browser.execute_script(
        "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element
    )
    element.click()


def drawn(browser):
    paths = browser.find_elements(By.CSS_SELECTOR, "#figure-curves path.curve")
    return [path.get_attribute("data-model") for path in paths]


def test_it_fits_its_width(opened):
    assert opened.execute_script(
        "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    assert len(opened.find_elements(By.CSS_SELECTOR, "main > section")) == 9
    figures = opened.find_elements(By.CSS_SELECTOR, ".plot > svg")
    assert len(figures) == 10
    assert all(figure.get_attribute("aria-label") for figure in figures)


def test_a_click_sorts_and_another_turns_round(opened, content):
    psnr = content["pairs"][0]["data"][0]
    head, _ = column(opened, "models", "PSNR dB")
    click(opened, head.find_element(By.TAG_NAME, "button"))
    head, values = column(opened, "models", "PSNR dB")
    assert head.get_attribute("aria-sort") == "ascending"
    assert values == [f"{value:.2f}" for value in sorted(psnr)[:12]]
    # From the keyboard this time.
    head.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    head, values = column(opened, "models", "PSNR dB")
    assert head.get_attribute("aria-sort") == "descending"
    assert values == [f"{value:.2f}" for value in sorted(psnr, reverse=True)[:12]]


def test_a_filter_leaves_what_matches(opened, content):
    part = content["pairs"][0]
    models = [content["models"][place] for place in part["places"]]
    wanted = [rank + 1 for rank, model in enumerate(models) if "bilinear" in model]
    search = opened.find_element(By.CSS_SELECTOR, "#table-models input[type=search]")
    search.send_keys("Bilinear")
    _, ranks = column(opened, "models", "rank")
    assert ranks == [str(rank) for rank in wanted][:12]
    count = opened.find_element(By.CSS_SELECTOR, "#table-models .count").text
    assert count == f"{len(wanted)} of {len(models)} rows"


def test_a_ticked_model_is_drawn_with_its_values(opened, bench, content):
    part = content["pairs"][0]
    model = content["models"][part["places"][2]]
    before = drawn(opened)
    assert model not in before
    box = opened.find_element(By.CSS_SELECTOR, f'input[aria-label="Draw the curve of {model}"]')
    click(opened, box)
    assert drawn(opened) == [*before, model]
    outputs = opened.find_elements(By.CSS_SELECTOR, "#figure-curves output")
    curve = bench.curve(model, part["image"], part["task"])
    assert outputs[-1].text == f"{curve.max():.2f} dB"
    plot = opened.find_element(By.CSS_SELECTOR, "#figure-curves svg[tabindex]")
    opened.execute_script("arguments[0].focus()", plot)
    plot.send_keys(*[Keys.ARROW_RIGHT] * 5)
    assert outputs[-1].text == f"{curve[5]:.2f} dB"
    assert "iteration 5" in opened.find_element(By.CSS_SELECTOR, "#figure-curves .where").text
    click(opened, opened.find_element(By.CSS_SELECTOR, f'button[aria-label="Remove {model}"]'))
    assert drawn(opened) == before


def test_curves_are_drawn_up_to_where_the_longest_ended(opened):
    def last_tick():
        ticks = opened.find_elements(
            By.CSS_SELECTOR, "#figure-curves .axis text[text-anchor=middle]"
        )
        return int(ticks[-1].text)

    assert 20 < last_tick() < 40
    opened.execute_script(
        "for (const levels of unpacked.values())"
        "  levels.forEach((_, at) => { if (at % 40 > 20) levels[at] = data.curves.missing; });"
        "choose({ models: chosen.models });"
    )
    assert 10 < last_tick() <= 20


def test_ticking_from_the_keyboard_keeps_its_place(opened, content):
    model = content["models"][content["pairs"][0]["places"][3]]
    name = f"Draw the curve of {model}"
    opened.find_element(By.CSS_SELECTOR, f'input[aria-label="{name}"]').send_keys(Keys.SPACE)
    assert model in drawn(opened)
    assert opened.switch_to.active_element.get_attribute("aria-label") == name


def test_a_chosen_score_shows_its_models(opened, content):
    rows = opened.find_elements(By.CSS_SELECTOR, "#figure-tau g.row")
    last = rows[-1].find_element(By.TAG_NAME, "text")
    name = last.text
    click(opened, last)
    assert opened.find_element(By.CSS_SELECTOR, "#figure-scatter .key strong").text == name
    points = opened.find_elements(By.CSS_SELECTOR, "#figure-scatter circle.mark")
    assert len(points) == len(content["pairs"][0]["places"])
    key = [one.text for one in opened.find_elements(By.CSS_SELECTOR, "#figure-scatter .key span")]
    kinds = {model.split("-")[0] for model in content["models"]}
    assert key[1:] == [kind for kind in PRIMITIVES if kind in kinds]
    fills = {point.value_of_css_property("fill") for point in points}
    assert len(fills) == len(kinds) > 1


def test_the_histogram_marks_the_picks_of_the_chosen_score(opened, content):
    part = content["scores"][0]
    first = opened.find_element(By.CSS_SELECTOR, "#figure-histogram .key strong").text
    assert first in set(part["names"]), "no baseline to begin with"
    for name in ("grad_norm", "mean_rank_elsewhere"):
        rows = opened.find_elements(By.CSS_SELECTOR, "#figure-tau g.row text")
        click(opened, next(row for row in rows if row.text == name))
        assert opened.find_element(By.CSS_SELECTOR, "#figure-histogram .key strong").text == name
        for k, places in part["picks"][name]:
            marks = opened.find_elements(By.CSS_SELECTOR, f"#figure-histogram svg[role] .top{k}")
            assert len(marks) == len(places) > 0
        image = opened.find_element(By.CSS_SELECTOR, "#figure-histogram svg[role]")
        assert name in image.get_attribute("aria-label")


def test_the_matrix_is_that_of_the_chosen_score(opened, content):
    part = content["matrices"][0]
    rows = opened.find_elements(By.CSS_SELECTOR, "#figure-specificity g.row text")
    click(opened, next(row for row in rows if row.text == "grad_norm"))
    assert opened.find_element(By.CSS_SELECTOR, "#figure-matrix .key strong").text == "grad_norm"
    values = opened.find_elements(By.CSS_SELECTOR, "#figure-matrix .value")
    shown = [value.text for value in values]
    expected = [
        f"{tau / 1000:.2f}".replace("0.", ".") for tau in part["scores"]["grad_norm"]["taus"]
    ]
    assert shown == [text.replace("-", "−") for text in expected]
    assert len(opened.find_elements(By.CSS_SELECTOR, "#figure-matrix .own")) == 2
    code = "#figure-matrix .query code"
    click(opened, opened.find_element(By.CSS_SELECTOR, "#figure-matrix .query summary"))
    assert '"grad_norm"' in opened.find_element(By.CSS_SELECTOR, code).text


def test_a_row_tells_its_query(opened, bench, content):
    part = content["pairs"][0]
    click(opened, opened.find_element(By.CSS_SELECTOR, "#table-models .query summary"))
    code = opened.find_element(By.CSS_SELECTOR, "#table-models .query code")
    assert code.text.startswith(f'bench.query_many(None, "{part["image"]}", "{part["task"]}"')
    row = opened.find_elements(By.CSS_SELECTOR, "#models-table tbody tr")[4]
    click(opened, row.find_elements(By.XPATH, "./*")[1])
    line = code.text.splitlines()[1]
    found = eval(line, {"bench": bench})
    _, values = column(opened, "models", "PSNR dB")
    assert f"{found.psnr:.2f}" == values[4]


def test_the_lines_to_start_with_bring_all_that_the_queries_call(opened, bench, monkeypatch):
    monkeypatch.chdir(bench.folder.parent)
    names = {}
    exec(opened.find_element(By.ID, "preamble").text, names)
    assert names["bench"].manifest == bench.manifest
    assert set(NAMES) <= set(names)


def test_another_image_changes_every_part(opened, content):
    before = opened.find_element(By.CSS_SELECTOR, "#models .here").text
    names = opened.find_elements(By.CSS_SELECTOR, "#image option")
    assert len(names) == 2
    names[1].click()
    after = opened.find_element(By.CSS_SELECTOR, "#models .here").text
    assert after != before
    other = next(p for p in content["pairs"] if f"{p['image']}, {p['task']}" == after)
    _, values = column(opened, "models", "PSNR dB")
    assert values[0] == f"{other['data'][0][0]:.2f}"


def test_the_colours_follow_the_reader(opened):
    def paper():
        return opened.execute_script("return getComputedStyle(document.body).backgroundColor")

    for scheme, expected in (("dark", "rgb(20, 23, 27)"), ("light", "rgb(255, 255, 255)")):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        WebDriverWait(opened, 10).until(lambda _, colour=expected: paper() == colour)
    opened.find_element(By.ID, "theme").click()
    assert paper() == "rgb(20, 23, 27)"


def test_a_picture_of_it_is_not_blank(opened, tmp_path: Path):
    image = pytest.importorskip("PIL.Image")
    plot = opened.find_element(By.ID, "figure-tau")
    opened.execute_script(
        "arguments[0].scrollIntoView({block: 'start', behavior: 'instant'})", plot
    )
    data = base64.b64decode(opened.get_screenshot_as_base64())
    pixels = np.asarray(image.open(io.BytesIO(data)).convert("RGB"))
    blue = np.abs(pixels.astype(int) - [0, 114, 178]).max(axis=2) < 30
    assert blue.sum() > 50


def test_a_table_stays_sorted_where_a_column_is_missing(opened, content):
    head, _ = column(opened, "models", "below best")
    for _ in range(2):
        click(opened, head.find_element(By.TAG_NAME, "button"))
        head, _ = column(opened, "models", "below best")
    other = content["pairs"][1]
    opened.execute_script("data.pairs[1].data[1].fill(null); choose(arguments[0])",
                          {"image": other["image"], "task": other["task"]})  # fmt: skip
    head, values = column(opened, "models", "below best")
    assert head.get_attribute("aria-sort") == "descending"
    assert values == sorted(values, key=float, reverse=True)
    assert float(values[0]) == pytest.approx(max(other["data"][4]), abs=0.006)


def test_a_pair_without_runs_says_why_there_is_no_curve(opened):
    opened.execute_script(
        "data.pairs[1].places = []; data.pairs[1].reason = 'all runs failed';"
        "choose({ image: data.pairs[1].image, task: data.pairs[1].task })"
    )
    told = opened.find_element(By.CSS_SELECTOR, "#figure-curves .none")
    assert told.text == "Not available: all runs failed."
    assert told.get_attribute("role") is None


def test_a_curve_that_is_removed_leaves_the_focus_in_the_figure(opened):
    buttons = opened.find_elements(By.CSS_SELECTOR, "#figure-curves .legend button")
    assert len(buttons) > 1
    buttons[0].send_keys(Keys.ENTER)
    assert len(opened.find_elements(By.CSS_SELECTOR, "#figure-curves .legend button")) == (
        len(buttons) - 1
    )
    active = opened.switch_to.active_element
    assert active.get_attribute("aria-label").startswith("Remove ")


def test_the_intervals_of_the_taus_hold_their_dots(opened):
    held = opened.execute_script(
        """return [...document.querySelectorAll("#figure-tau g.row")].map((row) => {
          const place = (kind, name) => +row.querySelector(kind).getAttribute(name);
          const at = place(".dot", "cx");
          return place(".interval", "x1") <= at && at <= place(".interval", "x2");
        })"""
    )
    assert len(held) >= 3
    assert all(held)
