//! Boards of older and newer programs.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/trust.rs"]
mod world;

use budwood_board::query::{self, FoundKind};
use budwood_board::{Board, DatabaseError, Error};
use common::{answer, board, import, on_server, place, raw, tables, write};
use rusqlite::Connection;

/// Makes of a board what version 1 of the tables was.
const BACK: &str = "DROP TABLE entry_text;
    DROP TABLE model_text;
    DROP INDEX leaderboards_counts;
    DROP INDEX methods_listed;
    DROP INDEX papers_by_results;
    DROP TABLE vector_model;
    DROP TABLE paper_vectors;
    CREATE TABLE terms (term TEXT PRIMARY KEY, papers INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE VIRTUAL TABLE entry_text USING fts5 (
        kind UNINDEXED, ref UNINDEXED, name, text, tokenize = 'porter unicode61', prefix = '2 3'
    );
    ALTER TABLE methods DROP COLUMN by_year;
    DROP TRIGGER results_stay_retracted;
    DROP TRIGGER results_are_of_named_data;
    ALTER TABLE leaderboards DROP COLUMN data_sha256;
    ALTER TABLE leaderboards DROP COLUMN data_split;
    ALTER TABLE results DROP COLUMN split;
    ALTER TABLE scores DROP COLUMN confirmed;
    PRAGMA user_version = 1;";

#[test]
fn a_board_of_an_older_version_becomes_one_of_this() {
    if on_server() {
        return;
    }
    for to_read in [true, false] {
        let (folder, mut board) = board();
        import(&mut board, &write(folder.path(), "evaluation-tables.json", &tables()));
        let place = folder.path().join("board");
        let before = query::search(&board, "leav", None, 20).unwrap();
        assert!(before.iter().any(|f| f.kind == FoundKind::Dataset && f.name == "Leaves"));
        drop(board);
        let file = place.join("board.db");
        Connection::open(&file).unwrap().execute_batch(BACK).unwrap();
        let board =
            if to_read { Board::open_to_read(&place) } else { Board::open(&place) }.unwrap();
        assert_eq!(query::search(&board, "leav", None, 20).unwrap(), before);
        query::methods(&board, query::Part::default()).unwrap();
        let version: i64 = Connection::open(&file)
            .unwrap()
            .pragma_query_value(None, "user_version", |r| r.get(0))
            .unwrap();
        assert_eq!(version, 3);
    }
}

/// Makes of a board what version 2 of the tables was: leaderboards named no data, and whatever was
/// measured was re-evaluated.
const BACK_TO_2: &str = "DROP TRIGGER results_stay_retracted;
    DROP TRIGGER results_are_of_named_data;
    UPDATE results SET state = 're-evaluated' WHERE state = 'other-setting';
    UPDATE leaderboards SET verified = (SELECT count(*) FROM results r
        WHERE r.leaderboard = leaderboards.id AND r.state = 're-evaluated');
    ALTER TABLE leaderboards DROP COLUMN data_sha256;
    ALTER TABLE leaderboards DROP COLUMN data_split;
    ALTER TABLE results DROP COLUMN split;
    ALTER TABLE scores DROP COLUMN confirmed;
    PRAGMA user_version = 2;";

/// The owner's own leaderboards keep what they were measured on; elsewhere it is not known what
/// they are about.
#[test]
fn what_older_boards_measured_is_looked_at_again() {
    if on_server() {
        return;
    }
    use budwood_board::State;
    use world::{NEWS, accuracy, check, data, know, owner, put, record, row, sam, state, table};
    let (folder, mut board) = board();
    know(&mut board);
    let ours = put(&mut board, &record("ours", "test", "Test", accuracy(80.0)), 1, &owner()).result;
    let toy = put(&mut board, &record("toy", "toy", "test", accuracy(80.0)), 2, &sam()).result;
    let mut made_by_sam = record("sams", "toy", "test", accuracy(80.0));
    made_by_sam.dataset.name = "Another".into();
    let sams = put(&mut board, &made_by_sam, 3, &sam()).leaderboard;
    check(&mut board, &[("Accuracy", 80.0)]);
    drop(board);
    let place = folder.path().join("board");
    let sql = Connection::open(place.join("board.db")).unwrap();
    sql.execute_batch(BACK_TO_2).unwrap();
    drop(sql);
    let board = Board::open(&place).unwrap();
    let named = table(&board, false).item.data.unwrap();
    assert_eq!((named.sha256, named.split.as_str()), (data("test"), "test"));
    assert_eq!(
        (state(&board, ours), state(&board, toy)),
        (State::Reevaluated, State::OtherSetting)
    );
    assert_eq!((row(&board, ours, false).rank, row(&board, toy, true).rank), (Some(1), None));
    let item = table(&board, false).item;
    assert_eq!((item.verified, item.best_verified.unwrap().result), (1, ours));
    let filter = query::Filter::default();
    let sams = query::leaderboard(&board, &sams, &filter).unwrap();
    assert!(sams.item.data.is_none() && sams.item.best_verified.is_none());
    assert_eq!(sams.rows[0].state, State::OtherSetting);
    let log = query::log(&board, &query::LogFilter::default(), query::Part::default()).unwrap();
    assert_eq!(
        (log.items[0].action.as_str(), log.items[0].subject_name.as_str()),
        ("name data", NEWS)
    );
}

/// Makes of a server's tables what their version 4 was.
const SERVER_BACK_TO_4: &str = "DROP TABLE paper_counts; DROP FUNCTION carry_title CASCADE;
    ALTER TABLE papers ADD results BIGINT NOT NULL DEFAULT 0, ADD codes BIGINT NOT NULL DEFAULT 0;
    CREATE INDEX papers_by_results ON papers (results DESC, title_key) INCLUDE (id)
        WHERE results > 0 AND octet_length(title_key) < 2000;
    DROP INDEX results_by_external_id, results_by_leaderboard, code_links_first;
    ALTER TABLE results ADD UNIQUE (external_id);
    UPDATE version SET version = 4;";

/// And of version 4 what version 3 was. What refers to rows was looked for by
/// other statements, which is not seen here: nothing is looked for.
const SERVER_BACK_TO_3: &str = "DROP INDEX scores_by_metric;
    ALTER TABLE paper_text ADD FOREIGN KEY (id) REFERENCES papers (id);
    ALTER TABLE model_text ADD FOREIGN KEY (id) REFERENCES results (id);
    CREATE OR REPLACE FUNCTION refer_from_scores() RETURNS TRIGGER LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE OR REPLACE FUNCTION refer_from_results() RETURNS TRIGGER LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE OR REPLACE FUNCTION refer_from_paper_tasks() RETURNS TRIGGER LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE OR REPLACE FUNCTION refer_from_paper_methods() RETURNS TRIGGER LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    UPDATE version SET version = 3;";

/// And of version 3 what version 2 was.
const SERVER_BACK_TO_2: &str = "DROP FUNCTION refer_from_scores, refer_from_results, refer_from_paper_tasks, refer_from_paper_methods,
        stay_referred_to, keep_number CASCADE;
    ALTER TABLE scores ADD FOREIGN KEY (result) REFERENCES results (id),
        ADD FOREIGN KEY (metric) REFERENCES metrics (id);
    ALTER TABLE results ADD FOREIGN KEY (leaderboard) REFERENCES leaderboards (id),
        ADD FOREIGN KEY (paper) REFERENCES papers (id),
        ADD FOREIGN KEY (method_id) REFERENCES methods (id),
        ADD FOREIGN KEY (archive) REFERENCES archives (id);
    ALTER TABLE paper_tasks ADD FOREIGN KEY (task) REFERENCES tasks (id),
        ADD FOREIGN KEY (paper) REFERENCES papers (id);
    ALTER TABLE paper_methods ADD FOREIGN KEY (method) REFERENCES methods (id),
        ADD FOREIGN KEY (paper) REFERENCES papers (id);
    DROP INDEX papers_by_results;
    DROP INDEX papers_dates;
    CREATE INDEX papers_by_results ON papers (results DESC) WHERE results > 0;
    UPDATE version SET version = 2;";

/// What makes row `N` of each table that is referred to; row 6000 of other tables is there.
const REFERRED_TO: [(&str, &str); 7] = [
    ("archives", "(id, name, attribution, licence) VALUES (N, 'N', '', '')"),
    ("tasks", "(id, slug, name, name_key) VALUES (N, 'N', 'N', 'N')"),
    ("papers", "(id, slug, title, title_key) VALUES (N, 'N', 'N', 'N')"),
    ("methods", "(id, slug, name, name_key) VALUES (N, 'N', 'N', 'N')"),
    ("leaderboards", "(id, slug, task, dataset) VALUES (N, 'N', 6000, 1)"),
    (
        "metrics",
        "(id, leaderboard, position, name, name_key, declared, direction, direction_source)
         VALUES (N, 6000, 0, 'N', 'N', 1, 'higher', 'name')",
    ),
    (
        "results",
        "(id, leaderboard, position, content, model, state, at)
         VALUES (N, 6000, 0, 'N', 'N', 'claimed', 0)",
    ),
];

/// Columns and the tables that they refer to.
type References = &'static [(&'static str, &'static str)];

/// Tables of many rows, what they refer to, and their other columns with values.
const REFERRING: [(&str, References, &str); 4] = [
    ("scores", &[("result", "results"), ("metric", "metrics")], "position, name, raw: 7, '', '1'"),
    (
        "results",
        &[
            ("leaderboard", "leaderboards"),
            ("paper", "papers"),
            ("method_id", "methods"),
            ("archive", "archives"),
        ],
        "id, position, content, model, state, at: 7000, 0, '', '', 'claimed', 0",
    ),
    ("paper_tasks", &[("task", "tasks"), ("paper", "papers")], ""),
    ("paper_methods", &[("method", "methods"), ("paper", "papers")], ""),
];

/// Rows refer to rows that are there, on new boards and those of older versions, whoever writes.
#[test]
fn nothing_refers_to_what_is_not_there() {
    let (folder, mut board) = board();
    import(&mut board, &write(folder.path(), "evaluation-tables.json", &tables()));
    let place = board.place().clone();
    drop(board);
    let make = |table: &str, number: i64| {
        let values = REFERRED_TO.iter().find(|(name, _)| *name == table).unwrap().1;
        raw(&place, &format!("INSERT INTO {table} {}", values.replace('N', &number.to_string())))
            .unwrap();
    };
    for number in [6000, 5000] {
        REFERRED_TO.iter().for_each(|(table, _)| make(table, number));
    }
    let back = [SERVER_BACK_TO_4, SERVER_BACK_TO_3, SERVER_BACK_TO_2];
    for versions in 0..=back.len() {
        if on_server() {
            back[..versions].iter().for_each(|back| raw(&place, back).unwrap());
        }
        drop(Board::open(&place).unwrap());
        if on_server() {
            assert_eq!(answer(&place, "SELECT version FROM budwood_board.version"), "5");
            // Who brings tables along makes models known for searches.
            raw(&place, "DELETE FROM model_text WHERE id = 5000").unwrap();
        }
        let refused = |sql: &str| {
            let said = raw(&place, sql).expect_err(sql);
            let known = ["FOREIGN KEY", " is of none of ", " refers to ", "keeps its number"];
            assert!(known.iter().any(|word| said.contains(word)), "{sql}: {said}");
        };
        for (table, columns, rest) in REFERRING {
            for (column, parent) in columns {
                let insert = |number: i64| {
                    let (mut names, mut values) =
                        rest.split_once(':').map_or_else(Default::default, |(names, values)| {
                            (format!("{names}, "), format!("{values}, "))
                        });
                    for (other, _) in columns {
                        names += &format!("{other}, ");
                        values += &format!("{}, ", if other == column { number } else { 6000 });
                    }
                    let (names, values) =
                        (names.trim_end_matches(", "), values.trim_end_matches(", "));
                    format!("INSERT INTO {table} ({names}) VALUES ({values})")
                };
                refused(&insert(987_654));
                raw(&place, &insert(5000)).unwrap();
                let of_it = format!("{table} WHERE {column} = 5000");
                refused(&format!("UPDATE {table} SET {column} = 987654 WHERE {column} = 5000"));
                refused(&format!("DELETE FROM {parent} WHERE id = 5000"));
                refused(&format!("UPDATE {parent} SET id = 5001 WHERE id = 5000"));
                raw(&place, &format!("DELETE FROM {of_it}")).unwrap();
                raw(&place, &format!("DELETE FROM {parent} WHERE id = 5000")).unwrap();
                make(parent, 5000);
            }
        }
    }
}

/// What is counted of papers lies beside them on a server: it is there when tables are brought
/// along, and its copies of titles are those of the papers, whoever writes.
#[test]
fn counts_of_papers_are_brought_along_and_keep_their_titles() {
    if !on_server() {
        return;
    }
    let (folder, mut board) = board();
    import(&mut board, &write(folder.path(), "evaluation-tables.json", &tables()));
    let all = |board: &Board| query::papers(board, query::Part::default()).unwrap().items;
    let before = all(&board);
    assert!(before.iter().any(|paper| paper.results > 0));
    let place = board.place().clone();
    drop(board);
    raw(&place, SERVER_BACK_TO_4).unwrap();
    let board = Board::open(&place).unwrap();
    assert_eq!(all(&board), before);
    let titles = "SELECT count(*), count(*) FILTER (WHERE c.title_key = p.title_key)
        FROM budwood_board.paper_counts c JOIN budwood_board.papers p ON p.id = c.paper";
    let copies = answer(&place, titles);
    let (of, same) = copies.split_once('|').unwrap();
    assert!(of == same && of != "0", "{copies}");
    for title in ["'another'", "repeat('long ', 1000) || id"] {
        raw(&place, &format!("UPDATE papers SET title_key = {title}")).unwrap();
        assert_eq!(answer(&place, titles), copies);
    }
    let external = |id: &str| {
        raw(&place, &format!("UPDATE results SET external_id = 'there' WHERE id = {id}"))
    };
    external("1").unwrap();
    assert!(external("2").unwrap_err().contains("results_by_external_id"));
}

#[test]
fn a_board_of_a_newer_version_is_left_alone() {
    if on_server() {
        return;
    }
    let (folder, board) = board();
    drop(board);
    let place = folder.path().join("board");
    Connection::open(place.join("board.db"))
        .unwrap()
        .execute_batch("PRAGMA user_version = 99")
        .unwrap();
    assert!(matches!(
        Board::open(&place),
        Err(Error::Database(DatabaseError::Newer { found: 99, .. }))
    ));
    assert!(matches!(
        Board::open_to_read(&place),
        Err(Error::Database(DatabaseError::Newer { found: 99, .. }))
    ));
}

/// Words that stand everywhere: the shortest names first, and never more than was asked for.
#[test]
fn common_words_are_found_too() {
    let (folder, mut board) = board();
    let papers: Vec<_> = (0..3000)
        .map(|i| {
            let title = if i % 3 == 0 { format!("Deep forests {i} {}", "and more ".repeat(i % 7)) } else { format!("Roots {i}") };
            serde_json::json!({ "paper_url": format!("https://paperswithcode.com/paper/p-{i}"), "title": title,
                "abstract": "Deep forests are here, in all of them.", "authors": ["Anonymous"], "tasks": [], "methods": [], "date": "2020-01-01" })
        })
        .collect();
    let papers = serde_json::Value::from(papers);
    import(&mut board, &write(folder.path(), "papers-with-abstracts.json", &papers));
    let found = query::search(&board, "deep forests", None, 20).unwrap();
    assert_eq!(found.len(), 20);
    assert!(found.iter().all(|f| f.name.starts_with("Deep forests") && !f.name.contains("more")));
    // What has results stands first, old as it may be.
    let mut table = tables();
    table[0]["datasets"][0]["sota"]["rows"][0]["paper_title"] = "Deep forests 0 ".into();
    table[0]["datasets"][0]["sota"]["rows"][0]["paper_url"] =
        "https://paperswithcode.com/paper/p-0".into();
    import(&mut board, &write(folder.path(), "evaluation-tables.json", &table));
    let found = query::search(&board, "deep forests", Some(FoundKind::Paper), 20).unwrap();
    assert_eq!((found[0].slug.as_str(), found.len()), ("p-0", 20));
    // Titles are not enough here: others follow, none twice.
    let found = query::search(&board, "deep them", None, 20).unwrap();
    let slugs: std::collections::HashSet<_> = found.iter().map(|f| &f.slug).collect();
    assert_eq!((found.len(), slugs.len()), (20, 20));
}

/// A server seeds its board at every start; on a large one a second time must cost nothing.
#[test]
fn seeding_again_changes_nothing() {
    if on_server() {
        return;
    }
    use budwood_board::seed::{KnownMethod, seed};
    let (folder, mut board) = board();
    let url = "https://arxiv.org/abs/2106.09685";
    let lora = KnownMethod { name: "lora", title: "LoRA", year: 2022, url, summary: "Low rank." };
    // An older program knew no title of this one.
    let old = [lora, KnownMethod { name: "vera", title: "vera", ..lora }];
    let methods = [lora, KnownMethod { name: "vera", title: "VeRA", ..lora }];
    assert!(seed(&mut board, &old).unwrap() > 0);
    seed(&mut board, &methods).unwrap();
    let file = folder.path().join("board/board.db");
    let names: Vec<String> = Connection::open(&file)
        .unwrap()
        .prepare("SELECT name FROM methods WHERE implemented IS NOT NULL ORDER BY id")
        .unwrap()
        .query_map([], |r| r.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(names, ["LoRA", "VeRA"]);
    let version = |c: &Connection| -> i64 {
        c.pragma_query_value(None, "data_version", |r| r.get(0)).unwrap()
    };
    let watcher = Connection::open(&file).unwrap();
    let before = version(&watcher);
    assert_eq!(seed(&mut board, &methods).unwrap(), 0);
    assert_eq!(version(&watcher), before, "the second time wrote something");
}

/// Whoever comes while another makes the board waits, and finds it made.
#[test]
fn a_new_board_may_be_opened_by_many_at_once() {
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder.path().join("board"));
        std::thread::scope(|scope| {
            let all: Vec<_> =
                (0..8).map(|_| scope.spawn(|| Board::open(&place).map(|_| ()))).collect();
            for opened in all {
                opened.join().unwrap().unwrap();
            }
        });
    }
}
