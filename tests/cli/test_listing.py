"""The command that lists what names there are."""

import json


def test_every_task_is_summed_up(dipbench):
    tasks = json.loads(dipbench("list", "tasks", "--json").out)
    assert all(task["summary"] for task in tasks), tasks
