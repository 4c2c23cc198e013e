"""The report holds what its queries give, stays small, and loads nothing."""

import base64
import contextlib
import json
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dipbench
from dipbench.analysis.baselines import ELSEWHERE, mean_rank_elsewhere
from dipbench.analysis.plots_transfer import score_matrix
from dipbench.analysis.report_curves import LOWEST, MISSING, STEP, curve_payload
from dipbench.analysis.report_pictures import data_url
from dipbench.analysis.report_scores import transfer_tables
from dipbench.analysis.report_tables import SHOWN, ask, fill
from dipbench.analysis.reporting import ROOM, payload, report
from dipbench.analysis.reporting import page as make_page
from dipbench.errors import DipbenchError, QueryError

PER_TASK = {name for name, shown in SHOWN.items() if shown.tasks}


def shown_frame(part):
    names = [column[0] for column in part["columns"]]
    return pd.DataFrame(dict(zip(names, part["data"], strict=True)))


def asked_frame(bench, query):
    found = ask(bench, query)
    if isinstance(found, list) and not isinstance(found[0], pd.DataFrame):
        return pd.DataFrame(map(vars, found))
    return pd.concat(found, ignore_index=True) if isinstance(found, list) else found


@pytest.mark.parametrize("name", SHOWN)
def test_every_table_is_what_its_query_gives(bench, content, name):
    part = content["tables"][name]
    shown, asked = shown_frame(part), asked_frame(bench, part["query"])
    assert len(shown) == len(asked) > 0
    for column in set(shown) & set(asked):
        if pd.api.types.is_numeric_dtype(asked[column]):
            expected = asked[column].to_numpy(np.float64)
            np.testing.assert_allclose(shown[column].astype(float), expected, rtol=1e-5)
        else:
            known = asked[column].notna()
            assert list(shown[column][known]) == list(asked[column][known])


