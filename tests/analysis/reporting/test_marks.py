"""The marks of the figures in a real browser: where numbers are missing, and from the keyboard."""

import pytest

from dipbench.analysis.reporting import page as make_page

pytest.importorskip("selenium")

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

# Selenium leaves its sockets to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

NOT_NUMBERS = """
return [...document.querySelectorAll(".plot *")].flatMap((node) =>
  [...node.attributes].map(({ value }) => value).filter((value) => /NaN|undefined/.test(value)));
"""
HOVERS = """
return [...document.querySelectorAll(".mark")].map((node) => {
  node.dispatchEvent(new PointerEvent("pointerenter"));
  return document.getElementById("tip").textContent;
});
"""
PRESS = """
arguments[0].scrollIntoView({block: "center", behavior: "instant"});
arguments[0].dispatchEvent(new MouseEvent("click", {bubbles: true}));
"""


@pytest.fixture
def gaps_page(gaps_content, tmp_path, visit):
    """The page of `gaps`, with columns taken out of its tables as where all of it is missing."""

    def open_without(**columns):
        tables = dict(gaps_content["tables"])
        for name, left_out in columns.items():
            tables[name] = without(tables[name], left_out)
        path = tmp_path / "gaps.html"
        path.write_text(make_page(gaps_content | {"tables": tables}, "gaps"), encoding="utf-8")
        return visit(path)

    return open_without


def without(table, names):
    kept = [at for at, column in enumerate(table["columns"]) if column[0] not in names]
    assert len(kept) < len(table["columns"])
    return table | {part: [table[part][at] for at in kept] for part in ("columns", "data")}


def marks(browser, figure):
    return browser.find_elements(By.CSS_SELECTOR, f"#figure-{figure} .mark")


def row_of(browser, figure, name):
    rows = marks(browser, figure)
    return next(row for row in rows if row.get_attribute("aria-label").startswith(name))


def tip(browser):
    note = browser.find_element(By.ID, "tip")
    return note.text if note.is_displayed() else None


def press(browser, *keys):
    browser.switch_to.active_element.send_keys(*keys)
    return browser.switch_to.active_element


def code_of(browser, figure):
    code = browser.find_element(By.CSS_SELECTOR, f"#figure-{figure} .query code")
    return code.get_attribute("textContent")


def test_a_score_that_lacks_an_image_is_under_its_own(gaps_page, gaps_content):
    opened = gaps_page()
    opened.execute_script(PRESS, row_of(opened, "tau", "psd_db_strip_mse"))
    texts = opened.find_elements(By.CSS_SELECTOR, "#figure-matrix svg[role] text")
    names = [text.text.split()[0] for text in texts if text.get_attribute("text-anchor") == "end"]
    one = gaps_content["matrices"][0]["scores"]["psd_db_strip_mse"]
    assert names == one["images"] == ["coins", "moon"]
    labels = [square.get_attribute("aria-label") for square in marks(opened, "matrix")]
    pairs = [(down, across) for down in names for across in names]
    assert labels == [
        f"score on {down}, PSNR on {across}: directed τ = {tau / 1000:+.3f}".replace("-", "−")
        for (down, across), tau in zip(pairs, one["taus"], strict=True)
    ]
    assert opened.execute_script(NOT_NUMBERS) == []


def test_a_score_of_one_image_has_no_mean(gaps_page):
    opened = gaps_page()
    row = row_of(opened, "tau", "grad_norm")
    assert "no average: it has a tau on 1 image" in row.get_attribute("aria-label")
    assert row.find_elements(By.CSS_SELECTOR, ".dot") == []
    assert len(row.find_elements(By.CSS_SELECTOR, ".other")) == 1
    row = row_of(opened, "tau", "psd_db_strip_mse")
    assert "mean of 2 images" in row.get_attribute("aria-label")
    assert len(row.find_elements(By.CSS_SELECTOR, ".dot")) == 1
    assert "mean of up to 3" in opened.find_element(By.CSS_SELECTOR, "#figure-tau .key").text


