"""A Ray cluster of several raylets on this machine, steered through standard input.

It prints its address, then answers each line: `add` starts a raylet, `kill` kills the oldest one
but the head, `end` ends the cluster.
"""

import os
import sys

os.environ |= {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_worker_niceness": "0",
}

from ray.cluster_utils import Cluster

STORE_BYTES = 80_000_000


def main(raylets: int) -> None:
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = [add(cluster) for _ in range(raylets)]
    print(cluster.address, flush=True)
    for line in sys.stdin:
        match line.strip():
            case "add":
                nodes.append(add(cluster))
            case "kill":
                cluster.remove_node(nodes.pop(0), allow_graceful=False)
            case "end":
                break
        print("done", flush=True)
    cluster.shutdown()


def add(cluster: Cluster) -> object:
    return cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)


if __name__ == "__main__":
    main(int(sys.argv[1]))
