#!/usr/bin/env python3
"""Trains the runs of a sweep on Ray: the same records and weights as `budwood sweep` on one machine.

    examples/ray_sweep.py SWEEP.toml OUT [--tasks 4] [--threads 1] [--store postgres://LAB@HOST/runs]

Each task runs the sweep's own command on the same OUT and store, and takes the next run that no
other holds and that is not recorded, until none is left. A task that dies is begun again, and goes
on from its run's checkpoint. All machines see the current folder, OUT and the data under the same
paths. It needs `pip install ray` and this package, and Linux.
"""

import argparse
import os
import subprocess
import sys

import ray


def with_this_process():
    """Lets the child end when the worker is killed: its run is then free for the next task."""
    import ctypes
    import signal

    to_me_when_my_parent_dies = 1  # PR_SET_PDEATHSIG, prctl(2)
    ctypes.CDLL(None).prctl(to_me_when_my_parent_dies, signal.SIGKILL)


@ray.remote(max_retries=-1)
def take_runs(words, folder):
    """What the sweep's command says at its end."""
    command = [sys.executable, "-m", "budwood", "sweep", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, preexec_fn=with_this_process)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return done.stdout


def sweep(file, out, tasks=4, threads=1, store=None):
    """Trains all runs of a sweep file. Raises what the program says where a run fails."""
    words = [file, "--out", out, "--threads", str(threads), "--jobs", "1"]
    words += ["--store", store] if store else []
    task = take_runs.options(num_cpus=threads)
    ray.get([task.remote(words, os.getcwd()) for _ in range(tasks)])
    # One more, for a run whose task died after the others had ended.
    return ray.get(task.remote(words, os.getcwd()))


def main():
    words = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    words.add_argument("sweep")
    words.add_argument("out")
    words.add_argument("--tasks", type=int, default=4)
    words.add_argument("--threads", type=int, default=1)
    words.add_argument("--store")
    given = words.parse_args()
    print(sweep(given.sweep, given.out, given.tasks, given.threads, given.store), end="")


if __name__ == "__main__":
    main()
