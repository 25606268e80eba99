//! What is believed: only what was measured, on the leaderboard's data, of what is claimed now.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
#[path = "common/trust.rs"]
mod world;

use budwood_board::submit::{submit, synchronize};
use budwood_board::{Board, State, export, moderate, verify};
use common::{board, raw};
use serde_json::{Value, json};
use world::*;

#[test]
fn other_data_hold_no_rank() {
    let (_folder, mut board) = board();
    know(&mut board);
    // The owner's own first result names the data, as it makes the leaderboard.
    let first =
        put(&mut board, &record("ours", "test", "test", accuracy(80.0)), 1, &owner()).result;
    let named = table(&board, false).item.data.unwrap();
    assert_eq!((named.sha256, named.split.as_str()), (data("test"), "test"));
    let toy = put(&mut board, &record("toy", "toy", "test", accuracy(99.0)), 2, &sam()).result;
    let dev = put(&mut board, &record("dev", "dev", "test", accuracy(98.0)), 3, &sam()).result;
    let misnamed =
        put(&mut board, &record("misnamed", "test", "validation", accuracy(97.0)), 4, &sam())
            .result;
    let done = check_each(&mut board);
    assert_eq!(
        done,
        [State::Reevaluated, State::OtherSetting, State::OtherSetting, State::OtherSetting]
    );
    for claims in [false, true] {
        let ranks: Vec<_> =
            [first, toy, dev, misnamed].map(|id| row(&board, id, claims).rank).into();
        assert_eq!(ranks, [Some(1), None, None, None], "claims {claims}");
    }
    let item = table(&board, false).item;
    assert_eq!((item.verified, item.best_verified.unwrap().result), (1, first));
    assert_eq!(item.best.unwrap().result, first);
    let page = page(&board, toy);
    assert_eq!((page.row.rank, page.rank_of_claims, page.row.elsewhere), (None, None, true));
    assert_eq!(page.checks[0].outcome.as_ref().unwrap().data.as_ref().unwrap().sha256, data("toy"));

    // A moderator may name other data; what is re-evaluated follows, and the log says so.
    let dev_data = data("dev");
    let moved =
        moderate::name_data(&mut board, NEWS, Some((&dev_data, "test")), "why", &mo()).unwrap();
    assert_eq!(moved, 2);
    let states = [first, toy, dev].map(|id| state(&board, id));
    assert_eq!(states, [State::OtherSetting, State::OtherSetting, State::Reevaluated]);
    assert_eq!(actions(&board)[0], "name data");
    let item = table(&board, false).item;
    assert_eq!((item.verified, item.best_verified.unwrap().result), (1, dev));
    assert_eq!(moderate::name_data(&mut board, NEWS, None, "", &mo()).unwrap(), 1);
    let item = table(&board, false).item;
    assert_eq!((item.verified, item.best_verified), (0, None));
    let all: Vec<_> = table(&board, false).rows.iter().map(|r| (r.state, r.rank)).collect();
    assert!(all.iter().all(|r| *r == (State::OtherSetting, None)), "{all:?}");
    // Nobody names data then: measured rows are claims like any other.
    assert_eq!(row(&board, toy, true).rank, Some(1));
    for bad in ["", "ab", &"A".repeat(64)] {
        assert!(moderate::name_data(&mut board, NEWS, Some((bad, "test")), "", &mo()).is_err());
    }
    assert!(moderate::name_data(&mut board, NEWS, Some((&dev_data, " ")), "", &mo()).is_err());
}

/// Checks what waits, each with the value that it claims; the states, in order.
fn check_each(board: &mut Board) -> Vec<State> {
    let mut states = Vec::new();
    loop {
        let values: Vec<(i64, f64)> = table(board, true)
            .rows
            .iter()
            .map(|r| (r.result, r.scores[0].as_ref().unwrap().value.unwrap()))
            .collect();
        let mut worker = verify::Worker::begin(board).unwrap();
        struct Echo(Vec<(i64, f64)>);
        impl verify::Evaluator for Echo {
            fn evaluate(&mut self, job: &verify::Job) -> Result<verify::Evaluation, String> {
                let value = self.0.iter().find(|v| v.0 == job.result).unwrap().1;
                Finds { scores: &[("Accuracy", value)], meanwhile: &mut |_| () }.evaluate(job)
            }
        }
        match worker.next(board, &mut Echo(values), None).unwrap() {
            Some(done) => states.push(done.outcome.unwrap().state),
            None => return states,
        }
    }
}

