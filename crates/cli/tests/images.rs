//! Images on the command line: train, eval, predict, and what is wrong with data.
#![allow(clippy::unwrap_used)]

mod world;

use std::fs;
use std::path::Path;

use world::{World, json};

/// A world with a tiny ViT and images that can be told apart: bright above and dark below, or the
/// other way round, or with a bright middle.
fn images() -> World {
    let world = World::new();
    let args = "models new --hidden 32 --layers 2 --heads 2 --image-size 16 --patch 8 --out vit";
    world.ok(args);
    world
}

/// A BMP of 16 pixels a side of one of three kinds, no two alike.
fn picture(kind: usize, number: usize) -> Vec<u8> {
    const SIDE: usize = 16;
    let level = |x: usize, y: usize| {
        let bright = match kind {
            0 => y < SIDE / 2,
            1 => y >= SIDE / 2,
            _ => (4..12).contains(&x),
        };
        let noise = (x * 7 + y * 13 + number * 29) % 23;
        (if bright { 200 } else { 20 } + noise) as u8
    };
    let size = 54 + 3 * SIDE * SIDE;
    let mut bytes = b"BM".to_vec();
    for n in [size as u32, 0, 54, 40, SIDE as u32, SIDE as u32, 1 | 24 << 16, 0, 0, 0, 0, 0, 0] {
        bytes.extend(n.to_le_bytes());
    }
    // Rows from the last to the first.
    for y in (0..SIDE).rev() {
        (0..SIDE).for_each(|x| bytes.extend([level(x, y); 3]));
    }
    bytes
}

fn fill(folder: &Path, kind: usize, n: usize, first: usize) {
    fs::create_dir_all(folder).unwrap();
    for i in first..first + n {
        fs::write(folder.join(format!("{i:03}.bmp")), picture(kind, i)).unwrap();
    }
}

#[test]
fn train_eval_predict_on_folders() {
    let world = images();
    for (kind, class) in ["above", "below", "middle"].iter().enumerate() {
        fill(&world.path("data/train").join(class), kind, 20, 0);
        fill(&world.path("data/val").join(class), kind, 5, 20);
        fill(&world.path("data/test").join(class), kind, 5, 25);
    }
    let train = "train --recipe paper --json --base vit --data data --method full --lr 3e-3 --epochs 60 --batch-size 12 --test --out a";
    let summary = json(&world.ok(train));
    let score = |split: &str, name: &str| {
        let metrics = summary["metrics"].as_array().unwrap();
        let found = metrics.iter().find(|m| m["split"] == split && m["name"] == name);
        found.unwrap()["value"].as_f64().unwrap()
    };
    assert!(score("test", "accuracy") > 0.9, "{summary:#}");
    assert_eq!(score("test", "top5"), 1.0);
    assert!(score("dev", "mean_class_accuracy") > 0.9);
    let eval = json(&world.ok("eval --json --adapter a --data data --split test"));
    assert_eq!(eval["scores"]["accuracy"].as_f64().unwrap(), score("test", "accuracy"));
    // A file, and a folder with folders in it.
    let one = json(&world.ok("predict --json --adapter a data/test/above/025.bmp"));
    assert_eq!(
        (one["image"].as_str(), one["label"].as_str()),
        (Some("data/test/above/025.bmp"), Some("above"))
    );
    assert_eq!(one["scores"].as_object().unwrap().len(), 3);
    let two = json(&world.ok("predict --json --adapter a --top 2 data/test/above/025.bmp"));
    assert_eq!(two["scores"].as_object().unwrap().len(), 2);
    assert_eq!(two["scores"]["above"], one["score"]);
    let csv = world.ok("predict --adapter a data/test --format csv");
    assert!(csv.starts_with("image,label,score\n") && csv.lines().count() == 16, "{csv}");
    // A table of paths.
    world.write(
        "table.csv",
        "path,label\ndata/test/above/025.bmp,above\ndata/test/below/025.bmp,below\n",
    );
    let eval = json(&world.ok("eval --json --adapter a --data table.csv"));
    assert_eq!(eval["rows"], 2);
    assert!(world.ok("inspect a").contains("image-classification"));
}

#[test]
fn what_does_not_fit_is_said() {
    let world = images();
    fill(&world.path("data/a"), 0, 6, 0);
    fill(&world.path("data/b"), 1, 6, 0);
    world
        .fails("train --base base --max-length 24 --data data --out a", &["reads texts", "--base"]);
    world.fails("train --base vit --data train.csv --out a", &["reads images"]);
    world.fails("train --base vit --data data --image-size 20 --out a", &["multiples of 8"]);
    world.fails("train --base base --max-length 24 --data train.csv --flip --out a", &["--flip"]);
    world
        .fails("train --base vit --data data --task regression --out a", &["image-classification"]);
    world.fails("train --base vit --data data --metric pearson --out a", &["top5"]);
    world.fails("train --base vit --data folder=nothing --out a", &["nothing"]);
    let bytes = fs::read(world.path("data/a/000.bmp")).unwrap();
    fs::write(world.path("data/a/cut.bmp"), &bytes[..200]).unwrap();
    fs::create_dir(world.path("data/c")).unwrap();
    world.fails("train --base vit --data data --out a", &["data/c"]);
    let short = "--recipe paper --method linear --epochs 1 --batch-size 4";
    let output = world.ok(&format!("train --base vit --data data --skip-bad {short} --out a"));
    assert!(
        output.contains("2 left out") && output.contains("cut.bmp") && output.contains("data/c"),
        "{output}"
    );
    world.fails("predict --adapter a data/a/cut.bmp", &["cut.bmp"]);
    assert!(world.ok("predict --adapter a --skip-bad data/a").lines().count() == 6);
}

