//! What all exports begin with: adapters are held against their base.

use budwood_engine::Precision;
use budwood_formats::BaseModel;
use budwood_formats::native::AdapterFolder;
use budwood_model::{Adapter, Base};

use crate::{Error, load};

/// Names of files, and what should be known of them.
pub(crate) type Written = (Vec<String>, Vec<String>);

/// Refuses adapters that are not of the base, and a base whose own weights are not at hand; what
/// should be known.
pub(crate) fn check<'a>(
    folders: impl IntoIterator<Item = &'a AdapterFolder>,
    base: &BaseModel,
) -> Result<Vec<String>, Error> {
    let mut packed = None;
    let mut notes = Vec::new();
    for AdapterFolder { meta, tensors } in folders {
        notes.extend(meta.check_base(base)?);
        let packed = match &packed {
            Some(packed) => packed,
            None => packed.insert(own_weights(base)?),
        };
        // Whether the tensors are those of the method is checked where it is built.
        Adapter::from_tensors(packed, &meta.method, meta.head.clone(), tensors)?;
    }
    Ok(notes)
}

/// The base, unless its weights are stored in int8.
fn own_weights(base: &BaseModel) -> Result<Base, Error> {
    if base.is_quantized() {
        let name = base.folder().display();
        let message = format!("{name} is stored in int8; give the model that it was made from");
        return Err(Error::Setting { name: "base", message });
    }
    load(base, Precision::F32, false)
}