/// In an export a rank stands beside the value that it is of, and beside no other.
#[test]
fn an_export_gives_no_value_the_rank_of_another() {
    let (_folder, mut board) = board();
    know(&mut board);
    let claims = json!([{ "name": "Accuracy", "value": 90 }, { "name": "F1", "value": 50 }]);
    put(&mut board, &record("ours", "test", "test", claims), 1, &owner());
    check(&mut board, &[("Accuracy", 90.0), ("F1", 50.0)]);
    let mut text = Vec::new();
    export::json(&board, Some(NEWS), &mut text).unwrap();
    let flat: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let ranks: Vec<_> = flat.iter().map(|f| json!([f["metric"], f["state"], f["rank"]])).collect();
    assert_eq!(
        ranks,
        [json!(["Accuracy", "re-evaluated", 1]), json!(["F1", "re-evaluated", null])]
    );
}

#[test]
fn a_submitter_cannot_name_data() {
    let (_folder, mut board) = board();
    know(&mut board);
    let (task, mut other) = (
        record("ours", "test", "test", accuracy(80.0)),
        record("x", "toy", "test", accuracy(99.0)),
    );
    put(&mut board, &task, 1, &owner());
    // A leaderboard that a submitter makes names nothing: its first row says what its submitter
    // likes.
    other.dataset.name = "Another".into();
    let made = put(&mut board, &other, 2, &sam());
    assert_eq!(made.leaderboard, "news-on-another");
    let done = check(&mut board, &[("Accuracy", 99.0)]);
    assert_eq!(done[1].outcome.as_ref().unwrap().state, State::OtherSetting);
    let toy = data("toy");
    refused(moderate::name_data(&mut board, "news-on-another", Some((&toy, "test")), "", &sam()));
}

#[test]
fn only_measured_values_rank_among_the_re_evaluated() {
    let (_folder, mut board) = board();
    know(&mut board);
    put(
        &mut board,
        &record(
            "honest",
            "test",
            "test",
            json!([{ "name": "Human parity", "value": 50 }, { "name": "Accuracy", "value": 90 }]),
        ),
        1,
        &owner(),
    );
    let claims = json!([{ "name": "Accuracy", "value": 90 }, { "name": "Human parity", "value": 99.9, "interval": [0, 1000] }]);
    let sly = put(&mut board, &record("sly", "test", "test", claims), 2, &sam()).result;
    check(&mut board, &[("Accuracy", 90.0)]);
    let found = row(&board, sly, false);
    assert_eq!(found.state, State::Reevaluated);
    let states: Vec<_> = found.scores.iter().flatten().map(|s| s.state).collect();
    assert_eq!(states, [State::Claimed, State::Reevaluated]);
    // By the metric that nobody measured nobody ranks, and nobody holds the state of the art.
    let by_parity = table(&board, false);
    assert_eq!(by_parity.metrics[0].name, "Human parity");
    assert!(by_parity.rows.iter().all(|r| r.rank.is_none()) && by_parity.line.is_empty());
    assert!(by_parity.item.best_verified.is_none());
    assert_eq!(by_parity.item.best.as_ref().unwrap().state, State::Claimed);
    let filter =
        budwood_board::query::Filter { metric: Some("Accuracy".into()), ..Default::default() };
    let by_accuracy = budwood_board::query::leaderboard(&board, NEWS, &filter).unwrap();
    assert!(by_accuracy.rows.iter().all(|r| r.rank == Some(1)));
    // A claimed interval makes no ties: the better claim stands before the wider one.
    let wide = row(&board, sly, true);
    assert_eq!(wide.rank, Some(1));
    let better = json!([{ "name": "Human parity", "value": 99.95, "interval": [99.95, 99.95] }]);
    submit(&mut board, &record("better", "test", "test", better), None, &[], &sam()).unwrap();
    assert_eq!(row(&board, sly, true).rank, Some(2));
    // The exports say the same.
    let mut text = Vec::new();
    export::json(&board, Some(NEWS), &mut text).unwrap();
    let rows: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let of = |metric: &str| {
        rows.iter().find(|r| r["result"] == sly && r["metric"] == metric).unwrap()["state"].clone()
    };
    assert_eq!((of("Accuracy"), of("Human parity")), (json!("re-evaluated"), json!("claimed")));
    assert!(export::eval_results(&board, sly).unwrap().contains("claimed"));
}

