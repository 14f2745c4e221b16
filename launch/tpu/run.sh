#!/bin/bash
# Train on a TPU slice: copy the committed code to every host, install it, and run it on all hosts.
#
#   launch/tpu/run.sh --name=NAME --zone=ZONE [--dry_run] -- \
#     --config=configs/imagenet.py --workdir=/mnt/shared/runs/imagenet --config.data.dir=/mnt/shared/data
#
# --dry_run only prints the commands. The slice must exist, and all hosts must mount the file system
# of the data and the workdir (Filestore, for example). After a preemption, create the slice again
# and run the same command. It resumes from the last checkpoint.
set -euo pipefail
cd "$(dirname "$0")/../.."

name='' zone='' dry_run=no
while (($# > 0)); do
  case $1 in
    --name=*) name=${1#*=} ;;
    --zone=*) zone=${1#*=} ;;
    --dry_run) dry_run=yes ;;
    --) shift && break ;;
    *) echo "error: unknown option $1; put options of alexnet_jax.main after --" >&2 && exit 2 ;;
  esac
  shift
done
if [[ -z $name || -z $zone || $# == 0 ]]; then
  echo "error: --name=NAME, --zone=ZONE and, after --, options of alexnet_jax.main must be given" >&2
  exit 2
fi

run() {
  if [[ $dry_run == yes ]]; then
    printf '%q ' "$@" && echo
  else
    "$@"
  fi
}

everywhere() {
  run gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --worker=all --command="$1"
}

jax=$(grep '^jax==' requirements.txt)
code=/tmp/alexnet_jax.tar.gz
printf -v arguments '%q ' "$@"

run git archive --format=tar.gz --output="$code" HEAD
run gcloud compute tpus tpu-vm scp "$code" "$name:$code" --zone="$zone" --worker=all
everywhere "mkdir -p alexnet_jax && tar -xzf $code -C alexnet_jax && cd alexnet_jax && \
python3 -m venv .venv && .venv/bin/pip install -q -r requirements.txt '${jax/jax/jax[tpu]}'"
everywhere "cd alexnet_jax && .venv/bin/python -u -m alexnet_jax.main $arguments"