@pytest.mark.parametrize("name", [name for name, shown in SHOWN.items() if shown.row])
def test_the_line_of_a_row_gives_that_row(bench, content, name):
    part = content["tables"][name]
    frame = shown_frame(part)
    row = frame.iloc[len(frame) // 2].to_dict()
    found = ask(bench, fill(part["row"], {key: str(value) for key, value in row.items()}))
    if isinstance(found, pd.DataFrame):
        keys = [
            key
            for key in ("image", "task", "score", "criterion", "attribute", "level")
            if key in row
        ]
        for key in (key for key in keys if key in found):
            found = found[found[key] == row[key]]
        assert len(found) == 1
        record = found.iloc[0].to_dict()
    else:
        record = vars(found)
    numbers = {key for key, value in row.items() if isinstance(value, float) and key in record}
    assert numbers
    for key in numbers:
        # Adjusted p-values depend on which scores are compared.
        if key not in ("p_holm", "p_max"):
            assert record[key] == pytest.approx(row[key], rel=1e-5, nan_ok=True), key


def test_the_counts_are_what_their_queries_give(bench, content):
    facts = content["facts"]
    assert [ask(bench, query) for query in facts["count_queries"]] == list(facts["counts"].values())
    assert facts["counts"] == {
        **{"models": 20, "images": 2, "tasks": 2, "seeds": 2},
        **{"runs": 160, "usable runs": 159},
    }
    assert facts["hours"] == pytest.approx(160 / 60, abs=0.01)


def test_models_are_ranked_as_the_benchmark_ranks_them(bench, content):
    for pair in content["pairs"]:
        best = bench.top(pair["image"], pair["task"], len(bench.models))
        assert [content["models"][place] for place in pair["places"]] == [r.model for r in best]
        np.testing.assert_allclose(pair["data"][0], [r.psnr for r in best], rtol=1e-5)


def test_curves_are_those_of_the_benchmark(bench, content):
    curves = content["curves"]
    assert curves["stride"] == 1
    for at, (image, task) in enumerate(curves["pairs"]):
        places, points, text = curves["kinds"]["psnr_smooth"][at]
        steps = np.frombuffer(base64.b64decode(text), "<u2").reshape(-1, points)
        assert MISSING not in steps
        model = content["models"][content["pairs"][at]["places"][places[3]]]
        expected = bench.curve(model, image, task)
        np.testing.assert_allclose(LOWEST + steps[3] * STEP, expected, atol=STEP / 2 + 1e-4)


def test_scores_of_single_models_are_those_of_the_benchmark(bench, content):
    for part in content["scores"]:
        for name, (low, high, text) in part["values"].items():
            levels = np.frombuffer(base64.b64decode(text), "<u2")
            if name == ELSEWHERE:
                held = mean_rank_elsewhere(bench, part["task"]).loc[
                    list(bench.models), part["image"]
                ]
            else:
                held = [bench.score(m, part["image"], part["task"], name) for m in bench.models]
            found = low + levels / 65534 * (high - low)
            np.testing.assert_allclose(found, held, atol=(high - low) / 65534)


def test_picks_are_those_of_their_query(bench, content):
    for part in content["scores"]:
        assert set(part["picks"]) == {*part["names"], ELSEWHERE}
        for score, picks in part["picks"].items():
            place = {"image": part["image"], "task": part["task"], "score": score}
            found = ask(bench, fill(content["queries"]["picks"], place))
            assert [k for k, _ in picks] == [15, 5]
            for k, places in picks:
                models = {content["models"][at] for at in places}
                assert models == set(found.loc[found["k"] <= k, "model"])


@pytest.mark.parametrize("names", [("bench", "content"), ("gaps", "gaps_content")])
def test_matrices_are_those_of_their_query(names, request):
    bench, content = map(request.getfixturevalue, names)
    for part in content["matrices"]:
        assert ELSEWHERE not in part["scores"], "made of the images that it would be judged on"
        for score, one in part["scores"].items():
            query = fill(content["queries"]["matrix"], {"task": part["task"], "score": score})
            found = ask(bench, query)
            assert list(found.index) == one["images"]
            taus = np.array(one["taus"]) / 1000
            np.testing.assert_allclose(taus, found.to_numpy().ravel(), atol=5e-4)


def test_a_matrix_is_of_the_images_that_have_the_score(gaps_content):
    [part] = gaps_content["matrices"]
    images = {score: one["images"] for score, one in part["scores"].items()}
    assert images == {
        "psd_99_per_bw": ["camera", "coins", "moon"],
        "psd_db_strip_mse": ["coins", "moon"],
    }
    assert "known on one image" in part["refused"]["grad_norm"]


def test_images_that_share_too_few_models_have_no_tau(bench, monkeypatch):
    frame = pd.DataFrame([[1, np.nan], [np.nan, 1]], bench.images, bench.images)
    monkeypatch.setattr("dipbench.analysis.report_scores.truth_over_images", lambda *_: frame)
    part = transfer_tables(bench, "best_psnr_smooth")[0]
    assert part["taus"] == [[1, None], [None, 1]]


def test_matrices_too_large_for_the_page_are_left_out(bench, monkeypatch):
    monkeypatch.setattr("dipbench.analysis.report_scores.BUDGET", 10)
    part = payload(bench, "best_psnr_smooth", 200)["matrices"][0]
    assert "too large for this page" in part["reason"]


def test_the_score_to_begin_with_must_be_known(bench):
    assert payload(bench, "best_psnr_smooth", 200, "psd 99 per bw")["score"] == "psd_99_per_bw"
    with pytest.raises(QueryError, match="psd_99_per_bw"):
        payload(bench, "best_psnr_smooth", 200, "psd_99")


def test_curves_keep_to_their_budget(bench):
    ranked = {pair: [r.model for r in bench.top(*pair, 20)] for pair in bench.pairs}
    for budget in (3000, 10_000, 30_000):
        made = curve_payload(bench, ranked, budget)
        text = sum(len(packed[2]) for kind in made["kinds"].values() for packed in kind)
        assert text <= 1.01 * budget
        for places, *_ in made["kinds"]["psnr_smooth"]:
            assert (places[0], places[-1]) == (0, 19)


def test_the_page_is_one_small_file_that_asks_for_nothing(page):
    text = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 10_000_000
    assert "default-src 'none'" in text
    without_data = re.sub(r'id="data">.*?</script>', "", text, flags=re.DOTALL)
    links = set(re.findall(r"https?://[^\s\"'<]+", without_data))
    assert links == {"http://www.w3.org/2000/svg"}, "only the name of SVG, which is not fetched"


def test_the_same_benchmark_gives_the_same_page(bench, page, tmp_path):
    again = report(bench, tmp_path / "again.html", resamples=200)
    assert again.read_bytes() == page.read_bytes()


def test_curves_take_the_room_that_the_rest_of_a_page_leaves(bench, page, monkeypatch):
    rest = payload(bench, "best_psnr_smooth", 200)
    rest.pop("curves")
    size = len(json.dumps(rest, separators=(",", ":"), ensure_ascii=False).encode())
    monkeypatch.setattr("dipbench.analysis.reporting.MOST_BYTES", size + ROOM + 3000)
    kinds = payload(bench, "best_psnr_smooth", 200)["curves"]["kinds"]
    assert sum(len(packed[2]) for kind in kinds.values() for packed in kind) <= 1.01 * 3000
    content = page.read_text(encoding="utf-8")
    data = re.search(r'id="data">(.*?)</script>', content, flags=re.DOTALL)
    assert len(content.encode()) - len(data[1].encode()) < ROOM


def test_nothing_is_left_behind_when_a_page_is_refused(bench, tmp_path, monkeypatch):
    monkeypatch.setattr("dipbench.analysis.reporting.MOST_BYTES", 1000)
    with pytest.raises(QueryError, match=r"more than the .* drawn alone \(--png FOLDER"):
        report(bench, tmp_path / "big.html", resamples=200)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_summary_is_named(bench, tmp_path):
    with pytest.raises(QueryError, match="best_psnr_smooth"):
        report(bench, tmp_path / "page.html", by="best")


def test_names_in_a_folder_are_never_run(make_bench, tmp_path):
    bench = make_bench(images="camera", tasks=("denoising-25",), seeds=(0,))
    victim = tmp_path / "written"
    names = {"image": '"{task}"', "task": f'+str(open({str(victim)!r}, "w"))+'}
    manifest = json.loads((bench.folder / "benchmark.json").read_text())
    for role in ("runs", "scores"):
        path = bench.folder / manifest["files"][role]["name"]
        table = pq.read_table(path)
        for column, word in names.items():
            at = table.column_names.index(column)
            table = table.set_column(at, table.schema.field(at), pa.array([word] * len(table)))
        pq.write_table(table, path)
        manifest["files"][role]["size"] = path.stat().st_size
    manifest["tasks"] = [names["task"]]
    (bench.folder / "benchmark.json").write_text(json.dumps(manifest))
    hostile = dipbench.load(bench.folder)
    assert hostile.pairs == (tuple(names.values()),)
    with contextlib.suppress(DipbenchError):
        payload(hostile, "best_psnr_smooth", 200)
    assert not victim.exists()


@pytest.mark.parametrize("by", ["final_psnr", 20])
def test_another_summary_goes_into_every_query(bench, by):
    made = payload(bench, by, 200)
    assert repr(by).replace("'", '"') in made["tables"]["correlations"]["query"]
    assert "has no best iteration" in made["tables"]["iterations"]["reason"]
    image, task = bench.pairs[0]
    best = bench.best(image, task, by=by)
    assert made["pairs"][0]["data"][0][0] == pytest.approx(best.psnr, rel=1e-5)


def test_what_is_missing_has_its_reason(make_bench):
    bench = make_bench(images="camera", seeds=(0,), scores=())
    made = payload(bench, "best_psnr_smooth", 200)
    assert "no scores" in made["tables"]["correlations"]["reason"]
    assert "at least 2 images" in made["transfer"][0]["reason"]
    assert "2 seeds" in made["tables"]["reliability"]["data"][-1][0]
    assert made["scores"] == []


def test_few_models_still_make_a_page(make_bench, tmp_path):
    from dipbench.genotypes import ISNAS522

    bench = make_bench(models=tuple(map(str, ISNAS522[:3])))
    path = report(bench, tmp_path / "few.html", resamples=200)
    assert "at least 5" in path.read_text(encoding="utf-8")


def test_names_cannot_leave_the_data(bench):
    made = payload(bench, "best_psnr_smooth", 200)
    made["facts"]["name"] = "</script><script>alert(1)</script>{{title}}"
    text = make_page(made, "<b>title</b>")
    assert "<script>alert" not in text
    assert "<b>title" not in text
    assert text.count("{{") == 1, "the data's own braces stay as they are"


def test_pictures_are_png(bench):
    skimage_io = pytest.importorskip("PIL.Image")
    from io import BytesIO

    rng = np.random.default_rng(0)
    for channels in (1, 3):
        picture = rng.random((channels, 40, 30), dtype=np.float32)
        data = base64.b64decode(data_url(picture, side=20).partition(",")[2])
        read = np.asarray(skimage_io.open(BytesIO(data))).reshape(20, 15, channels)
        expected = (picture[:, ::2, ::2] * 255).round().transpose(1, 2, 0)
        np.testing.assert_array_equal(read, expected)


def test_a_matrix_without_an_interval_has_none_in_its_title(gaps):
    title = score_matrix(gaps, "denoising", "psd_99_per_bw").get_suptitle()
    assert "diagonal less rest" in title
    assert "[" not in title


def test_resamples_that_cannot_be_drawn_are_refused(bench, tmp_path):
    with pytest.raises(QueryError, match="-1 resamples cannot be drawn"):
        report(bench, tmp_path / "report.html", resamples=-1)
