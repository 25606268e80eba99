//! What a new board holds: the paper's own results as claims, and the methods that the program
//! knows.

mod paper;

use budwood_database::params;
use serde_json::Value;

use crate::log::{Entry, Subject};
use crate::submit::{find_or_make, put_result};
use crate::text::key;
use crate::token::Actor;
use crate::{Board, Error, State, entities, summary};

/// A method that the program knows.
#[derive(Clone, Copy, Debug)]
pub struct KnownMethod<'a> {
    /// Its name in `budwood train --method`.
    pub name: &'a str,
    /// What people call it.
    pub title: &'a str,
    /// The year of its publication.
    pub year: i64,
    /// The address of the paper that it comes from; empty where there is none.
    pub url: &'a str,
    /// One line on it.
    pub summary: &'a str,
}

/// Puts the paper's results and the methods on a board, once: what is there is left as it is. Says
/// how many results are new.
///
/// # Errors
/// If the board cannot be written.
pub fn seed(board: &mut Board, methods: &[KnownMethod<'_>]) -> Result<u64, Error> {
    let actor = Actor::local("board");
    let transaction = board.write()?;
    let before = transaction.changed();
    let paper_id = paper::entry(&transaction)?;
    for method in methods {
        let KnownMethod { title, year, url, .. } = *method;
        let (id, _) = entities::method(&transaction, title, None)?;
        // Older programs knew some methods without their titles.
        transaction.execute(
            "UPDATE methods SET name = ?2 WHERE id = ?1 AND name = ?3 AND name <> ?2",
            params![id, title, method.name],
        )?;
        transaction.execute("UPDATE methods SET implemented = ?2, year = coalesce(year, ?3),
               description = CASE description WHEN '' THEN ?4 ELSE description END,
               source_url = coalesce(source_url, nullif(CAST(?5 AS TEXT), ''))
             WHERE id = ?1 AND (implemented IS DISTINCT FROM ?2 OR year IS NULL AND CAST(?3 AS BIGINT) IS NOT NULL
               OR description = '' AND CAST(?4 AS TEXT) <> '' OR source_url IS NULL AND CAST(?5 AS TEXT) <> '')", params![id, method.name, year, method.summary, url])?;
        if url.ends_with("1902.00751") {
            transaction.execute(
                "UPDATE methods SET paper = ?2 WHERE id = ?1 AND paper IS NULL",
                params![id, paper_id],
            )?;
            transaction.execute(
                "INSERT INTO paper_methods (method, paper) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                params![id, paper_id],
            )?;
        }
    }
    let mut added = 0;
    for submission in paper::results() {
        let content = submission.content();
        let place = find_or_make(&transaction, &submission, &actor)?;
        let there = transaction.first(
            "SELECT 1 FROM results WHERE leaderboard = ?1 AND content = ?2",
            params![place.leaderboard, content],
            |_| Ok(()),
        )?;
        if there.is_none() {
            let id =
                put_result(&transaction, &place, &submission, &content, State::Claimed, "board")?;
            transaction
                .execute("UPDATE results SET paper = ?2 WHERE id = ?1", params![id, paper_id])?;
            let task: i64 = transaction.one(
                "SELECT task FROM leaderboards WHERE id = ?1",
                params![place.leaderboard],
                |r| r.get(0),
            )?;
            transaction.execute(
                "INSERT INTO paper_tasks (task, paper) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                params![task, paper_id],
            )?;
            entities::task_in_area(&transaction, task, paper::area(&submission.task))?;
            summary::refresh(&transaction, &[place.leaderboard])?;
            added += 1;
        }
    }
    for (dataset, text) in paper::DATASETS {
        transaction.execute(
            "UPDATE datasets SET description = ?2 WHERE name_key = ?1 AND description = ''",
            params![key(dataset), text],
        )?;
    }
    for (task, text) in paper::TASKS {
        transaction.execute(
            "UPDATE tasks SET description = ?2 WHERE name_key = ?1 AND description = ''",
            params![key(task), text],
        )?;
    }
    // On a large board this takes a while, and every start of the server comes here.
    if transaction.changed() > before {
        summary::refresh_counts(&transaction, &summary::CountsOf::ALL)?;
    }
    if added > 0 {
        Entry {
            who: "board",
            action: "seed",
            subject: Subject::Import,
            id: None,
            name: "results of Houlsby et al. 2019",
            reason: "a board is never empty",
            details: Value::from(added),
        }
        .write(&transaction)?;
    }
    transaction.commit()?;
    Ok(added)
}
