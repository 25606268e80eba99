//! The list of an encoder's tensors against the files of the golden cases, which `transformers`
//! wrote.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use budwood_formats::BaseModel;
use budwood_formats::Weights;
use budwood_formats::family::FAMILIES;

fn golden(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/base").join(family)
}

/// Every tensor of the list is in the file with its shape. The file holds no other but what no
/// encoder reads: copies that the peer's prompt tuning made, DINOv2's mask token, the pooler of
/// image models.
#[test]
fn the_list_is_what_the_files_of_every_family_hold() {
    for family in FAMILIES {
        let folder = golden(family.name);
        let model = BaseModel::open(&folder).unwrap();
        let tensors = model.spec().tensors();
        for tensor in &tensors {
            let found = model.tensor(&tensor.name).unwrap();
            assert_eq!(found.shape, tensor.shape, "{} {}", family.name, tensor.name);
        }
        let file = Weights::open(&folder.join("model.safetensors")).unwrap();
        let ours = |name: &str| {
            let others = ["prompt_tuning", "mask_token"].iter().any(|part| name.contains(part));
            !others && (model.spec().pooler || !name.contains("pooler"))
        };
        let stored = file.names().filter(|name| ours(name)).count();
        let layout = family.layout(model.spec());
        assert_eq!(stored, layout.len(), "{}", family.name);
    }
}