#[test]
fn one_value_that_misses_does_not_take_the_others_along() {
    let (_folder, mut board) = board();
    know(&mut board);
    let claims = json!([{ "name": "Accuracy", "value": 90 }, { "name": "F1", "value": 95 }]);
    let id = put(&mut board, &record("half", "test", "test", claims), 1, &owner()).result;
    check(&mut board, &[("Accuracy", 90.0), ("F1", 60.0)]);
    let found = row(&board, id, true);
    assert_eq!((found.state, found.rank), (State::Mismatch, None));
    let states: Vec<_> = found.scores.iter().flatten().map(|s| s.state).collect();
    assert_eq!(states, [State::Reevaluated, State::Mismatch]);
}

#[test]
fn what_is_taken_back_stays_so() {
    let (_folder, mut board) = board();
    know(&mut board);
    // A check that waits is given up.
    let waiting = put(&mut board, &record("a", "test", "test", accuracy(80.0)), 1, &owner()).result;
    moderate::retract(&mut board, waiting, "wrong", &mo()).unwrap();
    assert!(check(&mut board, &[("Accuracy", 80.0)]).is_empty());
    assert_eq!(state(&board, waiting), State::Retracted);
    assert_eq!(page(&board, waiting).checks[0].progress, "failed");
    conflict(verify::ask(&mut board, waiting, &owner()));
    conflict(moderate::retract(&mut board, waiting, "again", &mo()));
    // One that runs ends in nothing.
    let running = put(&mut board, &record("b", "test", "test", accuracy(80.0)), 2, &sam()).result;
    let place = board.place().clone();
    let done = check_while(&mut board, &[("Accuracy", 80.0)], &mut |job| {
        moderate::retract(&mut Board::open(&place).unwrap(), job.result, "wrong", &sam()).unwrap();
    });
    assert!(done[0].error.as_ref().unwrap().contains("taken back"), "{done:?}");
    assert_eq!(state(&board, running), State::Retracted);
    assert!(row(&board, running, true).scores[0].as_ref().unwrap().measured.is_none());
    // The same again is the same row; it does not come back, with its adapter or without.
    let again = put(&mut board, &record("b", "test", "test", accuracy(80.0)), 2, &sam());
    assert_eq!((again.result, again.new, again.state), (running, false, State::Retracted));
    // Whatever writes to the file: the database itself refuses.
    let set = |state: &str, id: i64| {
        raw(&place, &format!("UPDATE results SET state = '{state}' WHERE id = {id}"))
    };
    assert!(set("attached", running).unwrap_err().contains("taken back"));
    let claimed =
        submit(&mut board, &record("c", "toy", "test", accuracy(1.0)), None, &[], &sam()).unwrap();
    assert!(set("re-evaluated", claimed.result).unwrap_err().contains("names"));
}

fn body(results: &Value) -> Value {
    json!({ "task": "News", "dataset": "20 Newsgroups", "results": results })
}

fn sent(model: &str, id: &str, value: &str) -> Value {
    json!({ "methodology": model, "external_id": id, "metrics": { "Accuracy": value } })
}

#[test]
fn synchronising_brings_nothing_back() {
    let (_folder, mut board) = board();
    know(&mut board);
    put(&mut board, &record("first", "test", "test", accuracy(80.0)), 1, &owner());
    let call = |board: &mut Board, results: Value, who| {
        synchronize(board, &body(&results).to_string(), &who)
    };
    assert_eq!(call(&mut board, json!([sent("s", "s-1", "70")]), sam()).unwrap().added, 1);
    let id = table(&board, true).rows.iter().find(|r| r.model == "s").unwrap().result;
    moderate::retract(&mut board, id, "wrong", &sam()).unwrap();
    for value in ["70", "71"] {
        let done = call(&mut board, json!([sent("s", "s-1", value)]), sam()).unwrap();
        assert_eq!((done.retracted, done.changed, done.added), (1, 0, 0), "{value}");
        assert_eq!(state(&board, id), State::Retracted);
    }
    assert_eq!(row(&board, id, true).scores[0].as_ref().unwrap().raw, "70");
    // Someone else's row stays theirs, by its external name and by what it says.
    call(&mut board, json!([sent("t", "t-1", "60")]), sam()).unwrap();
    refused(call(&mut board, json!([sent("t", "t-1", "10")]), eve()));
    assert_eq!(call(&mut board, json!([sent("t", "e-9", "60")]), eve()).unwrap().unchanged, 1);
    // Two names cannot come to say the same, and one name cannot say two things.
    call(&mut board, json!([sent("u", "u-1", "50")]), sam()).unwrap();
    conflict(call(&mut board, json!([sent("t", "u-1", "60")]), sam()));
    assert!(
        call(&mut board, json!([sent("v", "v-1", "1"), sent("v", "v-1", "2")]), sam()).is_err()
    );
}

