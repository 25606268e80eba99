//! What an adapter begins with in the place of values of its own: a trained adapter (`--init`), and
//! the checkpoint's head for masked words.

use std::path::Path;

use budwood_base::digest;
use budwood_base::head::{HeadKind, HeadSpec};
use budwood_base::tensor::TensorMap;
use budwood_formats::BaseModel;
use budwood_formats::native::AdapterFolder;
use budwood_formats::safetensors_file::to_bytes;

use super::config::method_of;
use super::data::RunData;
use crate::foreign::read_folder;
use crate::{Error, Notice, RunSpec};

/// Values that a run begins with.
#[derive(Default)]
pub(super) struct Beginning {
    /// By name; empty where all are new.
    pub(super) tensors: TensorMap,
    /// SHA-256 of the adapter's weights that they come from.
    pub(super) of: Option<String>,
    /// What they are, for people.
    pub(super) lines: Vec<String>,
}

impl Beginning {
    /// Reads what a run begins with.
    ///
    /// # Errors
    /// If the adapter cannot be read, is of another base or method, or the checkpoint's head is
    /// not whole.
    pub(super) fn of(
        spec: &RunSpec,
        head: &HeadSpec,
        data: &RunData,
        model: &BaseModel,
    ) -> Result<Self, Error> {
        let mut all = Self::default();
        if head.kind == HeadKind::MaskedLm {
            all.tensors = model.masked_lm()?.values;
            all.lines.push(match all.tensors.is_empty() {
                false => "head: begins as the checkpoint's own for masked words".into(),
                true => "head: a new one over the table of words; the checkpoint holds none for \
                         masked words"
                    .into(),
            });
        }
        if let Some(path) = &spec.init {
            all.add(path, spec, head, data, model)?;
        }
        Ok(all)
    }

    /// Adds the values of a trained adapter: those in the encoder, and those of its head where it
    /// is of the same task.
    fn add(
        &mut self,
        path: &str,
        spec: &RunSpec,
        head: &HeadSpec,
        data: &RunData,
        model: &BaseModel,
    ) -> Result<(), Error> {
        let refused = |message: String| Error::Setting { name: "init", message };
        let mut noticed = |notice: Notice<'_>| self.lines.extend(notice.warning());
        let place = budwood_hub::find_adapter(Path::new(path), &mut noticed)?;
        let folder = read_folder(&place, model, &spec.base)?;
        let AdapterFolder { meta, tensors } = folder;
        meta.check_base(model)?;
        let method = method_of(spec)?;
        if meta.method != method {
            return Err(refused(format!(
                "the adapter in {path} is of the method {}, and the run's is {method}; a run begins \
                 from an adapter of its own method: say --method '{}'",
                meta.method, meta.method
            )));
        }
        // Folders of other libraries have no hash of their own.
        let of = match meta.weights_sha256.is_empty() {
            true => digest::of_bytes(&to_bytes(&place, &tensors)?),
            false => meta.weights_sha256,
        };
        let same_head = meta.head.acting() == head.acting() && meta.labels == data.labels;
        let own = |name: &str| same_head || !name.starts_with("head.");
        let own: TensorMap = tensors.into_iter().filter(|(name, _)| own(name)).collect();
        if own.is_empty() {
            return Err(refused(format!(
                "the adapter in {path} has nothing but a head, which is not this run's: its kind, \
                 its classes or its --pooling are others"
            )));
        }
        self.tensors.extend(own);
        let head = if same_head { "with its head" } else { "with a new head" };
        self.lines.push(format!("begins from the adapter in {path}, {head}"));
        self.of = Some(of);
        Ok(())
    }
}
