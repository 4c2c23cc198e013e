"""A benchmark on disk with synthetic runs that differ as real ones do, and its report."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import dipbench
from dipbench.analysis.reporting import payload, report
from dipbench.benchmark.building import finish
from dipbench.benchmark.parts import write_part
from dipbench.benchmark.plan import freeze_plan, make_plan
from dipbench.benchmark.schema import Run
from dipbench.benchmark.scorefiles import SCORES_SCHEMA, commit_scores
from dipbench.data import load_images
from dipbench.evaluate.protocol import get_protocol
from dipbench.genotypes import ISNAS522

MODELS = tuple(str(genotype) for genotype in ISNAS522[:20])
TASKS = ("denoising-25", "inpainting-50")
SCORES = ("psd_db_strip_mse", "psd_99_per_bw", "grad_norm")
LENGTH = 40
WIDTHS = {"phone": (390, 844), "desktop": (1280, 900)}
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
SWITCHES = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars"),
)


def make_store(
    folder,
    images="camera,coins",
    models=MODELS,
    tasks=TASKS,
    seeds=(0, 1),
    scores=SCORES,
    unscored=(),
):
    """Models differ in ability, scores tell some of it, one run diverged.

    `unscored` are the pairs of score and image without values.
    """
    folder.mkdir()
    pictures = load_images(images, size=64)
    protocol = get_protocol("quick").with_iterations(LENGTH)
    plan = make_plan("synthetic", models, pictures, tasks, list(seeds), protocol)
    freeze_plan(folder, plan, pictures)
    rng = np.random.default_rng(0)
    ability = {model: rng.normal() for model in models}
    steps = np.arange(LENGTH)
    runs, rows = [], []
    for number, key in enumerate(plan.run_keys()):
        height = 26 + ability[key.model] + rng.normal(0, 0.3)
        psnr = (height - 12 * np.exp(-steps / 6) - 0.002 * (steps - 25) ** 2).astype(np.float32)
        curves = {"psnr": psnr + 0.1, "psnr_smooth": psnr, "loss": 10 ** (-psnr / 10)}
        status = ("diverged", "the loss is not finite") if number == 7 else ("finished", "")
        runs.append(Run(key, *status, curves, {"parameters": 1000, "seconds": 60.0}))
    write_part(folder / "parts", runs)
    finish(folder)
    for model, worth in ability.items():
        for image in pictures:
            for task in tasks:
                for score in scores:
                    if (score, image.name) in unscored:
                        continue
                    sign = 1 if score == "grad_norm" else -1
                    for draw in range(2):
                        value = sign * worth + rng.normal(0, 0.5)
                        rows.append((model, image.name, task, score, draw, value, "table", ""))
    if rows:
        records = [dict(zip(SCORES_SCHEMA.names, row, strict=True)) for row in rows]
        commit_scores(folder, pa.Table.from_pylist(records, schema=SCORES_SCHEMA))
    return dipbench.load(folder)


def payload_of(path):
    """The data inside a page."""
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory):
    return make_store(tmp_path_factory.mktemp("stores") / "synthetic")


@pytest.fixture(scope="session")
def page(bench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(bench, tmp_path_factory.mktemp("page") / "report.html", resamples=200)


@pytest.fixture(scope="session")
def content(page):
    return payload_of(page)


@pytest.fixture
def make_bench(tmp_path):
    return lambda name="store", **options: make_store(tmp_path / name, **options)


@pytest.fixture(scope="session")
def gaps(tmp_path_factory: pytest.TempPathFactory):
    """A benchmark where one score lacks an image and another has only one, without intervals."""
    # Of four upsample blocks, which are too few to resample.
    common = Counter(genotype.block for genotype in ISNAS522).most_common(4)
    models = [str(g) for g in ISNAS522 if g.block in dict(common)][:20]
    return make_store(
        tmp_path_factory.mktemp("gaps") / "gaps",
        images="camera,coins,moon",
        models=tuple(models),
        tasks=TASKS[:1],
        unscored={("psd_db_strip_mse", "camera"), ("grad_norm", "coins"), ("grad_norm", "moon")},
    )


@pytest.fixture(scope="session")
def gaps_content(gaps):
    return payload(gaps, "best_psnr_smooth", 200)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory):
    webdriver = pytest.importorskip("selenium.webdriver")
    if not (CHROMIUM and DRIVER):
        pytest.skip("chromium is not installed")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in (*SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.execute_cdp_cmd("Network.enable", {})
    yield driver
    driver.quit()


@pytest.fixture
def visit(browser):
    """Opens a page at a width; afterwards, that it asked for nothing and complained of nothing."""
    visited = set()

    def open_page(path, width="desktop"):
        across, down = WIDTHS[width]
        size = {"width": across, "height": down, "deviceScaleFactor": 1, "mobile": across < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(path.as_uri())
        visited.add(path.as_uri())
        return browser

    for log in ("browser", "performance"):
        browser.get_log(log)
    yield open_page
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    assert requested(browser) == visited


def requested(browser):
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    urls = {one["request"]["url"].partition("#")[0] for one in sent}
    # The browser's own first page may still be loading, and no other page can ask for these.
    own = ("data:", "chrome:", "chrome-untrusted:")
    return {url for url in urls if not url.startswith(own)}
