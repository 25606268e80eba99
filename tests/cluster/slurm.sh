#!/bin/bash
# A sweep on a real Slurm: one controller and four node daemons on this machine, some of which are
# killed while runs are trained. Afterwards every run is recorded once, with the weights that one
# machine gives.
#
#   tests/cluster/slurm.sh PROGRAM [--runs N]
#
# Needs root and Debian's packages slurm-wlm and munge, which it installs if they are missing.
# Everything else is in a temporary folder; daemons are ended at the end.
set -euo pipefail
program=$(realpath "${1:?which program?}")
runs=48
[ "${2:-}" = --runs ] && runs=$3
here=$(cd "$(dirname "$0")" && pwd)
. "$here/world.sh"

# The sweep: seeds of a small model on made-up rows.
cd "$work"
python3 "$here/world.py"
seeds=$(seq -s, 0 $((runs - 1)))
cat > sweep.toml <<TOML
name = "seeds"
seeds = [$seeds]
[train]
base = "base"
recipe = "paper"
epochs = 60
save-every = 1
[[task]]
data = "rows.csv"
[[method]]
name = "adapter"
method = "adapter[width=8]"
TOML
"$program" sweep sweep.toml --out cluster --on slurm --array-size 4 --time 10 --dry-run | grep -q -- --array=0-3
"$program" sweep sweep.toml --out cluster --on slurm --array-size 4 --time 10
recorded() { "$program" jobs status cluster --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["done"])'; }
past() { for _ in $(seq 600); do [ "$(recorded)" -ge "$1" ] && return; sleep 1; done; "$program" jobs logs cluster; exit 1; }
job=$(python3 -c 'import json; print(json.load(open("cluster/cluster/jobs.json"))["ids"][0])')

# Five kinds of kills, spread over the sweep.
past $((runs / 8)); echo "a task's program is killed"
pkill -9 -f "$program sweep" -n
past $((runs / 4)); echo "a task is requeued"
scontrol requeue "${job}_1" || true
past $((runs * 3 / 8)); echo "a node's daemon and its programs are killed, the daemon returns"
kill -9 "${nodes[2]}"; pkill -9 -f "slurmstepd.*${job}" -o || true; sleep 2; node 2
past $((runs / 2)); echo "the controller is killed and returns"
kill -9 $ctld; sleep 3; controller
past $((runs * 5 / 8)); echo "a task is cancelled for good"
scancel "${job}_0" || true
past "$runs"
for _ in $(seq 120); do [ -z "$(squeue -h)" ] && break; sleep 1; done
"$program" jobs status cluster

# The same sweep on this machine alone.
"$program" sweep sweep.toml --out alone > /dev/null 2>&1
python3 - "$runs" <<'PYTHON'
import hashlib, json, pathlib, sqlite3, sys
runs = int(sys.argv[1])
weights = {}
for place in ["cluster", "alone"]:
    keys = [row[0] for row in sqlite3.connect(f"{place}/runs.db").execute("select key from runs")]
    assert len(keys) == len(set(keys)) == runs, (place, len(keys), len(set(keys)))
    weights[place] = {}
    for file in pathlib.Path(place, "adapters").glob("*/adapter.safetensors"):
        weights[place][file.parent.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    assert len(weights[place]) == runs, (place, len(weights[place]))
assert weights["cluster"] == weights["alone"]
print(f"{runs} runs recorded once each, weights equal to those of one machine")
PYTHON
