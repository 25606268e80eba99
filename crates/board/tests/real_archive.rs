//! The archive's real tables. They are not part of the project: `BUDWOOD_ARCHIVE` names their
//! folder.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use budwood_board::query::{self, Filter};
use budwood_board::{export, import};
use serde_json::Value;

#[test]
#[ignore = "needs BUDWOOD_ARCHIVE, the folder of the archive's tables"]
fn real_tables_come_in_whole_and_go_out_as_they_came() {
    let folder = std::env::var("BUDWOOD_ARCHIVE").expect("BUDWOOD_ARCHIVE names the folder");
    let (place, mut board) = common::board();
    let mut sums = std::collections::BTreeMap::<String, u64>::new();
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|p| p.extension().is_some_and(|e| e == "json"));
    files.sort();
    for file in &files {
        let report =
            import::file(&mut board, file, &import::Options::default(), &mut |_| ()).unwrap();
        for (what, n) in report.found.iter().chain(&report.odd).chain(&report.left_out) {
            *sums.entry(what.clone()).or_default() += n;
        }
    }
    println!("{sums:#?}");
    assert_eq!(sums["tables"], 326);
    assert_eq!(sums["rows"], 3826);
    assert_eq!(sums["values"], 6747);
    assert_eq!(sums["value: is not a plain number"], 901);
    let read = |path: &std::path::Path| -> Value {
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let out = place.path().join("out");
    export::archive(&board, &out).unwrap();
    for file in &files {
        let name = file.file_name().unwrap();
        assert_eq!(
            common::normal(&read(&out.join(name))),
            common::normal(&read(file)),
            "{}",
            file.display()
        );
        assert!(common::import(&mut board, file).unchanged);
        let again = common::import(&mut board, &out.join(name));
        assert!(again.added.is_empty(), "{}: {:?}", file.display(), again.added);
    }
    let start = query::start(&board).unwrap();
    assert_eq!((start.counts.leaderboards, start.counts.results), (326, 3826));
    let claims = Filter { claims: true, ..Filter::default() };
    let news = query::leaderboard(&board, "text-classification-on-ag-news", &claims).unwrap();
    let values: Vec<_> = news.line.iter().map(|s| s.value).collect();
    println!("AG News, {}: {values:?}", news.metrics[0].name);
    assert!(values.windows(2).all(|w| w[1] < w[0]) && values.len() > 1, "errors fall");
    let (squad, em) = ("question-answering-on-squad1-1", "EM");
    let squad =
        query::leaderboard(&board, squad, &Filter { metric: Some(em.into()), ..claims }).unwrap();
    assert!(
        squad.line.windows(2).all(|w| w[1].value > w[0].value) && squad.line.len() > 1,
        "scores rise"
    );
    let nested = query::search(&board, "SST-2", Some(query::FoundKind::Dataset), 10).unwrap();
    assert!(nested.iter().any(|f| query::dataset(&board, &f.slug).unwrap().parent.is_some()));
}
