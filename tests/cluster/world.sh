# A real Slurm on this machine for the script that sources this: one controller and four node daemons
# of one processor each, in the temporary folder $work. Daemons are ended at the end. `controller`
# and `node N` start one again; their processes are $ctld and ${nodes[N]}.
#
# Needs root and Debian's packages slurm-wlm and munge, which are installed if they are missing.
if ! command -v slurmctld munged > /dev/null; then
    (apt-get update -qq && apt-get install -y -qq --no-install-recommends slurm-wlm munge) > /dev/null
fi
work=$(mktemp -d)
chmod 755 "$work"
mkdir -p "$work"/{state,spool,log,tmp/n{1,2,3,4}}
export SLURM_CONF="$work/slurm.conf"
processes=()
finish() {
    kill -9 "${processes[@]}" 2> /dev/null || true
    pkill -9 -f "slurm[a-z]* .*-f $work" 2> /dev/null || true
    rm -rf "$work"
}
trap finish EXIT

# Slurm tells its own messages from others' by munge.
if ! munge -n > /dev/null 2>&1; then
    mkdir -p /run/munge && chown munge: /run/munge
    su -s /bin/sh munge -c "munged --force"
fi
host=$(hostname -s)
cat > "$SLURM_CONF" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool/%n
TmpFS=$work/tmp/%n
SlurmctldPidFile=$work/ctld.pid
SlurmdPidFile=$work/%n.pid
SlurmctldLogFile=$work/log/ctld
SlurmdLogFile=$work/log/%n
SlurmctldPort=17817
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=10
KillWait=5
MinJobAge=5
JobRequeue=1
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=17821 CPUs=1
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=17822 CPUs=1
NodeName=n3 NodeHostname=$host NodeAddr=127.0.0.1 Port=17823 CPUs=1
NodeName=n4 NodeHostname=$host NodeAddr=127.0.0.1 Port=17824 CPUs=1
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
controller() { slurmctld -D -f "$SLURM_CONF" > "$work/log/ctld.out" 2>&1 & ctld=$!; processes+=($ctld); }
node() { slurmd -D -N "n$1" -f "$SLURM_CONF" > "$work/log/n$1.out" 2>&1 & nodes[$1]=$!; processes+=($!); }
nodes=()
controller
for n in 1 2 3 4; do node $n; done
for _ in $(seq 60); do
    [ "$(sinfo -h -o %D -t idle 2> /dev/null | paste -sd+ | bc 2> /dev/null)" = 4 ] && break
    sleep 1
done
sinfo

