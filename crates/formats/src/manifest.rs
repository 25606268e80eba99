//! `budwood.json`, the file that tells what a quantised model was made from.

use std::path::Path;

use budwood_base::digest;
use budwood_base::record::BaseId;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::text_file::read_json;

/// The file beside the weights.
pub(crate) const MANIFEST: &str = "budwood.json";
const VERSION: u32 = 1;

/// What `budwood.json` says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    version: u32,
    precision: String,
    /// SHA-256 of this folder's `model.safetensors`.
    weights_sha256: String,
    /// The model that this one was made from.
    made_from: BaseId,
}

impl Manifest {
    /// That of weights with this hash, made from this model.
    pub(crate) fn new(weights_sha256: String, made_from: BaseId) -> Self {
        Self { version: VERSION, precision: "int8".into(), weights_sha256, made_from }
    }

    /// The model that a folder whose weights have this hash says that it was made from; none where
    /// there is no manifest. It is a claim: only quantising that model again could show it.
    pub(crate) fn original(folder: &Path, weights_sha256: &str) -> Result<Option<BaseId>, Error> {
        let path = folder.join(MANIFEST);
        if !path.exists() {
            return Ok(None);
        }
        let manifest: Self = serde_json::from_value(read_json(&path)?)
            .map_err(|e| Error::content(&path, format!("is not a quantised model's: {e}")))?;
        if manifest.version > VERSION || manifest.precision != "int8" {
            let message = format!(
                "is of version {} with precision '{}'; this Budwood reads version {VERSION} with int8",
                manifest.version, manifest.precision
            );
            return Err(Error::content(&path, message));
        }
        if manifest.weights_sha256 != weights_sha256 {
            let message = "names another hash than model.safetensors has: the file was changed or damaged; \
                           write the model again with `budwood models quantize`";
            return Err(Error::content(&path, message));
        }
        if !digest::is_sha256(&manifest.made_from.weights_sha256) {
            let message = "does not say by a SHA-256 which model this one was made from";
            return Err(Error::content(&path, message));
        }
        Ok(Some(manifest.made_from))
    }
}
