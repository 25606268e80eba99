//! The archive's files come in whole, once, and go out as they came.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write;

use budwood_board::date::DateSource;
use budwood_board::direction::{Direction, DirectionSource};
use budwood_board::query::{self, Filter, Part};
use budwood_board::token::Actor;
use budwood_board::{Board, Error, State, export, import as archive, moderate};
use common::{board, import, normal, place, tables, write};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

#[test]
fn tables_come_in_by_the_rules() {
    let (folder, mut board) = board();
    let report = import(&mut board, &write(folder.path(), "evaluation-tables.json", &tables()));
    let found = |what: &str| report.found.get(what).copied().unwrap_or(0);
    assert_eq!((found("tables"), found("rows"), found("values")), (4, 10, 14));
    assert_eq!(
        (
            found("rows with a date"),
            found("rows dated by their arXiv number"),
            found("rows without a date")
        ),
        (2, 2, 6)
    );
    assert_eq!(report.odd["value: is not a plain number"], 9);
    assert_eq!(report.odd["row: has fields that the format does not know"], 2);

    let claims = Filter { claims: true, ..Filter::default() };
    let leaves = query::leaderboard(&board, "text-classification-on-leaves", &claims).unwrap();
    let names: Vec<_> =
        leaves.metrics.iter().map(|m| (m.name.as_str(), m.declared, m.direction)).collect();
    assert_eq!(
        names,
        [
            ("Error", true, Direction::Lower),
            ("Params", true, Direction::Lower),
            ("Note", false, Direction::Higher)
        ]
    );
    let rows: Vec<_> = leaves.rows.iter().map(|r| (r.model.as_str(), r.rank)).collect();
    assert_eq!(
        rows,
        [("Oak", Some(1)), ("Elm", Some(2)), ("Ash", Some(3)), ("Ash", Some(3)), ("Yew", None)]
    );
    let oak = &leaves.rows[0];
    assert_eq!(
        (oak.date.as_deref(), oak.date_source),
        (Some("2018-01"), Some(DateSource::ArxivId))
    );
    assert_eq!(oak.scores[1].as_ref().unwrap().value, Some(24e6));
    assert_eq!(oak.code[0].url, "https://github.com/o/oak");
    assert_eq!(leaves.rows[2].scores[0].as_ref().unwrap().raw, "6.2*");
    assert_eq!(leaves.rows[2].additional_data, Some(true));
    assert_eq!(leaves.undated, 2);
    // Ash came first and was beaten by Oak; what comes later and is worse is not a step.
    assert_eq!(leaves.line.iter().map(|s| s.value).collect::<Vec<_>>(), [6.2, 4.91]);
    assert!(
        query::leaderboard(&board, "text-classification-on-leaves", &Filter::default())
            .unwrap()
            .line
            .is_empty()
    );

    let nested =
        query::leaderboard(&board, "text-classification-on-forest-binary", &claims).unwrap();
    let score = nested.rows[0].scores[0].clone().unwrap();
    assert_eq!((score.value, score.spread), (Some(0.8428), Some(0.0014)));
    assert_eq!(query::dataset(&board, "forest-binary").unwrap().parent.unwrap().slug, "forest");

    let sub = query::leaderboard(&board, "root-classification-on-leaves", &claims).unwrap();
    assert_eq!(
        (sub.metrics[0].direction, sub.metrics[0].direction_source),
        (Direction::Lower, DirectionSource::RowOrder)
    );
    let task = query::task(&board, "text-classification", Part::default()).unwrap();
    assert_eq!(task.subtasks[0].slug, "root-classification");
    assert_eq!(task.leaderboards.len(), 3);
    // Sub-tasks are in the area of what they are a part of.
    assert_eq!(query::areas(&board, 5).unwrap()[0].tasks, 2);
    // The same task and data set again is a table of its own.
    let second = query::leaderboard(&board, "text-classification-on-leaves-2", &claims).unwrap();
    assert_eq!(second.rows[0].model, "<script>alert(1)</script>");
    assert_eq!(second.item.source.unwrap().licence, "CC-BY-SA-4.0");
    let paper = query::paper(&board, "oaks-for-all").unwrap();
    assert_eq!(paper.results.iter().map(|r| r.rank).collect::<Vec<_>>(), [Some(1), Some(1), None]);
}

