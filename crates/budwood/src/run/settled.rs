//! The settings of a run, checked on its data and its base.

use budwood_base::head::HeadSpec;
use budwood_base::masking::Masking;
use budwood_formats::{BaseModel, check_labels};
use budwood_train::{Lengths, TrainConfig};

use super::beginning::Beginning;
use super::config::{head, lengths_on, masking, reads_images};
use super::data::RunData;
use crate::{Error, RunSpec, positive};

/// What a run's settings mean on its data and its base.
pub(super) struct Settled {
    pub(super) config: TrainConfig,
    pub(super) head: HeadSpec,
    pub(super) lengths: Lengths,
    pub(super) why_pooling: String,
    pub(super) masking: Option<Masking>,
    pub(super) begin: Beginning,
    pub(super) positive: u32,
}

impl RunSpec {
    /// Checks all settings on the data and the base of a run, as [`Run::new`](super::Run::new)
    /// does, without reading the model's weights.
    ///
    /// # Errors
    /// If a setting has no meaning on these data or this base.
    pub fn check_on(&self, data: &RunData, model: &BaseModel) -> Result<(), Error> {
        self.settled(data, model).map(drop)
    }

    /// The settings of a run, checked.
    pub(super) fn settled(&self, data: &RunData, model: &BaseModel) -> Result<Settled, Error> {
        let lengths = lengths_on(self, data.task, model)?;
        let (head, why_pooling) = head(self, data, model)?;
        let masking = masking(self, data.task)?;
        let begin = Beginning::of(self, &head, data, model)?;
        let config = TrainConfig { max_length: lengths.max, ..self.config(data)? };
        check_labels(&data.labels).map_err(|e| {
            Error::Data(budwood_tasks::Error::Usage(format!("the data cannot be used: {e}")))
        })?;
        let positive = positive(self.positive.as_deref(), &data.labels)?;
        let augment = self.data.images.augment();
        if augment.any() && !reads_images(model) {
            let name = if augment.flip { "flip" } else { "random-crop" };
            let message = "changes images, but the base model reads texts".into();
            return Err(Error::Setting { name, message });
        }
        Ok(Settled { config, head, lengths, why_pooling, masking, begin, positive })
    }
}