#[test]
fn a_check_of_what_is_no_longer_claimed_counts_for_nothing() {
    let (_folder, mut board) = board();
    know(&mut board);
    let mut first = record("moving", "test", "test", accuracy(80.0));
    first.external_id = Some("moving".into());
    let id = put(&mut board, &first, 1, &owner()).result;
    let place = board.place().clone();
    let edit = body(&json!([sent("moving", "moving", "95")])).to_string();
    let done = check_while(&mut board, &[("Accuracy", 80.0)], &mut |_| {
        let done = synchronize(&mut Board::open(&place).unwrap(), &edit, &owner());
        assert_eq!(done.map(|d| d.changed + d.unchanged).unwrap(), 1);
    });
    assert!(done[0].error.as_ref().unwrap().contains("changed while"), "{done:?}");
    assert_eq!(state(&board, id), State::Attached);
    // What an edit says is checked anew, with the adapter that is here.
    verify::ask(&mut board, id, &owner()).unwrap();
    check(&mut board, &[("Accuracy", 80.0)]);
    assert_eq!(state(&board, id), State::Mismatch);
    synchronize(&mut board, &body(&json!([sent("moving", "moving", "80")])).to_string(), &owner())
        .unwrap();
    assert_eq!(state(&board, id), State::Attached);
    assert_eq!(check(&mut board, &[("Accuracy", 80.0)]).len(), 1);
    assert_eq!(state(&board, id), State::Reevaluated);
}

#[test]
fn another_tolerance_has_everything_measured_again() {
    let (_folder, mut board) = board();
    know(&mut board);
    let id = put(&mut board, &record("a", "test", "test", accuracy(80.0)), 1, &owner()).result;
    check(&mut board, &[("Accuracy", 70.0)]);
    assert_eq!(state(&board, id), State::Mismatch);
    assert_eq!(actions(&board)[0], "mismatch", "what a check finds is in the log");
    let set = |board: &mut Board, tolerance| {
        moderate::set_metric(board, NEWS, "accuracy", None, Some(tolerance), "", &mo()).unwrap();
    };
    set(&mut board, 20.0);
    assert_eq!(state(&board, id), State::Mismatch, "nothing is believed before it was run");
    check(&mut board, &[("Accuracy", 70.0)]);
    assert_eq!(state(&board, id), State::Reevaluated);
    set(&mut board, 1.0);
    assert_eq!(check(&mut board, &[("Accuracy", 70.0)]).len(), 1);
    assert_eq!(state(&board, id), State::Mismatch);
    set(&mut board, 1.0);
    assert!(check(&mut board, &[]).is_empty(), "the same tolerance asks for nothing");
}

/// A result that does not say its data is measured on those of its leaderboard, unless its split is
/// another.
#[test]
fn who_does_not_say_the_data_means_the_leaderboards() {
    let (_folder, mut board) = board();
    know(&mut board);
    put(&mut board, &record("first", "test", "test", accuracy(80.0)), 1, &owner());
    check(&mut board, &[("Accuracy", 80.0)]);
    let mut silent = record("silent", "test", "", accuracy(80.0));
    (silent.dataset.sha256, silent.dataset.split) = (None, None);
    let id = put(&mut board, &silent, 2, &sam()).result;
    silent.dataset.split = Some("dev".into());
    silent.model.name = "dev".into();
    let dev = put(&mut board, &silent, 3, &sam()).result;
    let done = check(&mut board, &[("Accuracy", 80.0)]);
    assert_eq!((state(&board, id), state(&board, dev)), (State::Reevaluated, State::Attached));
    assert!(done[1].error.as_ref().unwrap().contains("which data"));
    assert_eq!(page(&board, id).data_sha256, Some(data("test")));
}

/// An adapter that is on the board already may be submitted by another; the pages of both say so. A
/// claim that only names an adapter has none to offer.
#[test]
fn the_same_weights_are_known_as_the_same() {
    let (_folder, mut board) = board();
    know(&mut board);
    let first =
        put(&mut board, &record("mine", "test", "test", accuracy(80.0)), 1, &owner()).result;
    let copy = put(&mut board, &record("yours", "test", "test", accuracy(80.0)), 1, &eve()).result;
    let mut named = record("named", "test", "test", accuracy(80.0));
    let sha256 = Some(adapter(1).sha256().to_owned());
    named.model.adapter = Some(budwood_board::submit::AdapterOf { sha256, ..Default::default() });
    let named = submit(&mut board, &named, None, &[], &eve()).unwrap().result;
    let same = |id| page(&board, id).same_weights.iter().map(|s| s.result).collect::<Vec<_>>();
    assert_eq!((same(copy), same(first)), (vec![first, named], vec![copy, named]));
    assert!(row(&board, copy, true).adapter && !row(&board, named, true).adapter);
}