/// A run of another image size is kept apart and used as it was trained.
#[test]
fn another_size_is_remembered() {
    let world = images();
    fill(&world.path("data/a"), 0, 8, 0);
    fill(&world.path("data/b"), 1, 8, 0);
    let short = "--recipe paper --base vit --data data --method linear --epochs 2 --batch-size 4";
    let output = world.ok(&format!("train {short} --image-size 32 --out a"));
    assert!(output.contains("32 x 32 pixels, 17 tokens"), "{output}");
    let known = |path: &str| json(&fs::read_to_string(world.path(path)).unwrap());
    assert_eq!(known("a/adapter.json")["task"]["images"]["resize"]["exact"][0], 32);
    let before = json(&world.ok("eval --json --adapter a --data data"));
    let metric = &known("a/adapter.json")["metrics"][0];
    assert!(metric["value"].is_number() && before["rows"] == 16);
    // Other libraries are told of it, as far as their files can be.
    for library in ["transformers", "adapterhub"] {
        let told = world.run(&format!("export a {library} --to {library}"));
        let told = String::from_utf8(told.stderr).unwrap();
        assert!(told.contains("32 x 32") && told.contains("interpolate_pos_encoding"), "{told}");
    }
    assert_eq!(known("transformers/preprocessor_config.json")["size"]["height"], 32);
    world.ok(&format!("train {short} --out own"));
    let told = world.run("export own same --to transformers");
    assert_eq!(String::from_utf8(told.stderr).unwrap(), "");
}

/// A list of images of two kinds in `folder`, as benchmarks have them: a path and a number in each
/// line.
fn list(world: &World, folder: &str, name: &str, first: usize, n: usize) {
    let mut lines = String::new();
    for i in first..first + n {
        let path = format!("images/{i:03}.bmp");
        fs::create_dir_all(world.path(folder).join("images")).unwrap();
        fs::write(world.path(folder).join(&path), picture(i % 2, i)).unwrap();
        lines += &format!("{path} {}\n", i % 2);
    }
    fs::write(world.path(folder).join(name), lines).unwrap();
}

/// A sweep file of the project with fewer epochs and seeds, so that it ends in a test.
fn small(world: &World, file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments").join(file);
    let text = fs::read_to_string(path).unwrap();
    let text =
        text.replace("epochs = 100", "epochs = 1").replace("seeds = [0, 1, 2]", "seeds = [0]");
    world.write("sweep.toml", text.replace("batch-size = 64", "batch-size = 4"));
    "sweep.toml".into()
}

/// The protocols of VTAB-1k and OmniBenchmark on trees of their layout, from lists to the report's
/// means.
#[test]
fn benchmarks_run_from_their_lists_to_their_means() {
    let world = images();
    let vtab = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments/vtab-1k.toml"),
    );
    let names: Vec<String> = vtab
        .unwrap()
        .lines()
        .filter_map(|l| {
            l.strip_prefix("data = \"list=${DATA}/")?.split('/').next().map(String::from)
        })
        .collect();
    assert_eq!(names.len(), 19);
    for name in &names {
        list(&world, &format!("vtab/{name}"), "train800val200.txt", 0, 8);
        list(&world, &format!("vtab/{name}"), "test.txt", 8, 4);
    }
    let file = small(&world, "vtab-1k.toml");
    world.ok(&format!("sweep {file} --set DATA=vtab --set BASE=vit --out runs"));
    world.ok("report --store runs/runs.db --out report");
    let table = fs::read_to_string(world.path("report/table.md")).unwrap();
    for column in ["natural (mean)", "specialised (mean)", "structured (mean)", "mean of areas"] {
        assert!(table.contains(column), "{table}");
    }
    assert_eq!(
        table.lines().filter(|l| l.starts_with("| ") && !l.starts_with("| method")).count(),
        5,
        "{table}"
    );

    let omni = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments/omnibenchmark.toml"),
    );
    let realms: Vec<String> = omni
        .unwrap()
        .lines()
        .filter_map(|l| {
            l.strip_prefix("data = \"list=${DATA}/")?.split('/').next().map(String::from)
        })
        .collect();
    assert_eq!(realms.len(), 21);
    for realm in &realms {
        for (name, first, n) in [("train.txt", 0, 8), ("val.txt", 8, 4), ("test.txt", 12, 4)] {
            list(&world, "omni", &format!("{realm}-{name}"), first, n);
            fs::create_dir_all(world.path("lists").join(realm)).unwrap();
            fs::rename(
                world.path(&format!("omni/{realm}-{name}")),
                world.path("lists").join(realm).join(name),
            )
            .unwrap();
        }
    }
    let file = small(&world, "omnibenchmark.toml");
    world.ok(&format!(
        "sweep {file} --set DATA=lists --set IMAGES=omni --set BASE=vit --out omni-runs"
    ));
    world.ok("report --store omni-runs/runs.db --out omni-report");
    let table = fs::read_to_string(world.path("omni-report/table.md")).unwrap();
    assert!(table.contains("structure (accuracy, test)") && table.contains("| mean |"), "{table}");
}
