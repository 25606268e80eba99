//! Who may change what: every change that a board knows, tried by everyone.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
#[path = "common/trust.rs"]
mod world;

use std::path::Path;

use budwood_board::access::{Act, Who};
use budwood_board::direction::Direction;
use budwood_board::submit::{submit, synchronize, tidy};
use budwood_board::token::{self, Actor, Role};
use budwood_board::{Board, Error, local, moderate, query, vectors, verify};
use common::{board, on_server};
use serde_json::{Value, json};
use world::*;

/// A board with a leaderboard of the owner's on which sam has a claim, an adapter and a
/// synchronised row.
struct Set {
    _folder: tempfile::TempDir,
    board: Board,
    claim: budwood_board::submit::Submission,
    attached: i64,
}

fn set() -> Set {
    let (folder, mut board) = board();
    know(&mut board);
    put(&mut board, &record("ours", "test", "test", accuracy(80.0)), 1, &owner());
    let claim = record("claim", "test", "test", accuracy(70.0));
    submit(&mut board, &claim, None, &[], &sam()).unwrap();
    let attached =
        put(&mut board, &record("attached", "test", "test", accuracy(60.0)), 2, &sam()).result;
    check(&mut board, &[("Accuracy", 60.0)]);
    synchronize(&mut board, &sync("40").to_string(), &sam()).unwrap();
    Set { _folder: folder, board, claim, attached }
}

fn sync(value: &str) -> Value {
    json!({ "task": "News", "dataset": "20 Newsgroups",
        "results": [{ "methodology": "s", "external_id": "s", "metrics": { "Accuracy": value } }] })
}

/// Does one thing.
fn act(set: &mut Set, act: Act, who: &Actor) -> Result<(), Error> {
    let board = &mut set.board;
    match act {
        Act::Submit => {
            submit(board, &record("new", "test", "test", accuracy(1.0)), None, &[], who).map(drop)
        }
        Act::Attach => submit(board, &set.claim, Some(&adapter(3)), &[], who).map(drop),
        Act::Change => synchronize(board, &sync("41").to_string(), who).map(drop),
        Act::Ask => verify::ask(board, set.attached, who).map(drop),
        Act::Retract => moderate::retract(board, set.attached, "why", who),
        Act::NewTask => {
            let mut new = record("new", "test", "test", accuracy(1.0));
            new.task = "Olds".into();
            submit(board, &new, None, &[], who).map(drop)
        }
        Act::ManyMetrics => {
            let metrics = |from: usize, to: usize| -> Value {
                (from..to).map(|i| json!({ "name": format!("m{i}"), "value": 1 })).collect()
            };
            submit(board, &record("many", "test", "test", metrics(0, 49)), None, &[], &sam())?;
            submit(board, &record("more", "test", "test", metrics(49, 50)), None, &[], who)
                .map(drop)
        }
        Act::Describe => {
            let body = json!({ "task": "News", "dataset": "20 Newsgroups", "mirror_url": "https://example.org/" });
            synchronize(board, &body.to_string(), who).map(drop)
        }
        Act::SetMetric => {
            moderate::set_metric(board, NEWS, "Accuracy", Some(Direction::Lower), None, "", who)
        }
        Act::NameData => moderate::name_data(board, NEWS, None, "", who).map(drop),
        Act::AskAll => verify::ask_all(board, who).map(drop),
        Act::AddData => {
            let digest = budwood_base::record::DataDigest {
                split: "test".into(),
                source: "x".into(),
                rows: 1,
                sha256: data("more"),
                skipped: 0,
            };
            local::add_data(board, &digest, &json!([]), who)
        }
        Act::AddBase => local::add_base(board, &data("base"), "x", who),
        Act::Relate => vectors::begin(board, "model", who),
        Act::Token | Act::Import | Act::Seed => panic!("no token comes here"),
    }
}

#[test]
fn everything_is_done_by_those_who_may_and_by_nobody_else() {
    let rita = Actor { name: "rita".into(), role: Role::Read };
    // The submitter of what is changed, another submitter, a moderator, the owner, a reader.
    let all = [
        ("own", sam()),
        ("other", eve()),
        ("moderator", mo()),
        ("owner", owner()),
        ("reader", rita),
    ];
    for what in Act::ALL {
        if [Act::Token, Act::Import, Act::Seed].contains(&what) {
            continue;
        }
        let may = |kind: &str| match what.who() {
            Who::Submitter => kind != "reader",
            Who::Own => ["own", "moderator", "owner"].contains(&kind),
            Who::Moderator => ["moderator", "owner"].contains(&kind),
            Who::Owner => kind == "owner",
        };
        let mut world = set();
        for (kind, who) in all.iter().filter(|a| !may(a.0)) {
            let before = actions(&world.board).len();
            let why = refused(act(&mut world, what, who));
            assert!(
                why.starts_with(&format!("'{}' may not", who.name)),
                "{what:?} by {kind}: {why}"
            );
            // To come to the fiftieth metric, sam adds those before it.
            let left = actions(&world.board).len() - before;
            assert!(
                left == 0 || what == Act::ManyMetrics,
                "{what:?} by {kind} left {left} entries"
            );
        }
        for (kind, who) in all.iter().filter(|a| may(a.0)) {
            let mut world = set();
            let before = actions(&world.board).len();
            act(&mut world, what, who).unwrap_or_else(|e| panic!("{what:?} by {kind}: {e}"));
            let after = actions(&world.board);
            let new = &after[..after.len() - before];
            assert!(new.iter().any(|a| a == what.logged()), "{what:?} is not in the log: {new:?}");
        }
    }
}

