//! Accounts: tokens with roles. The board keeps their hashes only.

use std::io::Read;

use budwood_base::digest;
use budwood_database::{Connection, params};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::db::now;
use crate::log::{Entry, Subject};
use crate::text::{is_hidden, look};
use crate::{Board, Error};

/// What a token allows; each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reading, which everyone may.
    Read,
    /// Submitting results, and taking back one's own.
    Submit,
    /// New tasks, a leaderboard's data, directions and tolerances, taking back anyone's results.
    Moderate,
    /// Everything, on the board's machine; no token has this role.
    Owner,
}

impl Role {
    /// Those that a token may have.
    pub const OF_TOKENS: [Self; 3] = [Self::Read, Self::Submit, Self::Moderate];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Submit => "submit",
            Self::Moderate => "moderate",
            Self::Owner => "owner",
        }
    }
}

/// Who does something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Actor {
    /// Name, for the log.
    pub name: String,
    /// What they may.
    pub role: Role,
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Token {
    /// Its name.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// When it was made, in seconds since 1970.
    pub created_at: i64,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
}

impl Actor {
    /// Whoever sits at the machine that the board is on.
    pub fn local(name: impl Into<String>) -> Self {
        Self { name: name.into(), role: Role::Owner }
    }
}

/// Names that the log has for the board itself and for its owner.
const RESERVED: &[&str] = &["board", "local"];

/// Makes a token and returns its secret, which is not kept.
///
/// # Errors
/// If there is one of that name, or the name is empty or longer than 100 letters.
pub fn add(board: &mut Board, name: &str, role: Role, who: &str) -> Result<String, Error> {
    if name.trim().is_empty() || name.chars().count() > 100 {
        return Err(Error::input("the token's name", "must have between 1 and 100 letters"));
    }
    if name.chars().any(is_hidden) || name.trim() != name {
        let reason = "must not begin or end with blanks, or hold control or invisible characters";
        return Err(Error::input("the token's name", reason));
    }
    if RESERVED.contains(&look(name).as_str()) {
        let reason = format!("'{name}' is kept for the board and its owner; take another");
        return Err(Error::input("the token's name", reason));
    }
    if role == Role::Owner {
        return Err(Error::input("the token's role", "is read, submit or moderate"));
    }
    let secret = secret()?;
    let transaction = board.write()?;
    let names: Vec<String> = transaction.query("SELECT name FROM tokens", &[], |r| r.get(0))?;
    // Results belong to names: one that looks like another could pass for it.
    if let Some(other) = names.iter().find(|n| *n != name && look(n) == look(name)) {
        let reason = format!("looks like '{other}', which is taken");
        return Err(Error::input(format!("the token's name '{name}'"), reason));
    }
    let added = transaction.execute("INSERT INTO tokens (name, sha256, role, created_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING", params![name, digest::of_bytes(secret.as_bytes()), role, now()])?;
    if added == 0 {
        return Err(Error::input(
            format!("the token '{name}'"),
            "is there already; revoked names stay taken",
        ));
    }
    log(&transaction, "add token", name, who, &json!({ "role": role }))?;
    transaction.commit()?;
    Ok(secret)
}

/// Forty hexadecimal digits from the system's generator.
fn secret() -> Result<String, Error> {
    let path = std::path::Path::new("/dev/urandom");
    let mut bytes = [0u8; 20];
    std::fs::File::open(path)
        .and_then(|mut f| f.read_exact(&mut bytes))
        .map_err(|source| Error::Io { path: path.into(), source })?;
    Ok(bytes.iter().fold(String::from("bw_"), |s, b| s + &format!("{b:02x}")))
}

/// All tokens, in the order of their making.
///
/// # Errors
/// If the board cannot be read.
pub fn list(board: &Board) -> Result<Vec<Token>, Error> {
    Ok(board.sql().query(
        "SELECT name, role, created_at, revoked_at FROM tokens ORDER BY id",
        &[],
        |r| {
            Ok(Token {
                name: r.get(0)?,
                role: r.get(1)?,
                created_at: r.get(2)?,
                revoked_at: r.get(3)?,
            })
        },
    )?)
}

/// Ends a token.
///
/// # Errors
/// If there is none of that name that is still good.
pub fn revoke(board: &mut Board, name: &str, who: &str) -> Result<(), Error> {
    let transaction = board.write()?;
    let changed = transaction.execute(
        "UPDATE tokens SET revoked_at = ?2 WHERE name = ?1 AND revoked_at IS NULL",
        params![name, now()],
    )?;
    if changed == 0 {
        return Err(Error::missing("token", name));
    }
    log(&transaction, "revoke token", name, who, &json!({}))?;
    transaction.commit()?;
    Ok(())
}

/// Whose secret this is; none if it is nobody's or was revoked.
///
/// # Errors
/// If the board cannot be read.
pub fn check(board: &Board, secret: &str) -> Result<Option<Actor>, Error> {
    // Looking the hash up gives no hint of the secret by its time.
    let found = board.sql().first(
        "SELECT name, role FROM tokens WHERE sha256 = ?1 AND revoked_at IS NULL",
        params![digest::of_bytes(secret.as_bytes())],
        |r| Ok(Actor { name: r.get(0)?, role: r.get(1)? }),
    )?;
    // Older programs gave out any name: such a token owns nothing of the owner's.
    Ok(found.map(|actor| match RESERVED.contains(&look(&actor.name).as_str()) {
        true => Actor { name: format!("token {}", actor.name), ..actor },
        false => actor,
    }))
}

fn log(
    sql: &Connection,
    action: &str,
    name: &str,
    who: &str,
    details: &serde_json::Value,
) -> Result<(), Error> {
    let details = details.clone();
    Entry { who, action, subject: Subject::Token, id: None, name, reason: "", details }.write(sql)
}
