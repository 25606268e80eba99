//! Words of statements that differ between the two systems. Full-text search has a file of its own.

use budwood_database::{Connection, params};

use crate::error::OfDatabase;

/// Which papers `p` a table `x` names under a condition, so that they are gone through from the
/// newest on: both planners would begin with the table.
pub(crate) fn from_the_newest(sql: &Connection, table: &str, condition: &str) -> String {
    if sql.is_server() {
        return format!(
            "WHERE EXISTS (SELECT 1 FROM {table} x WHERE x.paper = p.id AND x.{condition} OFFSET 0)"
        );
    }
    format!("INDEXED BY papers_by_date CROSS JOIN {table} x ON x.paper = p.id WHERE x.{condition}")
}

/// Papers `p` with what is counted of each, `results` and `codes`, which may be NULL where there
/// are none: a server keeps them in a table of their own.
pub(crate) fn counted_papers(sql: &Connection) -> &'static str {
    if sql.is_server() {
        // As a plain join it might read the whole of that table.
        return "papers p LEFT JOIN LATERAL (
                  SELECT x.results, x.codes FROM paper_counts x WHERE x.paper = p.id OFFSET 0) c ON TRUE";
    }
    "papers p"
}

/// Number, results and title of the papers that have results, as the index gives them that has
/// titles in this order: a server's holds none of more than 2,000 bytes.
pub(crate) fn papers_by_results(sql: &Connection) -> &'static str {
    if sql.is_server() {
        return "SELECT paper AS id, results, title_key FROM paper_counts
                WHERE results > 0 AND octet_length(title_key) < 2000 ORDER BY results DESC, title_key";
    }
    "SELECT id, results, title_key FROM papers WHERE results > 0 ORDER BY results DESC, title_key"
}

/// Whether a paper `p` may have code. A server looks for the code itself, as its counts lie no
/// nearer.
pub(crate) fn may_have_code(sql: &Connection) -> &'static str {
    if sql.is_server() { "TRUE" } else { "p.codes > 0" }
}

/// Writes `results` and `codes` of papers, as a query counted them, where they are others.
pub(crate) fn write_counts_of_papers(sql: &Connection, counted: &str) -> String {
    if sql.is_server() {
        return format!(
            "INSERT INTO paper_counts (paper, title_key, results, codes)
             SELECT n.paper, n.title_key, n.results, n.codes
             FROM ({counted}) n LEFT JOIN LATERAL (
               SELECT x.results, x.codes FROM paper_counts x WHERE x.paper = n.paper OFFSET 0) c ON TRUE
             WHERE (coalesce(c.results, 0), coalesce(c.codes, 0)) <> (n.results, n.codes)
             ON CONFLICT (paper) DO UPDATE SET results = excluded.results, codes = excluded.codes"
        );
    }
    format!(
        "UPDATE papers SET results = n.results, codes = n.codes FROM ({counted}) n
         WHERE papers.id = n.paper AND (papers.results <> n.results OR papers.codes <> n.codes)"
    )
}

/// Where scores `o` of a metric `m` are found, of results `q` that count. A server has an index of
/// `metric + 0` for this, so that no statement uses it that does not say so: where a planner
/// believes that a table is small, it goes by the metric alone, and through all its scores again
/// for each result.
pub(crate) fn scores_of_metric(sql: &Connection, counts: &str) -> String {
    if sql.is_server() {
        return format!(
            "scores o WHERE o.metric + 0 = m.id
             AND (SELECT {counts} FROM results q WHERE q.id = o.result)"
        );
    }
    format!(
        "scores o JOIN results q ON q.id = o.result
         WHERE q.leaderboard = l.id AND o.metric = m.id AND {counts}"
    )
}

/// The scores `s` of a leaderboard's results. A server finds those of each metric side by side.
pub(crate) fn scores_of_leaderboard(sql: &Connection, number: &str) -> String {
    if sql.is_server() {
        let metrics = format!("SELECT id FROM metrics WHERE leaderboard = {number}");
        return format!("scores s WHERE s.metric + 0 = ANY (ARRAY({metrics}))");
    }
    format!("results r JOIN scores s ON s.result = r.id WHERE r.leaderboard = {number}")
}