#[test]
fn a_description_is_within_bounds() {
    use budwood_board::submit::{Attachment, AttachmentLimits};
    let header = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let weights = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 4]].concat();
    let new = |more: Value| {
        let mut meta = json!({ "budwood_adapter": 1, "weights_sha256": budwood_base::digest::of_bytes(&weights) });
        meta.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Attachment::new(weights.clone(), meta.to_string().into_bytes(), AttachmentLimits::default())
    };
    assert!(new(json!({ "method": "lora[r=8]", "parameters_trained": 5, "base": { "name": "b", "weights_sha256": BASE } })).is_ok());
    for bad in [
        json!({ "method": "a\u{1b}[2J" }),
        json!({ "method": "x".repeat(100_000) }),
        json!({ "base": { "name": "\u{202e}" } }),
        json!({ "base": { "weights_sha256": "../../etc/passwd" } }),
        json!({ "parameters_trained": -1 }),
        json!({ "parameters_trained": u64::MAX }),
        json!({ "parameters_trained": "many" }),
    ] {
        assert!(new(bad.clone()).is_err(), "{bad}");
    }
}

/// Why a check failed is there for all to read; where things lie on the board's machine is not.
#[test]
fn what_a_failed_check_tells_names_no_folder() {
    struct Fails;
    impl verify::Evaluator for Fails {
        fn evaluate(&mut self, _: &verify::Job) -> Result<verify::Evaluation, String> {
            Err("cannot read /home/someone/secret/test.csv".into())
        }
    }
    let (_folder, mut board) = board();
    know(&mut board);
    let id = put(&mut board, &record("a", "test", "test", accuracy(80.0)), 1, &owner()).result;
    let mut worker = verify::Worker::begin(&mut board).unwrap();
    let done = worker.next(&mut board, &mut Fails, None).unwrap().unwrap();
    assert!(done.error.unwrap().contains("/home/someone"), "the operator sees all of it");
    let page = page(&board, id);
    let told = [page.checks[0].error.clone().unwrap(), page.history[0].reason.clone()];
    assert_eq!(told, ["cannot read test.csv", "cannot read test.csv"]);
}

/// What ends its worker each time is not tried for ever.
#[test]
fn a_check_that_ends_its_worker_three_times_is_given_up() {
    let (_folder, mut board) = board();
    know(&mut board);
    let id = put(&mut board, &record("a", "test", "test", accuracy(80.0)), 1, &owner()).result;
    let mut begun = 0;
    for _ in 0..5 {
        let work = std::panic::AssertUnwindSafe(|| {
            check_while(&mut board, &[], &mut |_| {
                begun += 1;
                panic!("the worker dies");
            })
        });
        let _ = std::panic::catch_unwind(work);
    }
    assert_eq!(begun, 3);
    let given_up = page(&board, id).checks.remove(0);
    assert!(given_up.error.unwrap().contains("ended 3 times"));
    assert_eq!(state(&board, id), State::Attached);
    // Whoever asks again has it tried again.
    verify::ask(&mut board, id, &owner()).unwrap();
    check(&mut board, &[("Accuracy", 80.0)]);
    assert_eq!(state(&board, id), State::Reevaluated);
}

/// A metric that is turned has the other end of the table as its best, wherever that is shown.
#[test]
fn a_turned_metric_has_another_best() {
    let (_folder, mut board) = board();
    let claim = |board: &mut Board, model: &str, value| {
        let mut record = record(model, "test", "test", accuracy(value));
        record.date = Some("2020-01-01".into());
        submit(board, &record, None, &[], &owner()).unwrap().result
    };
    let low = claim(&mut board, "low", 80.0);
    let high = claim(&mut board, "high", 90.0);
    let best = |board: &Board| table(board, false).item.best.unwrap().result;
    assert_eq!(best(&board), high);
    let lower = Some(budwood_board::direction::Direction::Lower);
    moderate::set_metric(&mut board, NEWS, "accuracy", lower, None, "", &mo()).unwrap();
    assert_eq!(best(&board), low);
    assert_eq!([low, high].map(|id| row(&board, id, true).rank), [Some(1), Some(2)]);
}
