//! Models and adapters by their names on a hub, in every command that takes them.
#![allow(clippy::unwrap_used)]

mod world;

use std::process::Output;

use world::hub::{repository, serve};
use world::{World, json};

fn text(output: &Output) -> String {
    let all = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn models_come_from_a_hub_and_stay_in_its_cache() {
    let world = World::new();
    let address = serve(vec![repository("owner/tiny", &world.path("base"))]);
    let run = |args: &str, offline: &str| {
        let mut command = world.command(args);
        command.env("HF_ENDPOINT", &address).env("HF_HUB_OFFLINE", offline).output().unwrap()
    };
    let before = text(&run("inspect owner/tiny", "1"));
    assert!(before.contains("HF_HUB_OFFLINE"), "{before}");
    let missing = run("inspect owner/nothing", "0");
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing).contains("'owner/nothing'"), "{}", text(&missing));
    let fetched = run("inspect owner/tiny", "0");
    assert!(fetched.status.success(), "{}", text(&fetched));
    assert!(text(&fetched).contains("2 layers x 32"), "{}", text(&fetched));
    let cached = run("inspect owner/tiny", "1");
    assert!(cached.status.success(), "{}", text(&cached));
    // A part that another program fetched: a file that changes answers may be missing.
    let snapshots = world.path("hub/hub/models--owner--tiny/.no_exist");
    std::fs::remove_dir_all(&snapshots).unwrap();
    let part = run("inspect owner/tiny", "1");
    assert!(part.status.success(), "{}", text(&part));
    assert!(text(&part).contains("perhaps without tokenizer.json"), "{}", text(&part));
}

/// `me/own` is of Budwood, `me/peft` of PEFT, on the base `me/base`.
#[test]
fn every_command_takes_an_adapter_of_a_hub() {
    let world = World::new();
    // PEFT keeps no names of classes: those of its base.
    let mut config = json(&std::fs::read_to_string(world.path("base/config.json")).unwrap());
    config["id2label"] = serde_json::json!({ "0": "fresh", "1": "rotten" });
    world.write("base/config.json", config.to_string());
    let address = serve(vec![repository("me/base", &world.path("base"))]);
    let hub = |address: &str, args: &str| {
        let mut command = world.command(args);
        command.env("HF_ENDPOINT", address).env("HF_HUB_OFFLINE", "0").output().unwrap()
    };
    let train = "train --base me/base --data train.csv --recipe paper --method lora[r=2] \
                 --pooling pooler --max-length 24 --epochs 2 --threads 2 --out";
    let done = hub(&address, &format!("{train} own"));
    assert!(done.status.success(), "{}", text(&done));
    let done = hub(&address, "export own peft --to peft");
    assert!(done.status.success(), "{}", text(&done));
    let address = serve(vec![
        repository("me/base", &world.path("base")),
        repository("me/own", &world.path("own")),
        repository("me/peft", &world.path("peft")),
    ]);
    world.write("texts.csv", "text\na good film\n");
    world.ok("board --board b init");
    let data = "-- --data train.csv --test-data test.csv";
    let commands = [
        "predict --adapter ADAPTER --input texts.csv",
        "predict --adapter ADAPTER --explain good",
        "eval --adapter ADAPTER --data test.csv",
        "inspect ADAPTER",
        "merge --adapter ADAPTER --out merged-N",
        "export ADAPTER hub-N --to adapterhub",
        "export ADAPTER peft-N --to peft",
        "export ADAPTER whole-N --to transformers",
        "export ADAPTER onnx-N --to onnx",
        "export ADAPTER shared-N --to onnx --shared-base --also peft-N",
        "average ADAPTER ADAPTER --out mean-N",
        "push ADAPTER me/other --license mit --dry-run",
    ];
    for (n, adapter) in ["me/own", "me/peft"].into_iter().enumerate() {
        for command in commands {
            let line = command.replace("ADAPTER", adapter).replace("-N", &format!("-{n}"));
            let done = hub(&address, &line);
            assert!(done.status.success(), "{line}: {}", text(&done));
        }
    }
    for line in [
        &format!("submit me/own --board b --dataset scored {data}"),
        "submit me/own --board b --dataset own",
        &format!("submit me/peft --board b --dataset peft {data}"),
        "import me/peft --out imported",
        &format!("{train} again --init me/own"),
    ] {
        let done = hub(&address, line);
        assert!(done.status.success(), "{line}: {}", text(&done));
    }
}