/// What takes no actor is the owner's because only the program on the board's machine calls it.
#[test]
fn the_network_has_no_way_to_what_is_the_owners() {
    fn sources(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, text);
            } else if path.extension().is_some_and(|e| e == "rs") {
                *text += &std::fs::read_to_string(&path).unwrap();
            }
        }
    }
    let mut web = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/src"), &mut web);
    assert!(web.contains("token::check"), "these are the server's sources");
    for call in [
        "token::add",
        "token::revoke",
        "import::",
        "seed::",
        "local::add",
        "vectors::",
        "Actor::local",
    ] {
        assert!(!web.contains(call), "the server calls {call}");
    }
}

/// The table of `docs/board.md` is that of the program, line by line.
#[test]
fn the_documents_table_is_true() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/board.md");
    let text = std::fs::read_to_string(docs).unwrap();
    let lines: Vec<&str> = text
        .lines()
        .skip_while(|l| !l.starts_with("| change | who may | in the log |"))
        .skip(2)
        .take_while(|l| l.starts_with('|'))
        .collect();
    let want: Vec<String> = Act::ALL
        .iter()
        .map(|a| format!("| {} | {} | {} |", a.words(), a.who().name(), a.logged()))
        .collect();
    assert_eq!(lines, want);
}

#[test]
fn a_synchronisation_turns_nothing_that_is_there() {
    let mut set = set();
    let call = |board: &mut Board, more: Value, who: &Actor| {
        let mut body = json!({ "task": "News", "dataset": "20 Newsgroups", "results": [] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        synchronize(board, &body.to_string(), who)
    };
    let lower = json!({ "metrics": [{ "name": "accuracy", "is_loss": true }] });
    let why = refused(call(&mut set.board, lower.clone(), &sam()));
    assert!(why.contains("higher values are better"), "{why}");
    // A client that leaves the field out means a loss too.
    refused(call(&mut set.board, json!({ "metrics": [{ "name": "Accuracy" }] }), &sam()));
    for more in [json!({ "description": "mine" }), json!({ "mirror_url": "https://example.org/" })]
    {
        refused(call(&mut set.board, more, &sam()));
    }
    // Its own name for the leaderboard is nothing that a reader sees; it is just not noted.
    call(&mut set.board, json!({ "external_id": "grabbed" }), &sam()).unwrap();
    call(&mut set.board, json!({ "external_id": "theirs" }), &mo()).unwrap();
    call(&mut set.board, lower, &mo()).unwrap();
    let found = table(&set.board, true);
    assert_eq!((found.metrics[0].direction, found.description.as_str()), (Direction::Lower, ""));
    assert_eq!(actions(&set.board)[..2], ["set metric", "describe"]);
    // What a name stands for is fixed: a body of another task is not for it.
    let other = json!({ "task": "News", "dataset": "Elsewhere", "external_id": "theirs" });
    conflict(synchronize(&mut set.board, &other.to_string(), &sam()));
    for bad in ["javascript:alert(1)", "https://x/ y", "ftp://x"] {
        assert!(
            matches!(
                call(&mut set.board, json!({ "mirror_url": bad }), &mo()),
                Err(Error::Input { .. })
            ),
            "{bad}"
        );
    }
    // A leaderboard that a body makes is its maker's to describe, then and there.
    let new = json!({ "task": "News", "dataset": "Made", "description": "what it is", "external_id": "made",
        "metrics": [{ "name": "Score", "is_loss": true }], "results": [] });
    let made = synchronize(&mut set.board, &new.to_string(), &sam()).unwrap().leaderboard;
    let found = query::leaderboard(&set.board, &made, &Default::default()).unwrap();
    assert_eq!(
        (found.description.as_str(), found.metrics[0].direction),
        ("what it is", Direction::Lower)
    );
}

#[test]
fn an_external_name_is_one_results() {
    let mut set = set();
    let mut first = record("x", "test", "test", accuracy(1.0));
    first.external_id = Some("mine".into());
    let id = submit(&mut set.board, &first, None, &[], &sam()).unwrap().result;
    let mut other = first.clone();
    other.dataset.name = "Another".into();
    let why = conflict(submit(&mut set.board, &other, None, &[], &sam()));
    assert!(why.contains("mine") && why.contains(NEWS), "{why}");
    let body = json!({ "task": "News", "dataset": "Third", "results": [
        { "methodology": "x", "external_id": "mine", "metrics": { "Accuracy": "1" } }] });
    conflict(synchronize(&mut set.board, &body.to_string(), &sam()));
    // The same again, with its adapter: it is the same row, which has its adapter from then on.
    let again = submit(&mut set.board, &first, Some(&adapter(9)), &[], &sam()).unwrap();
    assert_eq!((again.result, again.state), (id, budwood_board::State::Attached));
    for empty in ["", "  "] {
        first.external_id = Some(empty.into());
        assert!(matches!(
            submit(&mut set.board, &first, None, &[], &sam()),
            Err(Error::Input { .. })
        ));
    }
}

fn files(board: &Board) -> Vec<String> {
    let names = std::fs::read_dir(board.files()).unwrap();
    let mut names: Vec<_> =
        names.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn what_is_refused_leaves_no_file() {
    if on_server() {
        return; // There they are part of the transaction.
    }
    let mut set = set();
    let there = files(&set.board);
    assert_eq!(there.len(), 4);
    let mut new_task = record("x", "test", "test", accuracy(1.0));
    new_task.task = "Olds".into();
    refused(submit(&mut set.board, &new_task, Some(&adapter(5)), &[], &sam()));
    refused(submit(&mut set.board, &set.claim.clone(), Some(&adapter(6)), &[], &eve()));
    let mut taken = record("x", "test", "test", accuracy(1.0));
    taken.external_id = Some("s".into());
    conflict(submit(&mut set.board, &taken, Some(&adapter(7)), &[], &sam()));
    // What is refused last, when the files would be in place: nothing can be written there.
    let folder = set.board.files();
    std::fs::rename(&folder, folder.with_extension("away")).unwrap();
    let outcome = submit(
        &mut set.board,
        &record("y", "test", "test", accuracy(1.0)),
        Some(&adapter(8)),
        &[],
        &sam(),
    );
    assert!(matches!(outcome, Err(Error::Io { .. })), "{outcome:?}");
    std::fs::rename(folder.with_extension("away"), &folder).unwrap();
    assert_eq!(files(&set.board), there);
    assert!(table(&set.board, true).rows.iter().all(|r| r.model != "y"));
    // Files that the row of another has stay when a submission with the same adapter is refused.
    refused(submit(&mut set.board, &set.claim.clone(), Some(&adapter(2)), &[], &eve()));
    assert_eq!(files(&set.board), there);
}

#[test]
fn files_that_no_row_has_are_removed() {
    if on_server() {
        return;
    }
    let mut set = set();
    let there = files(&set.board);
    std::fs::write(set.board.files().join("a".repeat(64)), "left by a killed program").unwrap();
    std::fs::write(set.board.files().join(".part"), "half").unwrap();
    std::fs::create_dir(set.board.files().join("folder")).unwrap();
    assert_eq!(tidy(&mut set.board).unwrap(), 2);
    std::fs::remove_dir(set.board.files().join("folder")).unwrap();
    assert_eq!(files(&set.board), there);
}

#[test]
fn names_show_what_they_are() {
    let mut set = set();
    let bad = |set: &mut Set, change: &dyn Fn(&mut budwood_board::submit::Submission)| {
        let mut new = record("x", "test", "test", accuracy(1.0));
        change(&mut new);
        submit(&mut set.board, &new, None, &[], &mo())
    };
    for hidden in ["\u{1b}[2J", "\u{9b}31m", "\n", "\u{202e}", "\u{200b}", "\u{feff}", "\0"] {
        let name = format!("a{hidden}b");
        type Change = fn(&mut budwood_board::submit::Submission, String);
        let places: [Change; 8] = [
            |s, n| s.model.name = n,
            |s, n| s.task = n,
            |s, n| s.dataset.name = n,
            |s, n| s.metrics[0].name = n,
            |s, n| s.metrics[0].value = n.into(),
            |s, n| s.setting = n,
            |s, n| s.external_id = Some(n),
            |s, n| s.dataset.split = Some(n),
        ];
        for (i, place) in places.iter().enumerate() {
            let outcome = bad(&mut set, &|s| place(s, name.clone()));
            assert!(matches!(outcome, Err(Error::Input { .. })), "{i} {name:?}: {outcome:?}");
        }
        assert!(matches!(
            token::add(&mut set.board, &name, Role::Submit, "t"),
            Err(Error::Input { .. })
        ));
        let reason = moderate::retract(&mut set.board, 1, &name, &mo());
        assert!(hidden == "\n" || matches!(reason, Err(Error::Input { .. })), "{name:?}");
    }
    // Letters that look alike make no second leaderboard, metric or task.
    for (twin, change) in [
        (
            "20 Newsgr\u{43e}ups",
            (|s, n| s.dataset.name = n) as fn(&mut budwood_board::submit::Submission, String),
        ),
        ("20\u{2007}Newsgroups\u{200d}", |s, n| s.dataset.name = n),
        ("\u{410}ccuracy", |s, n| s.metrics[0].name = n),
        ("\u{ff2e}ews", |s, n| s.task = n),
    ] {
        let why = conflict(bad(&mut set, &|s| change(s, twin.into())));
        assert!(why.contains("looks like"), "{why}");
    }
    // Case and blanks make none either.
    let mut same = record("y", "test", "test", json!([{ "name": " ACCURACY  ", "value": 1 }]));
    (same.task, same.dataset.name) = (" news ".into(), "20  newsgroups ".into());
    assert_eq!(submit(&mut set.board, &same, None, &[], &sam()).unwrap().leaderboard, NEWS);
    assert_eq!(table(&set.board, true).metrics.len(), 1);
    // Nobody passes for the owner, the board, or someone else.
    token::add(&mut set.board, "sam", Role::Submit, "t").unwrap();
    for name in ["local", "Board", "loc\u{430}l", "s\u{430}m", " sam", "sam "] {
        assert!(token::add(&mut set.board, name, Role::Submit, "t").is_err(), "{name}");
    }
    assert!(token::add(&mut set.board, "x", Role::Owner, "t").is_err());
}

#[test]
fn claims_are_within_bounds() {
    let mut set = set();
    let mut new = record("x", "test", "test", accuracy(50.0));
    new.metrics[0].interval = Some((60.0, 70.0));
    assert!(
        submit(&mut set.board, &new, None, &[], &sam())
            .unwrap_err()
            .to_string()
            .contains("hold the value")
    );
    new.metrics[0].interval = None;
    new.dataset.rows = Some(u64::MAX);
    assert!(
        submit(&mut set.board, &new, None, &[], &sam())
            .unwrap_err()
            .to_string()
            .contains("dataset.rows")
    );
    new.dataset.rows = None;
    new.date = Some("2024-02-30".into());
    assert!(
        submit(&mut set.board, &new, None, &[], &sam())
            .unwrap_err()
            .to_string()
            .contains("2024-02-30")
    );
    // One far off would stretch the time line of all others.
    for (date, good) in [
        ("2023-02-29", false),
        ("9999-12-31", false),
        ("9999", false),
        ("1899-12-31", false),
        ("0000", false),
        ("1900-01-01", true),
        ("2024-02-29", true),
        ("2020", true),
    ] {
        new.date = Some(date.into());
        new.model.name = format!("of {date}");
        let done = submit(&mut set.board, &new, None, &[], &sam());
        assert_eq!(done.is_ok(), good, "{date}: {done:?}");
    }
}

#[test]
fn a_tokens_name_has_up_to_a_hundred_letters() {
    let mut set = set();
    for (letters, good) in [(0, false), (1, true), (100, true), (101, false)] {
        let added = token::add(&mut set.board, &"é".repeat(letters), Role::Submit, "local");
        assert_eq!(added.is_ok(), good, "{letters}");
    }
}

/// Also where there is nothing that they would have to ask for.
#[test]
fn a_submitter_may_not_ask_for_everything() {
    let (_folder, mut board) = board();
    let why = refused(verify::ask_all(&mut board, &sam()));
    assert!(why.contains("have everything re-evaluated"), "{why}");
    assert_eq!(verify::ask_all(&mut board, &mo()).unwrap(), 0);
}

#[test]
fn a_revoked_token_is_nobodys_and_its_name_stays_taken() {
    let mut set = set();
    let secret = token::add(&mut set.board, "zoe", Role::Submit, "local").unwrap();
    assert_eq!(token::check(&set.board, &secret).unwrap().unwrap().name, "zoe");
    assert!(token::revoke(&mut set.board, "nobody", "local").is_err());
    token::revoke(&mut set.board, "zoe", "local").unwrap();
    assert_eq!(actions(&set.board)[0], "revoke token");
    assert!(token::check(&set.board, &secret).unwrap().is_none());
    assert!(token::revoke(&mut set.board, "zoe", "local").is_err(), "it is revoked already");
    assert!(token::add(&mut set.board, "zoe", Role::Submit, "local").is_err());
}