def test_hovers_leave_out_what_is_missing(gaps_page, gaps_content):
    held = [column[0] for column in gaps_content["tables"]["attributes"]["columns"]]
    assert "effect" in held
    assert not {"low", "high", "p_max"} & set(held), "too few upsample codes for an interval"
    opened = gaps_page(correlations={"p_holm", "p_value"}, specificity={"p_assignment"})
    hovers = opened.execute_script(HOVERS)
    assert len(hovers) > 80
    assert all(hovers)
    assert not [text for text in hovers if any(word in text for word in ("undef", "null", "NaN"))]
    assert marks(opened, "attributes")
    assert marks(opened, "skips")
    assert marks(opened, "specificity")
    assert opened.execute_script(NOT_NUMBERS) == []


def test_a_figure_without_numbers_tells_the_reason(gaps_page):
    opened = gaps_page(specificity={"advantage"}, attributes={"effect"}, correlations={"tau"})
    assert "known on one image" in opened.find_element(By.ID, "figure-specificity").text
    for figure in ("tau", "specificity", "attributes", "skips"):
        assert "Not available: " in opened.find_element(By.ID, f"figure-{figure}").text
    assert opened.execute_script(NOT_NUMBERS) == []


def test_a_long_name_stays_within_its_figure(visit, page):
    browser = visit(page)
    row = {"label": "psd decibel strip value emd:table-512", "value": 0.1, "hover": "it"}
    left, start = browser.execute_script(
        "const figure = document.body.appendChild(dotPlot({width: 340, rows: [arguments[0]]}));"
        "const left = (element) => element.getBoundingClientRect().left;"
        "return [left(figure.querySelector('.row text')), left(figure)];",
        row,
    )
    assert left >= start


def test_arrow_keys_move_between_marks(visit, page):
    opened = visit(page)
    for figure in opened.find_elements(By.CSS_SELECTOR, ".figure"):
        if figure.find_elements(By.CSS_SELECTOR, ".mark"):
            assert len(figure.find_elements(By.CSS_SELECTOR, '[tabindex="0"]')) == 1
    squares = marks(opened, "skips")
    before = opened.find_element(By.CSS_SELECTOR, "#figure-attributes .query summary")
    opened.execute_script("arguments[0].focus()", before)
    assert press(opened, Keys.TAB) == squares[0]
    for keys, place in (("→", 1), ("↓", 6), ("↓", 11), ("←", 10), ("↑", 5), ("⇥", 24), ("↓", 24)):
        names = {"→": Keys.ARROW_RIGHT, "↓": Keys.ARROW_DOWN, "←": Keys.ARROW_LEFT}
        names |= {"↑": Keys.ARROW_UP, "⇥": Keys.END}
        focused = press(opened, names[keys])
        assert focused == squares[place]
        assert focused.get_attribute("tabindex") == "0"
        assert focused.get_attribute("aria-label") == tip(opened)
        assert focused.value_of_css_property("stroke-width") == "2px"
    stops = opened.find_elements(By.CSS_SELECTOR, '#figure-skips .mark[tabindex="0"]')
    assert stops == [squares[24]]
    press(opened, Keys.ESCAPE)
    assert tip(opened) is None


def test_enter_chooses_and_keeps_its_place(visit, page):
    opened = visit(page)
    squares = marks(opened, "skips")
    opened.execute_script(PRESS, squares[3])
    clicked = code_of(opened, "skips")
    opened.execute_script(PRESS, squares[4])
    opened.execute_script("arguments[0].focus()", squares[3])
    press(opened, Keys.ENTER)
    assert code_of(opened, "skips") == clicked
    opened.execute_script("arguments[0].focus()", row_of(opened, "tau", "grad_norm"))
    focused = press(opened, Keys.ENTER)
    assert "strong" in focused.get_attribute("class")
    assert focused.get_attribute("aria-label").startswith("grad_norm, ")
    assert tip(opened).startswith("grad_norm")
    assert opened.find_element(By.CSS_SELECTOR, "#figure-scatter .key strong").text == "grad_norm"


def test_without_a_clipboard_the_query_is_selected(visit, page):
    opened = visit(page)
    opened.execute_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    box = opened.find_element(By.CSS_SELECTOR, "#table-models .query")
    opened.execute_script("arguments[0].open = true", box)
    button = box.find_element(By.TAG_NAME, "button")
    opened.execute_script(PRESS, button)
    assert "Selected" in button.text
    code = box.find_element(By.TAG_NAME, "code").text
    assert opened.execute_script("return getSelection().toString()").strip() == code