#[test]
fn what_comes_in_goes_out_again() {
    let (folder, mut board) = board();
    let path = write(folder.path(), "evaluation-tables.json", &tables());
    import(&mut board, &path);
    let again = import(&mut board, &path);
    assert!(again.unchanged && again.added.is_empty());
    let out = folder.path().join("out");
    export::archive(&board, &out).unwrap();
    let written: Value =
        serde_json::from_slice(&std::fs::read(out.join("evaluation-tables.json")).unwrap())
            .unwrap();
    assert_eq!(normal(&written), normal(&tables()));
    // What was written says nothing new to the board that wrote it, and the same to another.
    let report = import(&mut board, &out.join("evaluation-tables.json"));
    assert!(!report.unchanged && report.added.is_empty(), "{:?}", report.added);
    let mut other = Board::open(place(&folder.path().join("other"))).unwrap();
    import(&mut other, &out.join("evaluation-tables.json"));
    export::archive(&other, &folder.path().join("out2")).unwrap();
    let third = std::fs::read(folder.path().join("out2/evaluation-tables.json")).unwrap();
    assert_eq!(normal(&serde_json::from_slice(&third).unwrap()), normal(&written));
}

/// An archive has any name, and may hold files of several kinds: none goes where another is.
#[test]
fn each_archive_has_a_file_of_its_own() {
    let (folder, mut board) = board();
    let tables = write(folder.path(), "evaluation-tables.json", &tables());
    let papers = write(folder.path(), "papers-with-abstracts.json", &papers(3));
    for (file, name) in [
        (&tables, "board"),
        (&papers, "board"),
        (&papers, "../../out"),
        (&papers, "a/b"),
        (&papers, "A-B"),
        (&papers, " "),
    ] {
        let options =
            archive::Options { archive: Some(name.into()), ..archive::Options::default() };
        archive::file(&mut board, file, &options, &mut |_| ()).unwrap();
    }
    let out = folder.path().join("in/out");
    let mut written = export::archive(&board, &out).unwrap();
    written.sort_by(|a, b| a.path.cmp(&b.path));
    let names: Vec<_> =
        written.iter().map(|w| w.path.strip_prefix(&out).unwrap().to_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "-..-out.json",
            "A-B.json",
            "a-b-papers-with-abstracts.json",
            "board-evaluation-tables.json",
            "board-papers-with-abstracts.json",
            "board.json",
            "papers-with-abstracts.json",
        ]
    );
    for file in &written {
        let list: Value = serde_json::from_slice(&std::fs::read(&file.path).unwrap()).unwrap();
        assert_eq!(list.as_array().unwrap().len() as u64, file.elements, "{file:?}");
    }
}

#[test]
fn a_newer_file_takes_back_what_it_lacks() {
    let (folder, mut board) = board();
    import(&mut board, &write(folder.path(), "evaluation-tables.json", &tables()));
    let mut newer = tables();
    newer[0]["datasets"][0]["sota"]["rows"].as_array_mut().unwrap().remove(1);
    let report = import(&mut board, &write(folder.path(), "evaluation-tables.json", &newer));
    assert_eq!(report.added.get("rows taken back"), Some(&1));
    let leaves =
        query::leaderboard(&board, "text-classification-on-leaves", &Filter::default()).unwrap();
    assert_eq!(leaves.rows.last().unwrap().state, State::Retracted);
    let log = query::log(&board, &Default::default(), Part::default()).unwrap();
    assert!(
        log.items.iter().any(|e| e.action == "retract" && e.subject_name.contains("Elm")),
        "{log:?}"
    );
}

