#!/bin/bash
# Trains on several nodes with torchrun, one rank per GPU, without SLURM. Start the same command on every node:
#
#   scripts/train_torchrun.sh HOST NAME recipe=acereason_7b include=cluster/h100_16x8 key=value ...
#   NODES=2 GPUS=4 scripts/train_torchrun.sh HOST NAME ...             two nodes of four GPUs
#
# HOST is one of the nodes, by a name that all nodes can resolve; the ranks meet there. NAME is the run's name, the same
# on all nodes and each time; its folder run.root/NAME has to be on a disk that all nodes share.
#
# When a rank fails, all ranks are ended and started again, at most RESTARTS times, and resume from the newest complete
# checkpoint. When a node is lost, the others wait ten minutes for it: start the command again there, or on another
# machine in its place. When HOST is lost, or after all restarts, start the command on all nodes again.
#
# To stop the run, send SIGTERM to torchrun, as `kill` and most schedulers do: all ranks save and end with code 0.
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

# Environment. NCCL chooses the network between ranks; NCCL_SOCKET_IFNAME and NCCL_IB_HCA override its choice.
source .venv/bin/activate
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-8}

# Each start gets a store of its own: in torchrun's store, restarted ranks would read the addresses of the ranks before.
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1

echo "$(date '+%F %T') $NAME: $(hostname) meets ${NODES:-16} node(s) at $HOST:${PORT:-29500}"

# With "exec" a signal to this script goes to torchrun, which passes it on.
exec torchrun --nnodes="${NODES:-16}" --nproc-per-node="${GPUS:-8}" --max-restarts="${RESTARTS:-3}" \
    --rdzv-backend=c10d --rdzv-endpoint="$HOST:${PORT:-29500}" --rdzv-id="$NAME" \
    train.py "$@" run.name="$NAME" ckpt=auto
