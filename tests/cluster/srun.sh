#!/bin/bash
# Training over ranks that Slurm starts: `srun --mpi=pmix` on a real Slurm of four nodes on this
# machine. The adapter is that of one process; a killed task ends the step, and the checkpoint goes
# on; without PMIx the program says what to do.
#
#   tests/cluster/srun.sh PROGRAM
#
# PROGRAM is built with the feature `mpi`. Needs root, slurm-wlm, munge and Open MPI of Debian.
set -euo pipefail
program=$(realpath "${1:?which program?}")
here=$(cd "$(dirname "$0")" && pwd)
. "$here/world.sh"

cd "$work"
python3 "$here/world.py"
train() { timeout 300 "${@:2}" "$program" train --base base --data rows.csv --recipe paper --epochs 20 \
    --batch-size 128 --method 'adapter[width=8]' --save-every 1 --out "$1"; }
train alone env > /dev/null 2>&1
for n in 2 4; do
    train "ranks$n" srun --mpi=pmix -n $n > "$n.log" 2>&1 || { cat "$n.log"; exit 1; }
    grep -q "$n ranks" "$n.log"
    cmp alone/adapter.safetensors "ranks$n/adapter.safetensors"
    echo "srun -n $n: the adapter of one process"
done

# Tasks that know nothing of each other.
if train apart srun --mpi=none -n 2 > apart.log 2>&1; then cat apart.log; exit 1; fi
grep -q 'srun started this program 2 times' apart.log || { cat apart.log; exit 1; }
test ! -e apart
echo "srun --mpi=none: refused"

# A script of a job with several tasks is one process.
cat > job.sh <<JOB
#!/bin/sh
#SBATCH -n 2 --wait -o job.log
"$program" predict --adapter alone --format csv "a good day"
JOB
sbatch job.sh > /dev/null
grep -q good job.log || { cat job.log; exit 1; }
echo "a job's script is one process"

# A task that is killed.
long() { timeout 300 "$@" "$program" train --base base --data rows.csv --recipe paper --epochs 500 \
    --batch-size 128 --method 'adapter[width=8]' --save-every 0.2 --out killed; }
long srun --mpi=pmix -n 3 -K > killed.log 2>&1 &
step=$!
for _ in $(seq 300); do [ -e killed/checkpoint/checkpoint.json ] && break; sleep 0.2; done
victim=$(for p in $(pgrep -f "^$program train"); do
    tr '\0' '\n' < /proc/"$p"/environ | grep -qx SLURM_PROCID=1 && echo "$p"; done | head -1) || true
kill -9 "$victim"
if wait $step; then echo "the step ended well"; exit 1; fi
long srun --mpi=pmix -n 2 > gone_on.log 2>&1 || { cat gone_on.log; exit 1; }
grep -q 'going on after step' gone_on.log || { cat gone_on.log; exit 1; }
echo "a killed task ends the step, and two go on from its checkpoint"
