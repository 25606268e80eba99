//! Adapters as folders that Python's libraries load.

use budwood_base::folder::{Kind, Ours};
use budwood_engine::Precision;
use budwood_formats::export::Exported;
use budwood_formats::native::AdapterFolder;
use budwood_formats::{BaseModel, adapterhub_out, model_folder, peft};
use budwood_model::{Adapter, Base, merged};

use crate::{Error, load};

/// A folder for the files of `adapters` or `peft`; that of a whole model is
/// [`model_folder::KIND`].
pub static EXPORT_FOLDER: Kind = Kind { what: "an export", ours: Ours::Listed };

/// Whose folder is written.
#[derive(Clone, Copy, Debug)]
pub enum Export<'a> {
    /// That of `adapters`.
    AdapterHub {
        /// Name of the adapter.
        name: &'a str,
        /// Whether trained layer norms are written as those of the base.
        norms: bool,
        /// The base, which says what type of model it is, where its family has several.
        base: Option<&'a BaseModel>,
    },
    /// That of `peft`.
    Peft {
        /// Whether modules are named as in `transformers` 5, not 4.
        since_5: bool,
    },
    /// A whole model of `transformers`, the adapter merged into this base.
    Transformers(&'a BaseModel),
}

/// The files of another library's folder, and what should be known of them.
///
/// # Errors
/// If the library has no such adapter, or the base is not the adapter's or is stored in int8.
pub fn export(folder: &AdapterFolder, to: Export<'_>) -> Result<Exported, Error> {
    let mut exported = match to {
        Export::AdapterHub { name, norms, base } => {
            adapterhub_out::export(folder, name, norms, base)?
        }
        Export::Peft { since_5 } => peft::export(folder, since_5)?,
        Export::Transformers(base) => whole(folder, base)?,
    };
    exported.notes.extend(trained_on_bytes(folder));
    Ok(exported)
}

/// That an adapter meets other weights there than here, where this is so.
pub(crate) fn trained_on_bytes(folder: &AdapterFolder) -> Option<String> {
    let note = "the adapter was trained on weights in int8 and will be used on weights in f32: \
                probabilities differ a little. `budwood predict --base-precision f32` gives those; \
                `budwood train --base-precision f32` trains on them";
    (folder.meta.precision == "int8").then(|| note.into())
}

/// The base with the adapter merged into it, and the head.
fn whole(folder: &AdapterFolder, model: &BaseModel) -> Result<Exported, Error> {
    let AdapterFolder { meta, tensors } = folder;
    let warnings = check([folder], model)?;
    let fetch = |name: &str| Ok::<_, Error>(model.tensor(name)?);
    let changed = merged(&meta.method, model.spec(), tensors, fetch)?;
    let mut exported = model_folder::tuned(model, &changed, folder)?;
    exported.notes.splice(0..0, warnings);
    Ok(exported)
}

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