/// A file that lacks rows by mistake must not take them for ever.
#[test]
fn what_a_file_lacked_comes_back_with_the_next() {
    let (folder, mut board) = board();
    let whole = serde_json::to_vec(&tables()).unwrap();
    let mut short = tables();
    short[0]["datasets"][0]["sota"]["rows"].as_array_mut().unwrap().remove(1);
    let short = serde_json::to_vec(&short).unwrap();
    let path = folder.path().join("evaluation-tables.json");
    let came = |board: &mut Board, text: &[u8]| {
        std::fs::write(&path, text).unwrap();
        import(board, &path)
    };
    let claims = Filter { claims: true, ..Filter::default() };
    let rows = |board: &Board| {
        let leaves = query::leaderboard(board, "text-classification-on-leaves", &claims).unwrap();
        let there = leaves.rows.into_iter().filter(|r| r.state != State::Retracted);
        there.map(|r| (r.result, r.model, r.rank)).collect::<Vec<_>>()
    };
    let names = |rows: &[(i64, String, Option<u32>)]| {
        rows.iter().map(|(_, model, rank)| (model.clone(), *rank)).collect::<Vec<_>>()
    };
    came(&mut board, &whole);
    let first = rows(&board);
    // The first file again, and then a newer one with the same rows.
    let newer = [&whole[..], b"\n"].concat();
    for again in [&whole, &newer] {
        assert_eq!(came(&mut board, &short).added.get("rows taken back"), Some(&1));
        assert_eq!(rows(&board).len(), first.len() - 1);
        let report = came(&mut board, again);
        assert_eq!(report.added.get("rows"), Some(&1), "{report:?}");
        assert_eq!(names(&rows(&board)), names(&first));
        assert!(came(&mut board, again).unchanged);
    }
    // What a person took back stays so.
    let (elm, ..) = rows(&board).into_iter().find(|(_, model, _)| model == "Elm").unwrap();
    moderate::retract(&mut board, elm, "it was no elm", &Actor::local("local")).unwrap();
    for text in [&short, &whole] {
        came(&mut board, text);
        assert_eq!(rows(&board).len(), first.len() - 1);
    }
}

fn papers(n: usize) -> Value {
    let paper = |i: usize| {
        json!({
            "paper_url": format!("https://paperswithcode.com/paper/paper-{i}"), "arxiv_id": format!("18{:02}.{i:05}", 1 + i % 12),
            "title": format!("On the matter of {i} trees"), "abstract": format!("We look at {i} trees and their leaves."),
            "authors": ["A. Author", "B. Author"], "tasks": ["Text Classification"], "date": "2018-01-05",
            "url_abs": "https://arxiv.org/abs/1801.01234v1", "methods": [{ "name": "Grafting" }], "nips_id": null, "conference": "Trees",
        })
    };
    (0..n).map(paper).collect()
}

/// Whatever of a paper a newer file says otherwise.
#[test]
fn a_newer_file_says_all_of_a_paper_anew() {
    let (folder, mut board) = board();
    let mut one = papers(1);
    import(&mut board, &write(folder.path(), "papers-with-abstracts.json", &one));
    for (field, said) in [
        ("title", "On one tree"),
        ("abstract", "We look at one tree."),
        ("date", "2018-02-05"),
        ("url_abs", "https://arxiv.org/abs/1801.00000v2"),
        ("url_pdf", "https://arxiv.org/pdf/1801.00000v2"),
        ("proceeding", "Trees 2018"),
        ("arxiv_id", "1801.00009"),
    ] {
        one[0][field] = said.into();
        import(&mut board, &write(folder.path(), "papers-with-abstracts.json", &one));
        let out = folder.path().join(field);
        export::archive(&board, &out).unwrap();
        let text = std::fs::read(out.join("papers-with-abstracts.json")).unwrap();
        let written: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(written[0][field], said, "{written}");
    }
}

