"""Protocols: what they refuse, and that a record gives the same one back."""

import json
from typing import Any

import numpy as np
import pytest

from dipbench.errors import ProtocolError
from dipbench.evaluate.protocol import (
    CONSTANTS,
    PROTOCOLS,
    DiscrepancyStop,
    Iterations,
    PeakStop,
    Protocol,
    StopRule,
    VarianceStop,
    get_protocol,
)


def test_the_published_settings() -> None:
    isnas = get_protocol("isnas")
    assert isnas.iterations == Iterations(denoising=4000, inpainting=9500, sr=4500)
    assert [isnas.iterations_for(kind) for kind in ("denoising", "inpainting", "sr")] == [
        4000, 9500, 4500,
    ]  # fmt: skip
    assert (isnas.input_scale, isnas.input_noise, isnas.learning_rate) == (0.1, 1 / 30, 0.01)
    assert isnas.ema == (0.99,)
    assert isnas.stop == StopRule(drop_db=3.0, start=500)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_record_gives_the_protocol_back(name: str) -> None:
    protocol = PROTOCOLS[name]
    record = json.loads(json.dumps(protocol.to_record()))
    assert Protocol.from_record(record) == protocol
    assert record["constants"] == CONSTANTS
    assert Protocol.from_record({**record, "of_a_newer_version": 1}) == protocol


@pytest.mark.parametrize(
    "changes",
    [
        {"ema": (0.9, 0.5)},
        {"stop": StopRule(2.5, 7)},
        {"stop": PeakStop(9)},
        {"stop": VarianceStop(9)},
        {"stop": DiscrepancyStop(0.2)},
        {"backtracking_db": 5.0},
        {"size": None},
    ],
)
def test_a_changed_protocol_survives_its_record(changes: dict[str, Any]) -> None:
    changed = get_protocol("quick").replace(**changes)
    assert Protocol.from_record(json.loads(json.dumps(changed.to_record()))) == changed


@pytest.mark.parametrize("missing", ["name", "iterations", "ema", "learning_rate", "stop"])
def test_a_record_without_a_setting_is_refused(missing: str) -> None:
    record = get_protocol("quick").to_record()
    del record[missing]
    with pytest.raises(ProtocolError, match=f"lacks {missing}$"):
        Protocol.from_record(record)


@pytest.mark.parametrize(
    "changes",
    [{"ema": 0.9}, {"ema": ["a"]}, {"iterations": 3}, {"stop": {"patiense": 3}}],
)
def test_a_record_of_unusable_settings_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        Protocol.from_record(get_protocol("quick").to_record() | changes)


def test_weights_may_be_given_as_a_list() -> None:
    protocol = get_protocol("quick").replace(ema=[0.9])
    assert protocol == Protocol.from_record(protocol.to_record())
    assert hash(protocol) == hash(get_protocol("quick").replace(ema=(0.9,)))


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 63},
        {"input_kind": "brown"},
        {"input_channels": 0},
        {"input_kind": "meshgrid", "input_channels": 3},
        {"input_noise": -0.1},
        {"input_noise_decay": 0.0},
        {"input_noise_decay": 1.5},
        {"learning_rate": 0.0},
        {"loss_reduction": "median"},
        {"ema": ()},
        {"ema": (0.9, 0.9)},
        {"ema": (1.0,)},
        {"ema": 0.9},
        {"size": 64.5},
        {"threads": 1.5},
        {"weight_noise": float("inf")},
        {"variance_alpha": 1.0},
        {"weight_noise": -1.0},
        {"backtracking_db": 0.0},
        {"precision": "float16"},
        {"threads": 0},
        {"iterations": 100},
        {"stop": "variance"},
        {"input_channels": 2.5},
        {"name": 3},
        {"learning_rate": "0.1"},
        {"input_noise": None},
        {"backtracking_db": "5"},
        {"ema": ("a",)},
    ],
    ids=str,
)
def test_unusable_settings_are_refused_by_name(changes: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match=f"{list(changes)[-1]} is .*: expected"):
        get_protocol("quick").replace(**changes)


def test_a_setting_that_is_none_is_refused() -> None:
    with pytest.raises(ProtocolError, match="unknown protocol setting 'sise': did you mean 'size'"):
        get_protocol("quick").replace(sise=64)


@pytest.mark.parametrize(
    ("rule", "setting", "value"),
    [
        (StopRule, "start", 2.5),
        (StopRule, "drop_db", "3"),
        (VarianceStop, "patience", 0.5),
        (DiscrepancyStop, "alpha", None),
        (PeakStop, "peak_patience", 2.5),
    ],
)
def test_rules_of_unusable_settings_are_refused(rule: Any, setting: str, value: object) -> None:
    with pytest.raises(ProtocolError, match=f"{setting} is {value!r}: expected"):
        rule(**{setting: value})


def test_an_unknown_protocol_lists_the_known_ones() -> None:
    with pytest.raises(ProtocolError, match=r"did you mean 'isnas'\? There are: isnas, quick"):
        get_protocol("isnass")
    with pytest.raises(ProtocolError, match="unknown protocol"):
        get_protocol([])  # type: ignore[arg-type]


def test_input_channels() -> None:
    quick = get_protocol("quick")
    assert quick.input_channels_for(3) == 3
    assert quick.replace(input_channels=32).input_channels_for(3) == 32
    assert quick.replace(input_kind="meshgrid").input_channels_for(3) == 2


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    protocol = get_protocol("quick").with_iterations(np.int64(5))  # type: ignore[arg-type]
    protocol = protocol.replace(size=np.int64(64), threads=np.int64(2))
    record = json.loads(json.dumps(protocol.to_record()))
    assert (record["iterations"]["denoising"], record["size"], record["threads"]) == (5, 64, 2)
    with pytest.raises(ProtocolError, match="give a whole number"):
        get_protocol("quick").with_iterations(5.5)  # type: ignore[arg-type]


def test_averages_of_one_name_are_refused() -> None:
    with pytest.raises(ProtocolError, match="ema"):
        get_protocol("quick").replace(ema=(0.95, 0.99, 0.9900001))
