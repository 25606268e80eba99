//! What a run's result depends on, as one hash.

use budwood_base::digest;
use budwood_base::record::{BaseId, DataDigest, RunRecord};
use budwood_train::Scale;

use super::{Run, RunData};
use crate::Error;

impl Run {
    /// SHA-256 of everything that decides the result: settings, base and data.
    ///
    /// # Errors
    /// If a setting cannot be written as JSON.
    pub fn identity(&self) -> Result<String, Error> {
        let settings = serde_json::to_string(&self.config)?;
        let inputs = self.inputs()?;
        let parts = [("config", settings.as_bytes()), ("identity", inputs.as_bytes())];
        let recipe = (!self.spec.is_paper()).then_some(("recipe", b"auto".as_slice()));
        Ok(digest::of_parts(parts.into_iter().chain(recipe)))
    }

    /// As [`RunData::changed_since`], with the base of the run.
    pub fn changed_since(&self, record: &RunRecord) -> Option<String> {
        self.data.changed_since(record, Some(&self.base.model.id(&self.spec.base)))
    }

    /// What names base and data in a checkpoint. What came later is added only where it is said,
    /// so that older checkpoints stay what they were.
    pub(super) fn inputs(&self) -> Result<String, Error> {
        let (base, spec) = (&self.base, &self.spec);
        let mut inputs = serde_json::to_string(&(
            // What else it holds is compared by itself.
            base.model.id(&spec.base).as_of_old(),
            &self.data.digests(),
            &self.head,
            spec.dropout,
            format!("{:?}", base.packed.precision()),
            spec.doc_stride,
            base.packed.has_frozen_dropout(),
        ))?;
        if let Some(processor) = base.reader.processor() {
            inputs += &serde_json::to_string(&(processor, spec.data.images.augment()))?;
        }
        if let Some(p) = spec.drop_path {
            inputs += &format!(" drop path {p}");
        }
        if self.train.scale != Scale::NONE {
            let Scale { mean, deviation } = self.train.scale;
            inputs += &format!(" less {mean} in {deviation}");
        }
        if let Some(masking) = &self.masking {
            inputs += &serde_json::to_string(masking)?;
        }
        if let Some(weights) = &self.begin.of {
            inputs += &format!(" from {weights}");
        }
        Ok(inputs)
    }
}

impl RunData {
    /// The digests of the data, in the order train, dev, test.
    pub(super) fn digests(&self) -> Vec<DataDigest> {
        let all = [Some(&self.train), self.dev.as_ref(), self.test.as_ref()];
        all.into_iter().flatten().map(|d| d.digest.clone()).collect()
    }

    /// What of the data, and of the base if that is known, is not as in the record of a run of
    /// equal settings, in words. Settings name files and folders; what these hold may have changed.
    pub fn changed_since(&self, record: &RunRecord, base: Option<&BaseId>) -> Option<String> {
        let is_other = |now: &DataDigest| {
            let before = record.data.iter().find(|before| before.split == now.split);
            before.is_some_and(|before| before.sha256 != now.sha256)
        };
        if let Some(now) = self.digests().into_iter().find(is_other) {
            return Some(format!("other {} data than {} holds now", now.split, now.source));
        }
        let base = base?;
        let found = record.base.difference(base)?;
        Some(format!("another base than {} is now: {} differs", base.name, found.what))
    }
}
