//! Adapters as folders that Python's libraries load.

use budwood_base::folder::{Kind, Ours};
use budwood_engine::Precision;
use budwood_formats::export::Exported;
use budwood_formats::native::AdapterFolder;
use budwood_formats::{BaseModel, adapterhub_out, model_folder, peft};
use budwood_model::{Adapter, merged};

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
    },
    /// That of `peft`.
    Peft,
    /// A whole model of `transformers`, the adapter merged into this base.
    Transformers(&'a BaseModel),
}

/// The files of another library's folder, and what should be known of them.
///
/// # Errors
/// If the library has no such adapter, or the base is not the adapter's or is stored in int8.
pub fn export(folder: &AdapterFolder, to: Export<'_>) -> Result<Exported, Error> {
    Ok(match to {
        Export::AdapterHub { name, norms } => adapterhub_out::export(folder, name, norms)?,
        Export::Peft => peft::export(folder)?,
        Export::Transformers(base) => whole(folder, base)?,
    })
}

/// The base with the adapter merged into it, and the head.
fn whole(folder: &AdapterFolder, model: &BaseModel) -> Result<Exported, Error> {
    let AdapterFolder { meta, tensors } = folder;
    let warnings = meta.check_base(model)?;
    if model.is_quantized() {
        let name = model.folder().display();
        let message = format!("{name} is stored in int8; give the model that it was made from");
        return Err(Error::Setting { name: "base", message });
    }
    // Whether the tensors are those of the method is checked where it is built.
    let packed = load(model, Precision::F32, false)?;
    Adapter::from_tensors(&packed, &meta.method, meta.head.clone(), tensors)?;
    drop(packed);
    let fetch = |name: &str| Ok::<_, Error>(model.tensor(name)?);
    let changed = merged(&meta.method, model.spec(), tensors, fetch)?;
    let mut exported = model_folder::tuned(model, &changed, folder)?;
    exported.notes.splice(0..0, warnings);
    Ok(exported)
}
