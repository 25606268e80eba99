//! What a run has found out so far, on disk: a run that is killed goes on with it. Each trial gives
//! the same numbers again, so that it makes no difference where the run was ended.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use budwood_base::files;
use budwood_ranks::Ranks;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The file of the trials in a run's folder.
pub const TRIALS: &str = "recipe-trials.json";

/// Outputs of trials by their names.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// None where nothing is written.
    path: Option<PathBuf>,
    content: Content,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    /// Which run this is: another one's trials are of no use.
    run: String,
    trials: BTreeMap<String, Trial>,
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Trial {
    /// With outputs for the rows that it had not seen: for each share of the way (`Way::shares`).
    Outputs(Vec<Vec<Vec<f32>>>),
    /// It was lost, and given up.
    Lost,
}

impl Journal {
    /// The journal of a run in a folder. Of several ranks the first alone has a folder; all know
    /// what it finds.
    ///
    /// # Errors
    /// If another rank has failed.
    pub(crate) fn open(folder: Option<&Path>, run: &str, ranks: &Ranks) -> Result<Self, Error> {
        let path = folder.map(|folder| folder.join(TRIALS));
        let found = || path.as_ref().and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
        let known = ranks.first_says(|| Ok::<_, Error>(found()))?;
        // One that cannot be read, or is another run's, costs time and nothing else.
        let known = serde_json::from_slice::<Content>(&known).ok();
        let new = Content { run: run.into(), trials: BTreeMap::new() };
        Ok(Self { path, content: known.filter(|c| c.run == run).unwrap_or(new) })
    }

    pub(crate) fn get(&self, trial: &str) -> Option<&Trial> {
        self.content.trials.get(trial)
    }

    /// Adds a trial.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn add(&mut self, trial: &str, ended: Trial) -> Result<(), Error> {
        self.content.trials.insert(trial.into(), ended);
        let Some(path) = &self.path else { return Ok(()) };
        let json = serde_json::to_vec(&self.content).map_err(|e| Error::file(path, e))?;
        files::write_atomic(path, &json).map_err(|e| Error::file(path, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_come_back_to_the_bit_and_only_for_the_same_run() {
        let dir = tempfile::tempdir().unwrap();
        let rows = vec![vec![0.1f32, -1.0 / 3.0, f32::MIN_POSITIVE], vec![1e30, 16_777_217.0]];
        let outputs = vec![rows];
        let open = |run: &str| Journal::open(Some(dir.path()), run, &Ranks::default()).unwrap();
        let mut journal = open("a");
        journal.add("fold 0", Trial::Outputs(outputs.clone())).unwrap();
        journal.add("fold 1", Trial::Lost).unwrap();
        let again = open("a");
        assert_eq!(again.get("fold 0"), Some(&Trial::Outputs(outputs)));
        assert_eq!(again.get("fold 1"), Some(&Trial::Lost));
        assert_eq!(open("b").get("fold 0"), None);
        std::fs::write(dir.path().join(TRIALS), "{").unwrap();
        assert_eq!(open("a").get("fold 0"), None);
    }
}
