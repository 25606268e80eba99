//! What an encoder makes of papers' texts. The encoder is handed in: this crate knows no model.

use std::collections::HashMap;

use budwood_database::{Asked, Connection, params};
use serde_json::json;

use crate::access::Act;
use crate::db::now;
use crate::error::OfDatabase;
use crate::log::{Entry, Subject};
use crate::token::Actor;
use crate::{Board, Error, dialect};

/// A paper whose text has no vector yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Its number.
    pub paper: i64,
    /// Title and abstract.
    pub text: String,
}

/// Makes vectors of one model the board's; those of another are removed.
///
/// # Errors
/// If the board cannot be written, or whoever asks may not.
pub fn begin(board: &mut Board, base_sha256: &str, actor: &Actor) -> Result<(), Error> {
    actor.may(Act::Relate)?;
    let transaction = board.write()?;
    let of: Option<String> =
        transaction.first("SELECT base_sha256 FROM vector_model", &[], |r| r.get(0))?;
    if of.as_deref() != Some(base_sha256) {
        transaction.execute("DELETE FROM vector_model", &[])?;
        transaction.execute("DELETE FROM paper_vectors", &[])?;
        transaction.execute(
            "INSERT INTO vector_model (base_sha256, at) VALUES (?1, ?2)",
            params![base_sha256, now()],
        )?;
        Entry {
            who: &actor.name,
            action: Act::Relate.logged(),
            subject: Subject::Papers,
            id: None,
            name: base_sha256,
            reason: "",
            details: json!({ "before": of }),
        }
        .write(&transaction)?;
    }
    Ok(transaction.commit()?)
}

/// The next papers with a text and without a vector, from after number `after` on, at most `limit`.
///
/// # Errors
/// If the board cannot be read.
pub fn unread(board: &Board, after: i64, limit: u64) -> Result<Vec<Unread>, Error> {
    Ok(board.sql().query("SELECT id, title || '. ' || abstract FROM papers
         WHERE id > ?1 AND abstract <> '' AND id NOT IN (SELECT paper FROM paper_vectors) ORDER BY id LIMIT ?2", params![after, i64::try_from(limit).unwrap_or(i64::MAX)], |r| {
        Ok(Unread { paper: r.get(0)?, text: r.get(1)? })
    })?)
}

/// How many papers have a text and no vector.
///
/// # Errors
/// If the board cannot be read.
pub fn left(board: &Board) -> Result<u64, Error> {
    let left: i64 = board.sql().one("SELECT count(*) FROM papers WHERE abstract <> '' AND id NOT IN (SELECT paper FROM paper_vectors)", &[], |r| r.get(0))?;
    Ok(left as u64)
}

/// Keeps the vectors of papers, of any length but 0; only their directions matter.
///
/// # Errors
/// If the board cannot be written.
pub fn put(board: &mut Board, vectors: &[(i64, Vec<f32>)]) -> Result<(), Error> {
    let transaction = board.write()?;
    for (paper, vector) in vectors {
        let put = "INSERT INTO paper_vectors (paper, vector) VALUES (?1, ?2)
                   ON CONFLICT (paper) DO UPDATE SET vector = excluded.vector";
        transaction.execute(put, params![paper, packed(vector)])?;
    }
    Ok(transaction.commit()?)
}

/// A vector in a byte for each element: its largest becomes 127.
fn packed(vector: &[f32]) -> Vec<u8> {
    let largest = vector.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    let scale = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    vector.iter().map(|x| (x * scale).round() as i8 as u8).collect()
}

/// The cosine of the angle between two vectors; none if they are of different lengths or one of
/// them is 0.
pub(crate) fn cosine(a: &[u8], b: &[u8]) -> Option<f64> {
    let dot = |a: &[u8], b: &[u8]| -> i64 {
        a.iter().zip(b).map(|(&x, &y)| i64::from(i32::from(x as i8) * i32::from(y as i8))).sum()
    };
    let norms = dot(a, a) as f64 * dot(b, b) as f64;
    (a.len() == b.len() && norms > 0.0).then(|| dot(a, b) as f64 / norms.sqrt())
}

/// Asks for the vectors of papers.
pub(crate) fn ask_vectors<'s>(sql: &'s Connection, papers: &[i64]) -> OfDatabase<Asked<'s>> {
    let these = dialect::is_among(sql, "paper", "?1");
    let query = format!("SELECT paper, vector FROM paper_vectors WHERE {these}");
    sql.ask(&query, params![dialect::list(papers)])
}

/// The vectors that were asked for, of papers that have one.
pub(crate) fn vectors(asked: Asked<'_>) -> Result<HashMap<i64, Vec<u8>>, Error> {
    Ok(asked.rows(|r| Ok((r.get(0)?, r.get(1)?)))?.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_an_element_keeps_the_angle() {
        let a: Vec<f32> = (0..384).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0).powi(3)).collect();
        let b: Vec<f32> =
            (0..384).map(|i| ((i * 53 % 97) as f32 / 48.0 - 1.0) + a[i] / 2.0).collect();
        let dot =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(x * y)).sum::<f64>();
        let exact = dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt();
        let found = cosine(&packed(&a), &packed(&b)).unwrap();
        assert!((found - exact).abs() < 5e-3, "{found} {exact}");
        assert_eq!(cosine(&packed(&a), &packed(&b[1..])), None);
        assert_eq!(cosine(&packed(&[0.0; 4]), &packed(&[1.0; 4])), None);
    }
}
