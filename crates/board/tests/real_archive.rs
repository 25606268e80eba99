//! The archive's real tables. They are not part of the project: `BUDWOOD_ARCHIVE` names their folder.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use budwood_board::{Board, import, query};

#[test]
#[ignore = "needs BUDWOOD_ARCHIVE, the folder of the archive's tables"]
fn real_tables_come_in_whole() {
    let folder = std::env::var("BUDWOOD_ARCHIVE").expect("BUDWOOD_ARCHIVE names the folder");
    let place = tempfile::tempdir().unwrap();
    let mut board = Board::open(place.path()).unwrap();
    let mut sums = std::collections::BTreeMap::<String, u64>::new();
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|p| p.extension().is_some_and(|e| e == "json"));
    files.sort();
    let start = std::time::Instant::now();
    for file in &files {
        let report =
            import::file(&mut board, file, &import::Options::default(), &mut |_| ()).unwrap();
        for (what, n) in report.found.iter().chain(&report.odd).chain(&report.left_out) {
            *sums.entry(what.clone()).or_default() += n;
        }
    }
    println!("{:?}\n{sums:#?}", start.elapsed());
    assert_eq!(sums["tables"], 326);
    assert_eq!(sums["rows"], 3826);
    assert_eq!(sums["values"], 6747);
    assert_eq!(sums["value: is not a plain number"], 901);
    for file in &files {
        let again =
            import::file(&mut board, file, &import::Options::default(), &mut |_| ()).unwrap();
        assert!(again.unchanged);
    }
    let start = query::start(&board).unwrap();
    println!("{:?}", start.counts);
    assert_eq!((start.counts.leaderboards, start.counts.results), (326, 3826));
}
