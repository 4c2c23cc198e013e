#!/bin/bash
# Written by `dipbench slurm-script`. Submit it with sbatch, as often as it takes: each job takes
# its share of the runs and goes on where it ended before. A job that waits for all of them merges
# what is there.
#SBATCH --job-name=@NAME@
#SBATCH --array=1-@SHARDS@
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=@CPUS@
#SBATCH --time=@TIME@
#SBATCH --output=@STORE@-slurm-%A-%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@300
@MORE@
set -euo pipefail

export PATH=@PATH@:"$PATH"
store=@STORE@
trap 'scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"; exit 0' USR1

if ((SLURM_ARRAY_TASK_ID == 1 && ${SLURM_RESTART_COUNT:-0} == 0)); then
  sbatch --dependency="afterany:$SLURM_ARRAY_JOB_ID" --job-name=@NAME@-finish --ntasks=1 \
    --output=@STORE@-slurm-finish-%j.log --time=@TIME@ @PLACE@ \
    --wrap "$(printf '%q ' env "PATH=$PATH" dipbench finish "$store")" ||
    echo "the job that merges is not queued: run \`dipbench finish $store\` when all have ended" >&2
fi

# In the background, so that bash hears the signal while it runs.
dipbench train --out "$store" --shard "$SLURM_ARRAY_TASK_ID/@SHARDS@" --device @DEVICE@ @TRAIN@ &
wait $!
