//! The state of a run on disk, so that a run that is killed at any moment goes on to the same
//! result.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use budwood_base::files;
use budwood_base::record::BaseId;
use budwood_base::tensor::{Tensor, TensorMap};
use budwood_formats::Weights;
use budwood_formats::safetensors_file::to_bytes;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::watch::Watch;

const STATE: &str = "checkpoint/checkpoint.json";
const VECTORS: [&str; 2] = ["checkpoint/vectors-0.safetensors", "checkpoint/vectors-1.safetensors"];

/// What a checkpoint puts into a run's folder.
pub(crate) const FILES: &[&str] = &[STATE, VECTORS[0], VECTORS[1]];

/// Everything that a run needs to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Progress and scores.
    pub state: State,
    /// The parameters now.
    pub values: Vec<f32>,
    /// The optimizer's first moments.
    pub m: Vec<f32>,
    /// The optimizer's second moments.
    pub v: Vec<f32>,
    /// The best parameters so far.
    pub best: Option<Vec<f32>>,
}

/// The part of a checkpoint that is not vectors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// SHA-256 over configuration, base and data: another run's checkpoint is refused.
    pub run: String,
    /// The base model, with what the hash does not cover; older checkpoints lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseId>,
    /// Steps taken.
    pub step: usize,
    /// Evaluations since the best.
    pub since_best: usize,
    /// The best score, its step and all scores then.
    pub best: Option<Best>,
    /// What watches the run, if something does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) watch: Option<Watch>,
    /// Training time so far in seconds.
    pub seconds: f64,
    /// Which of the two files of vectors this is of; the next checkpoint goes to the other one.
    #[serde(default)]
    pub slot: usize,
    /// SHA-256 of the vectors' file, which is written first.
    pub vectors_sha256: String,
}

/// The best evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The score that chooses.
    pub score: f64,
    /// Steps taken then.
    pub step: usize,
    /// All scores then.
    pub scores: BTreeMap<String, f64>,
}

impl Checkpoint {
    /// Replaces the checkpoint in `folder`: the vectors beside the old ones, then in one step the
    /// file that names them. Returns the state as it was written.
    ///
    /// # Errors
    /// If it cannot be written; the old one is untouched.
    pub fn save(&self, folder: &Path) -> Result<State, Error> {
        let mut tensors = TensorMap::new();
        let mut add = |name: &str, data: &[f32]| {
            tensors.insert(name.into(), Tensor::new([data.len()], data.to_vec()));
        };
        add("values", &self.values);
        add("m", &self.m);
        add("v", &self.v);
        if let Some(best) = &self.best {
            add("best", best);
        }
        let mut state = self.state.clone();
        state.slot = (state.slot + 1) % VECTORS.len();
        let path = folder.join(VECTORS[state.slot]);
        let bytes = to_bytes(&path, &tensors)?;
        state.vectors_sha256 = budwood_base::digest::of_bytes(&bytes);
        let json = serde_json::to_vec_pretty(&state).map_err(|e| Error::file(folder, e))?;
        let failed = |e: std::io::Error| Error::file(&path, e);
        std::fs::create_dir_all(folder.join("checkpoint")).map_err(failed)?;
        // No checkpoint speaks of this file yet: nothing is lost if only a part of it is written.
        File::create(&path)
            .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
            .map_err(failed)?;
        files::write_atomic(&folder.join(STATE), &json).map_err(failed)?;
        Ok(state)
    }

    /// The checkpoint in `folder`, if there is one.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn load(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(STATE);
        if !path.exists() {
            return Ok(None);
        }
        let damaged = |what: &dyn std::fmt::Display| {
            let message = format!("is damaged: {what}; remove its folder to begin again");
            Error::file(&path, message)
        };
        let json = std::fs::read(&path).map_err(|e| Error::file(&path, e))?;
        let state: State = serde_json::from_slice(&json).map_err(|e| damaged(&e))?;
        let Some(vectors) = VECTORS.get(state.slot) else {
            return Err(damaged(&"it names vectors that no checkpoint has"));
        };
        let file = Weights::open(&folder.join(vectors)).map_err(|e| damaged(&e))?;
        if file.sha256()? != state.vectors_sha256 {
            return Err(damaged(&"the vectors beside it are others than it names"));
        }
        let get = |name: &str| Ok::<_, Error>(file.tensor(name)?.data);
        let best = if file.contains("best") { Some(get("best")?) } else { None };
        Ok(Some(Self { values: get("values")?, m: get("m")?, v: get("v")?, best, state }))
    }

    /// Removes the checkpoint of a run that needs it no longer.
    ///
    /// # Errors
    /// If it is there and cannot be removed.
    pub fn remove(folder: &Path) -> Result<(), Error> {
        for name in FILES {
            let path = folder.join(name);
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::file(&path, e));
                }
                _ => {}
            }
        }
        // What others put there stays.
        let _ = std::fs::remove_dir(folder.join("checkpoint"));
        Ok(())
    }
}