#[test]
fn all_five_files_meet() {
    let (folder, mut board) = board();
    let at = folder.path();
    import(&mut board, &write(at, "evaluation-tables.json", &tables()));
    let mut list = papers(30);
    list[7]["title"] = json!("Oaks for all");
    list[7]["arxiv_id"] = json!("1801.01234");
    import(&mut board, &write(at, "papers-with-abstracts.json", &list));
    let links = json!([
        { "paper_url": "https://paperswithcode.com/paper/paper-7", "paper_title": "Oaks for all", "repo_url": "https://github.com/o/oak",
          "is_official": true, "mentioned_in_paper": true, "mentioned_in_github": false, "framework": "pytorch" },
        { "paper_url": "https://paperswithcode.com/paper/nowhere", "paper_title": "Nowhere at all", "repo_url": "https://github.com/n/n" },
    ]);
    let report = import(&mut board, &write(at, "links-between-papers-and-code.json", &links));
    assert_eq!(report.left_out["link of a paper that is not here"], 1);
    let methods = json!([
        { "url": "https://paperswithcode.com/method/grafting", "name": "Grafting", "full_name": "Grafting of scions", "paper": null,
          "introduced_year": 2018, "collections": [{ "collection": "Horticulture", "area_id": "general", "area": "General" }] },
        { "url": "https://paperswithcode.com/method/call-now", "name": "Call us now +1 555", "paper": null, "collections": [] },
    ]);
    let report = import(&mut board, &write(at, "methods.json", &methods));
    assert_eq!(report.left_out.values().sum::<u64>(), 1, "spam is left out");
    let datasets = json!([
        { "url": "https://paperswithcode.com/dataset/leaves", "name": "Leaves", "full_name": "Leaves of trees", "variants": ["Leaves"],
          "modalities": ["Images"], "data_loaders": [{ "url": "https://example.org", "repo": "r", "frameworks": ["jax"] }],
          "tasks": [{ "task": "Text Classification", "url": "" }], "license_name": "CC0" },
        { "url": "x", "name": "Cheap flights", "paper": null, "num_papers": 0, "variants": [] },
    ]);
    let report = import(&mut board, &write(at, "datasets.json", &datasets));
    assert_eq!(report.left_out.values().sum::<u64>(), 1);
    let listed = query::datasets(&board, Part::default()).unwrap().items;
    let leaves = listed.iter().find(|d| d.slug == "leaves").unwrap();
    assert_eq!(leaves.modalities, ["Images"], "as the list shows it");

    // The paper that a result had named is the archive's own now.
    let paper = query::paper(&board, "paper-7").unwrap();
    assert_eq!(paper.results.len(), 3);
    assert_eq!(paper.code[0].repository.as_deref(), Some("o/oak"));
    assert!(paper.code[0].official && paper.abstract_text.contains("7 trees"));
    assert_eq!(query::method(&board, "grafting", Part::default()).unwrap().papers.count, 30);
    assert_eq!(query::dataset(&board, "leaves").unwrap().loaders[0].frameworks, ["jax"]);
    let found = query::search(&board, "leaves 7 tre", None, 10).unwrap();
    assert_eq!(found[0].slug, "paper-7");
    // Every file goes out again in its form.
    let written = export::archive(&board, &at.join("out")).unwrap();
    assert_eq!(written.len(), 6);
    let back: Value =
        serde_json::from_slice(&std::fs::read(at.join("out/papers-with-abstracts.json")).unwrap())
            .unwrap();
    assert_eq!(back.as_array().unwrap().len(), 30);
    assert_eq!(back[7]["conference"], "Trees");
    for file in ["papers-with-abstracts", "links-between-papers-and-code", "methods", "datasets"] {
        let report = import(&mut board, &at.join("out").join(format!("{file}.json")));
        assert!(report.added.values().all(|&n| n == 0), "{file}: {:?}", report.added);
    }
}

