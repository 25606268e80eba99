//! The tables on both systems, which are written down twice, are the same.
#![allow(clippy::unwrap_used)]

mod common;

use common::{answer, board, on_server};
use rusqlite::Connection;

/// Tables that only one of the two has: for searching, and for what lies in a folder or file there.
const OWN: &str = "'version', 'entries', 'file_contents', 'server_secret', 'paper_text', \
                   'entry_text', 'model_text', 'common_words', 'paper_counts'";
/// Columns that a file has where a server has `paper_counts`.
const OF_FILE: &str = "m.name = 'papers' AND c.name IN ('results', 'codes')";

#[test]
fn both_systems_have_the_same_tables_and_columns() {
    if !on_server() {
        return; // The second run of these tests has both.
    }
    let (folder, on_server) = board();
    let columns = format!(
        "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable
         FROM information_schema.columns
         WHERE table_schema = 'budwood_board' AND table_name NOT IN ({OWN})
         ORDER BY table_name COLLATE \"C\", ordinal_position"
    );
    let server: Vec<String> =
        answer(on_server.place(), &columns).lines().map(ToOwned::to_owned).collect();
    drop(on_server);
    let file = folder.path().join("file");
    drop(budwood_board::Board::open(&file).unwrap());
    let file = Connection::open(file.join("board.db")).unwrap();
    let columns = format!("SELECT m.name || '.' || c.name || ' '
           || CASE c.type WHEN 'INTEGER' THEN 'bigint' WHEN 'TEXT' THEN 'text'
                WHEN 'REAL' THEN 'double precision' WHEN 'BLOB' THEN 'bytea' ELSE c.type END
           || CASE WHEN c.\"notnull\" OR c.pk THEN ' NO' ELSE ' YES' END
         FROM sqlite_schema m JOIN pragma_table_info(m.name) c
         WHERE m.type = 'table' AND m.name NOT LIKE '%\\_text%' ESCAPE '\\' AND m.name NOT LIKE 'sqlite%'
           AND NOT ({OF_FILE}) ORDER BY m.name, c.cid");
    let mut query = file.prepare(&columns).unwrap();
    let file: Vec<String> =
        query.query_map([], |r| r.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    assert!(file.len() > 150, "{}", file.len());
    assert_eq!(server, file);
}
