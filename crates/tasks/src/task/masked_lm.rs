//! The words that belong at masked places of texts: how a model is adapted to a domain. Texts need
//! no labels; what is masked is chosen when they are read by the model ([`crate::Masker`]).

use budwood_base::head::HeadKind;

use super::definition::{Row, Task};
use crate::{Error, Input, Target};

pub(super) const TASK: Task = Task {
    name: "masked-lm",
    head: HeadKind::MaskedLm,
    images: false,
    labelled: false,
    labels: |_| Ok((Vec::new(), Vec::new())),
    input,
    target: |_, _, _| Ok(Target::None),
};

fn input(row: &mut Row<'_>) -> Result<Input, Error> {
    match row.texts()? {
        (text, None) => Ok(Input::Text(text)),
        (_, Some(_)) => {
            let message = "masked-lm reads one text of each row, but there are two columns of \
                           texts; name one with --text-column";
            Err(Error::Usage(message.into()))
        }
    }
}