/// Each file changes the counts of others, whichever comes first.
#[test]
fn what_is_counted_ahead_is_there() {
    let mut list = papers(30);
    list[7]["title"] = json!("Oaks for all");
    list[7]["arxiv_id"] = json!("1801.01234");
    list[8]["date"] = Value::Null;
    let links = json!([{ "paper_url": "https://paperswithcode.com/paper/paper-7", "paper_title": "Oaks for all", "repo_url": "https://github.com/o/oak" }]);
    let files = [
        ("evaluation-tables.json", tables()),
        ("papers-with-abstracts.json", list),
        ("links-between-papers-and-code.json", links),
    ];
    for order in [[0, 1, 2], [1, 2, 0], [1, 0, 2]] {
        let (folder, mut board) = board();
        for i in order {
            import(&mut board, &write(folder.path(), files[i].0, &files[i].1));
        }
        let part = Part::default();
        for task in query::tasks(&board, part).unwrap().items {
            let page = query::task(&board, &task.slug, part).unwrap();
            let results: u64 = page.leaderboards.iter().map(|l| l.results).sum();
            let there = (page.papers.items.len(), page.leaderboards.len(), results);
            assert_eq!((task.papers as usize, task.leaderboards as usize, task.results), there);
            assert_eq!(task.papers, if task.slug == "text-classification" { 30 } else { 0 });
        }
        for set in query::datasets(&board, part).unwrap().items {
            let page = query::dataset(&board, &set.slug).unwrap();
            let results: u64 = page.leaderboards.iter().map(|l| l.results).sum();
            assert_eq!(
                (set.leaderboards as usize, set.results),
                (page.leaderboards.len(), results)
            );
        }
        for paper in query::papers(&board, Part { offset: 0, limit: 100 }).unwrap().items {
            let page = query::paper(&board, &paper.slug).unwrap();
            assert_eq!(paper.codes, page.code.len() as u64, "{}", paper.slug);
            assert_eq!(paper.results > 0, !page.results.is_empty(), "{}", paper.slug);
        }
        let method = query::method(&board, "grafting", part).unwrap();
        assert_eq!((method.papers.count, method.by_year), (30, vec![("2018".into(), 29)]));
    }
}

/// An import that stops in the middle goes on from the last batch, to the same end.
#[test]
fn a_stopped_import_goes_on() {
    let (folder, mut board) = board();
    let path = write(folder.path(), "papers-with-abstracts.json", &papers(950));
    // The file breaks off, as a copy does that is not yet whole; its hash is that of the whole
    // file's import.
    let options = archive::Options {
        batch: 100,
        limits: archive::Limits { element: 1 << 20, file: 200_000 },
        ..archive::Options::default()
    };
    let mut done = 0;
    let stopped = archive::file(&mut board, &path, &options, &mut |n| done = n);
    assert!(matches!(stopped, Err(Error::Input { .. })));
    assert!((100..950).contains(&done), "{done}");
    let place = board.place().clone();
    drop(board);
    let mut board = Board::open(place).unwrap();
    let report = import(&mut board, &path);
    assert_eq!((report.from, report.elements), (done, 950));
    assert_eq!((report.found["papers"], report.added["papers"]), (950, 950));
    assert_eq!(query::papers(&board, Part::default()).unwrap().count, 950);
    let page = query::search(&board, "trees", Some(query::FoundKind::Paper), 100).unwrap();
    assert_eq!(page.len(), 100);
}

#[test]
fn bombs_and_broken_files_are_refused() {
    let (folder, mut board) = board();
    let limits = archive::Limits { element: 1 << 20, file: 1 << 24 };
    let options = archive::Options { limits, ..archive::Options::default() };
    let mut file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        archive::file(&mut board, &path, &options, &mut |_| ()).unwrap_err().to_string()
    };
    // 64 MB of one text in 64 kB.
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(b"[{\"task\": \"").unwrap();
    for _ in 0..64 {
        bomb.write_all(&vec![b'a'; 1 << 20]).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 100_000);
    assert!(file("evaluation-tables.json.gz", &bomb).contains("larger than the limit"));
    let deep = "[{\"task\": \"t\", \"subtasks\": ".to_owned() + &"[".repeat(100_000);
    assert!(file("deep.json", deep.as_bytes()).contains("recursion"));
    assert!(file("not.json", b"{\"task\": 1}").contains("a JSON list"));
    assert!(file("cut.json", b"[{\"task\": \"t\"}, {\"task").contains("element 1"));
    assert!(file("other.json", b"[{\"something\": 1}]").contains("first element"));
    assert!(file("empty.json", b"[]").contains("nothing to import"));
    assert!(file("gz.json.gz", &[0x1f, 0x8b, 8, 0, 1, 2, 3]).contains("gz.json.gz"));
}

