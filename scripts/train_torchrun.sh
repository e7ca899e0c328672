#!/bin/bash
# Trains on several nodes by torchrun, one rank a GPU, where there is no SLURM. The same command on every node:
#
#   scripts/train_torchrun.sh HOST NAME recipe=acereason_7b include=cluster/h100_16x8 key=value ...
#   NODES=2 GPUS=4 scripts/train_torchrun.sh HOST NAME ...             two nodes of four GPUs
#
# HOST is one of the nodes, by a name that all of them know: there they find each other. NAME is the run's, the same on
# all nodes and each time; its folder run.root/NAME has to be on a disk that all nodes see.
#
# When a rank fails, all are ended and started again, RESTARTS times at most, and go on from the newest complete
# checkpoint. When a node is lost, the others wait ten minutes for it: start the command there again, or on another
# machine that takes its place. When HOST is lost, or after all restarts, start it on all nodes again.
#
# Stop it by SIGTERM to torchrun, as `kill` and most schedulers send it: all ranks save and end with code 0.
#
# Change for your cluster: NODES, GPUS, and "environment" below.

set -euo pipefail

if [ $# -lt 2 ] || [[ $1 == *=* || $2 == *=* ]]; then
    echo "usage: [NODES=16] [GPUS=8] [PORT=29500] [RESTARTS=3] $0 HOST NAME key=value ..." >&2
    exit 2
fi
HOST=$1
NAME=$2
shift 2

# Environment. The network that ranks talk over is found by NCCL itself; NCCL_SOCKET_IFNAME and NCCL_IB_HCA choose it.
source .venv/bin/activate
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-8}

# A store of its own for each start: in the one that torchrun keeps, ranks that start again would find, and follow, what
# those before them wrote about where they listen.
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1

echo "$(date '+%F %T') $NAME: $(hostname) meets ${NODES:-16} node(s) at $HOST:${PORT:-29500}"

# "exec" so that a signal to this script is one to torchrun, which passes it on.
exec torchrun --nnodes="${NODES:-16}" --nproc-per-node="${GPUS:-8}" --max-restarts="${RESTARTS:-3}" \
    --rdzv-backend=c10d --rdzv-endpoint="$HOST:${PORT:-29500}" --rdzv-id="$NAME" \
    train.py "$@" run.name="$NAME" ckpt=auto
