#!/bin/bash
# Written by `dipbench slurm-script`. Submit it with sbatch, as often as it takes: each job goes on
# where the last one ended, and asks to be queued again when its time runs out.
#SBATCH --job-name=@NAME@
#SBATCH --nodes=@NODES@
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=@CPUS@
#SBATCH --time=@TIME@
#SBATCH --output=@STORE@-slurm-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@300
@MORE@
set -euo pipefail

export PATH=@PATH@:"$PATH"
store=@STORE@
@MEMORY@
export RAY_USAGE_STATS_ENABLED=0 RAY_worker_niceness=0
# Others on these machines cannot join without the token; srun hands it to the other machines.
RAY_AUTH_TOKEN=$(od --address-radix=n --read-bytes=32 --format=x1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
head=$SLURMD_NODENAME
host=$(hostname --ip-address)
address=${host%% *}:$((20000 + SLURM_JOB_ID % 10000))

finish() { # everything that was started here, or it would hold the allocation
  jobs -p | xargs --no-run-if-empty kill 2>/dev/null || true
}
trap finish EXIT
trap 'scontrol requeue "$SLURM_JOB_ID"; exit 0' USR1

step() { # nodes, their number, and what to start on each: one Ray node a machine
  local nodes=$1 count=$2
  shift 2
  srun --nodelist="$nodes" --nodes="$count" --ntasks="$count" \
    --cpus-per-task="$SLURM_CPUS_PER_TASK" --overlap \
    ray start --block --num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus=@GPUS@ \
    --disable-usage-stats "$@" &
}

step "$head" 1 --head --node-ip-address="${address%:*}" --port="${address#*:}" \
  --include-dashboard=false
for _ in {1..60}; do
  ray health-check --address "$address" >/dev/null 2>&1 && break
  sleep 1
done
if ((SLURM_JOB_NUM_NODES > 1)); then
  others=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | grep --invert-match --line-regexp "$head")
  step "$(paste --serial --delimiters=, <<<"$others")" $((SLURM_JOB_NUM_NODES - 1)) \
    --address="$address"
fi

# In the background, so that bash hears the signal while it runs.
dipbench train --out "$store" --executor ray --address "$address" --device @DEVICE@ @TRAIN@ &
wait $!
