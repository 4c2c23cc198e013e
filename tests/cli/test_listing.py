"""The command that lists what names there are."""

import json

import pytest

from dipbench.cli.listing import KINDS


def test_every_task_is_summed_up(dipbench):
    tasks = json.loads(dipbench("list", "tasks", "--json").out)
    assert all(task["summary"] for task in tasks), tasks


def test_families_of_networks_are_listed(dipbench):
    listed = {row["name"]: row for row in json.loads(dipbench("list", "networks", "--json").out)}
    assert "dip-sr-4 for sr," in listed["dip"]["summary"]
    assert "nas-dip-sr for sr" in listed["nas-dip"]["summary"]


@pytest.mark.parametrize("what", KINDS)
def test_lists_are_as_wide_as_the_terminal(dipbench, monkeypatch, what):
    wide = max(map(len, dipbench("list", what).out.splitlines()))
    monkeypatch.setenv("COLUMNS", "80")
    narrow = dipbench("list", what).out
    assert max(map(len, narrow.splitlines())) <= min(80, wide)


def test_without_a_kind_the_kinds_are_told(dipbench):
    listed = json.loads(dipbench("list", "--json").out)
    assert [row["name"] for row in listed] == list(KINDS)
    assert all(row["summary"] for row in listed)
    for kind in KINDS:
        assert kind in dipbench("list").out
