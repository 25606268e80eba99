//! What started this process, and how many times: environment variables of those that start jobs.

use crate::link::Link;

/// Whoever starts several processes says so in a variable: its name, who that is, and what to do
/// where MPI knows nothing of it. The first that is set counts, as one may start another.
const STARTERS: [(&str, &str, &str); 4] = [
    ("OMPI_COMM_WORLD_SIZE", "mpirun", "start it by the mpirun of the MPI that it was built with"),
    ("MV2_COMM_WORLD_SIZE", "mpirun", "start it by the mpirun of the MPI that it was built with"),
    ("PMI_SIZE", "mpirun", "start it by the mpirun of the MPI that it was built with"),
    // Of srun alone: a job's script has none, nor have tasks of arrays.
    (
        "SLURM_STEP_NUM_TASKS",
        "srun",
        "start it by srun --mpi=pmix; `srun --mpi=list` shows what there is",
    ),
];

/// Variables by which MPI finds the other tasks of srun.
#[cfg(feature = "mpi")]
const KNOWN: [&str; 3] = ["PMIX_RANK", "PMI_RANK", "PMI_FD"];

/// Processes of one command that know nothing of each other.
#[derive(Debug, thiserror::Error)]
#[error(
    "{by} started this program {count} times, but {why}. Each would do all of the work by itself, at the same place: {remedy}"
)]
pub struct NotStarted {
    by: &'static str,
    count: usize,
    why: String,
    remedy: String,
}

/// Whether something that starts jobs started this process, be it once: it may show a terminal to
/// it as its output, whatever the job's output is.
pub fn is_of_job() -> bool {
    STARTERS.iter().any(|(name, ..)| std::env::var_os(name).is_some())
}

/// What connects this process to those that were started with it; none if it is alone.
pub(crate) fn start() -> Result<Option<Box<dyn Link>>, NotStarted> {
    start_as(|name| std::env::var(name).ok())
}

fn start_as(
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Box<dyn Link>>, NotStarted> {
    let started = STARTERS.iter().find_map(|&(name, by, remedy)| {
        let count: usize = variable(name)?.trim().parse().ok()?;
        Some((by, count, remedy))
    });
    match started {
        Some((by, count, remedy)) if count > 1 => several(by, count, remedy).map(Some),
        _ => Ok(None),
    }
}

#[cfg(feature = "mpi")]
fn several(by: &'static str, count: usize, remedy: &str) -> Result<Box<dyn Link>, NotStarted> {
    let failed = |why: String| NotStarted { by, count, why, remedy: remedy.into() };
    // MPI would end the process in a way of its own.
    if by == "srun" && KNOWN.iter().all(|name| std::env::var_os(name).is_none()) {
        return Err(failed("MPI was told nothing of the others".into()));
    }
    let Some(link) = crate::mpi::Mpi::start() else {
        return Err(failed("MPI does not take calls from several threads".into()));
    };
    if link.size() != count {
        return Err(failed(format!("MPI knows of {}", link.size())));
    }
    if link.rank() > 0 {
        let cannot =
            |e| failed(format!("the output of rank {} cannot be closed: {e}", link.rank()));
        crate::quiet::silence(link.rank()).map_err(cannot)?;
    }
    Ok(Box::new(link))
}

#[cfg(not(feature = "mpi"))]
fn several(by: &'static str, count: usize, _: &str) -> Result<Box<dyn Link>, NotStarted> {
    let remedy = "start it once, or build it with MPI: cargo build --release --features mpi";
    Err(NotStarted { by, count, why: "it was built without MPI".into(), remedy: remedy.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(set: &[(&str, &str)]) -> Result<Option<Box<dyn Link>>, NotStarted> {
        let set: Vec<(String, String)> =
            set.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
        start_as(|name| set.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()))
    }

    /// A batch script, a task of a job array, an indexed job and a single rank are one process.
    #[test]
    fn one_process_is_alone() {
        let lone: [&[(&str, &str)]; 6] = [
            &[],
            &[("OMPI_COMM_WORLD_SIZE", "1")],
            &[("SLURM_NTASKS", "4"), ("SLURM_PROCID", "0")],
            &[("SLURM_ARRAY_TASK_ID", "3"), ("SLURM_ARRAY_TASK_COUNT", "8")],
            &[("SLURM_STEP_NUM_TASKS", "1"), ("SLURM_NTASKS", "4")],
            &[("JOB_COMPLETION_INDEX", "2")],
        ];
        for set in lone {
            assert!(started(set).unwrap().is_none(), "{set:?}");
        }
        // An mpirun of one, in a step of several.
        let inner = [("SLURM_STEP_NUM_TASKS", "4"), ("OMPI_COMM_WORLD_SIZE", "1")];
        assert!(started(&inner).unwrap().is_none());
    }

    #[cfg(not(feature = "mpi"))]
    #[test]
    fn several_without_mpi_are_refused_with_a_remedy() {
        for name in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"] {
            let refused = started(&[(name, "4")]).err().unwrap().to_string();
            assert!(refused.contains("4 times") && refused.contains("--features mpi"), "{refused}");
        }
    }
}