#[test]
fn repeated_and_contradictory_rows_and_mixed_scales_are_odd() {
    let (folder, mut board) = board();
    let row = |model: &str, value: &str| json!({ "model_name": model, "paper_title": "P", "paper_url": "u", "metrics": { "Accuracy": value, "Loss": value } });
    let rows = [row("m", "91.5"), row("m", "91.5"), row("m", "90.5"), row("n", "0.85")];
    let list = json!([{ "task": "T", "datasets": [{ "dataset": "D", "sota": { "metrics": ["Accuracy"], "rows": rows } }] }]);
    let report = import(&mut board, &write(folder.path(), "evaluation-tables.json", &list));
    assert_eq!(report.odd["row: repeats an earlier row word for word"], 1);
    assert_eq!(report.odd["row: has the model and the paper of another row, and another value"], 1);
    // A loss may be of any size.
    assert_eq!(report.odd["metric: has fractions and per cent in one table"], 1);
}

#[test]
fn odd_things_are_counted_and_do_no_harm() {
    let (folder, mut board) = board();
    let list = json!([
        { "task": "T", "datasets": "none", "description": 3, "categories": 7 },
        { "task": "" }, { "task": "U", "datasets": [7, { "dataset": "" }, { "dataset": "D", "sota": [] },
            { "dataset": "E", "sota": { "metrics": ["A", "A"], "rows": [3, { "model_name": "m", "metrics": [] },
                { "model_name": "n", "metrics": { "A": {"x": 1}, "a": "2" } }] } }] }
    ]);
    let report = import(&mut board, &write(folder.path(), "evaluation-tables.json", &list));
    assert!(report.odd.len() >= 5, "{report:?}");
    assert_eq!(report.left_out.values().sum::<u64>(), 2);
    let e = query::leaderboard(&board, "u-on-e", &Filter { claims: true, ..Filter::default() })
        .unwrap();
    assert_eq!(e.rows.len(), 2);
}

/// What is written row by row is what a page shows, in its order and with its ranks.
#[test]
fn a_table_is_written_as_it_is_shown() {
    let (folder, mut board) = board();
    import(&mut board, &write(folder.path(), "evaluation-tables.json", &tables()));
    let mut rows = 0;
    for item in query::evaluations(&board, Part::default()).unwrap().items {
        for claims in [false, true] {
            let filter = Filter { claims, ..Filter::default() };
            let shown = query::leaderboard(&board, &item.slug, &filter).unwrap();
            if !claims {
                let mut text = Vec::new();
                export::json(&board, Some(&item.slug), &mut text).unwrap();
                let flat: Vec<Value> = serde_json::from_slice(&text).unwrap();
                // A rank stands at the value that it is of.
                let rank = |r: &query::Row, i: usize| r.rank.filter(|_| i == shown.chosen);
                let expected = shown.rows.iter().flat_map(|r| {
                    let scores = r.scores.iter().enumerate();
                    let given = scores.filter_map(|(i, s)| Some((i, s.as_ref()?)));
                    given.map(move |(i, s)| json!([r.result, rank(r, i), s.raw]))
                });
                let found = flat.iter().map(|f| json!([f["result"], f["rank"], f["raw"]]));
                assert!(found.eq(expected), "{}: {flat:#?}", item.slug);
                continue;
            }
            let mut text = Vec::new();
            export::table(&board, &item.slug, &mut text).unwrap();
            let table: Value = serde_json::from_slice(&text).unwrap();
            let sota = &table[0]["datasets"][0]["sota"];
            let found = sota["rows"].as_array().unwrap().iter().map(|r| r["model_name"].as_str());
            assert!(found.eq(shown.rows.iter().map(|r| Some(r.model.as_str()))), "{sota:#}");
            for (written, row) in sota["rows"].as_array().unwrap().iter().zip(&shown.rows) {
                let scores = shown.metrics.iter().zip(&row.scores);
                let scores =
                    scores.filter_map(|(m, s)| Some((m.name.clone(), s.as_ref()?.raw.clone())));
                let scores: std::collections::BTreeMap<_, _> = scores.collect();
                assert_eq!(written["metrics"], json!(scores), "{}", item.slug);
                rows += 1;
            }
        }
    }
    assert!(rows >= 10, "{rows}");
}