/// Whether a number is among those of a parameter, which is a list in JSON.
pub(crate) fn is_among(sql: &Connection, number: &str, list: &str) -> String {
    if sql.is_server() {
        // As a query within another it is read once, not for each row.
        let numbers = format!("SELECT CAST(translate({list}, '[]', '{{}}') AS BIGINT[])");
        return format!("{number} = ANY (CAST(({numbers}) AS BIGINT[]))");
    }
    format!("{number} IN (SELECT value FROM json_each({list}))")
}

/// Whether a number is among those that a query gives, which is answered first.
pub(crate) fn is_given(sql: &Connection, number: &str, query: &str) -> String {
    if sql.is_server() {
        return format!("{number} = ANY (ARRAY({query}))");
    }
    format!("{number} IN ({query})")
}

/// A parameter of [`is_among`].
pub(crate) fn list(numbers: &[i64]) -> String {
    serde_json::json!(numbers).to_string()
}

/// Makes ready for a transaction that writes many rows: a server adds words to their indexes in
/// pieces of this size, where nobody else does before.
pub(crate) fn expect_many(sql: &Connection) -> OfDatabase<()> {
    if sql.is_server() {
        sql.execute("SET LOCAL gin_pending_list_limit = '64MB'", &[])?;
        sql.execute("SET LOCAL work_mem = '64MB'", &[])?;
    }
    Ok(())
}

/// Lets a transaction end before a server's disk has it, where another ends after it: commits are
/// kept in their order, and the one at the end waits for all.
pub(crate) fn need_not_last(sql: &Connection) -> OfDatabase<()> {
    if sql.is_server() {
        sql.execute("SET LOCAL synchronous_commit = off", &[])?;
    }
    Ok(())
}

/// Lets the statements that follow in a transaction read whole tables, or not. Whoever writes rows
/// finds others by their keys; to a server that is told so, any two ways through a whole table are
/// equally dear, and it takes one that goes through it again for each row.
pub(crate) fn in_whole_tables(sql: &Connection, whole: bool) -> OfDatabase<()> {
    if sql.is_server() {
        sql.execute(&format!("SET LOCAL enable_seqscan = {whole}"), &[])?;
    }
    Ok(())
}

/// What was added last waits beside an index of words; its owner may have it put in.
pub(crate) fn put_words_in(sql: &Connection) -> OfDatabase<()> {
    let put_in =
        "SELECT gin_clean_pending_list(c.oid) FROM pg_class c JOIN pg_am a ON a.oid = c.relam
         WHERE a.amname = 'gin' AND c.relnamespace = CAST(current_schema() AS REGNAMESPACE)
           AND pg_has_role(c.relowner, 'USAGE')";
    sql.query(put_in, &[], |_| Ok(())).map(drop)
}

/// Tells a server's planner what those tables hold that have grown, and puts indexes of words in
/// order after much was written. Two connections may share the work: what one looks at, the other
/// passes by.
pub(crate) fn settle(sql: &Connection) -> OfDatabase<()> {
    if sql.is_server() {
        let grown = "SELECT relname FROM pg_class WHERE relkind = 'r'
               AND relnamespace = CAST(current_schema() AS REGNAMESPACE)
               AND relname = coalesce(CAST(?1 AS TEXT), relname)
               AND pg_relation_size(oid) > 1.1 * relpages * current_setting('block_size')::BIGINT";
        for table in sql.query(grown, params![None::<&str>], |r| r.get::<String>(0))? {
            // The other may have looked by now.
            if sql.exists(grown, params![table])? {
                sql.execute(&format!("ANALYZE (SKIP_LOCKED) {table}"), &[])?;
            }
        }
        put_words_in(sql)?;
    }
    Ok(())
}
