//! PyTorch's files: whole ones of both layouts, and those that ask for what tensors do not need.

use std::path::Path;

use budwood_formats::Weights;

use crate::mutate::Files;

const NAME: &str = "x.bin";

pub(crate) fn corpus() -> Vec<Files> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../formats/tests/torch");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "bin"));
    paths.sort();
    paths.iter().filter_map(|p| Some([(NAME.into(), std::fs::read(p).ok()?)].into())).collect()
}

pub(crate) fn read(folder: &Path) {
    let Ok(file) = Weights::open(&folder.join(NAME)) else { return };
    let _ = file.tensors();
    for name in file.names() {
        let _ = (file.tensor(name), file.integers(name));
    }
}
