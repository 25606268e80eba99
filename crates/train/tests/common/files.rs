//! Images in files, which tests then change or remove.

use std::path::{Path, PathBuf};

use budwood_tasks::{Dataset, Example, Image, ImageContent, Input, Target};

/// A photograph of the tests.
pub(crate) fn photograph(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/images").join(name)
}

/// Twelve copies of one photograph, `0.jpg` to `11.jpg` in a folder, of two classes in turn.
pub(crate) fn twelve(folder: &Path) -> Dataset {
    let example = |i: u32| {
        let path = folder.join(format!("{i}.jpg"));
        std::fs::copy(photograph("420.jpg"), &path).unwrap();
        let image = Image::open(path.display().to_string(), ImageContent::File(path)).unwrap();
        Example { input: Input::Image(image), target: Target::Class(i % 2) }
    };
    Dataset::from_examples((0..12).map(example).collect(), "train", "files")
}
