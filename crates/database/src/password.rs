//! Passwords that do not stand in an address: `PGPASSWORD`, and the file that PostgreSQL's own
//! programs read (PostgreSQL documentation, "The Password File").

use std::path::{Path, PathBuf};

use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// The password of a connection, if its address has none.
pub(crate) fn found(config: &Config) -> Option<String> {
    if let Ok(password) = std::env::var("PGPASSWORD") {
        return Some(password);
    }
    let file = std::env::var_os("PGPASSFILE").map(PathBuf::from);
    let file = file.or_else(|| Some(std::env::home_dir()?.join(".pgpass")))?;
    if can_be_read_by_others(&file) {
        return None;
    }
    let text = std::fs::read_to_string(file).ok()?;
    let ports = config.get_ports();
    config.get_hosts().iter().enumerate().find_map(|(i, host)| {
        let port = ports.get(i).or(ports.first()).copied().unwrap_or(5432).to_string();
        let host = match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(_) => "localhost".into(),
        };
        let database = config.get_dbname().unwrap_or_default();
        let user = match config.get_user() {
            Some(user) => user.to_string(),
            None => std::env::var("USER").unwrap_or_default(),
        };
        of_lines(&text, [&host, &port, database, &user])
    })
}

#[cfg(unix)]
fn can_be_read_by_others(file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(file).is_ok_and(|m| m.mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn can_be_read_by_others(_: &Path) -> bool {
    false
}

/// The password of the first line whose host, port, database and user fit.
fn of_lines(text: &str, wanted: [&str; 4]) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let (password, place) = fields.split_last()?;
        let fits = place.len() == wanted.len()
            && place.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
        fits.then(|| password.clone())
    })
}

/// The fields between colons; a backslash takes what follows as it is.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut signs = line.chars();
    while let Some(sign) = signs.next() {
        match sign {
            ':' if fields.len() < 5 => fields.push(String::new()),
            '\\' => fields.last_mut().into_iter().for_each(|f| f.extend(signs.next())),
            other => fields.last_mut().into_iter().for_each(|f| f.push(other)),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let text = "# host:port:db:user:password\n\
                    other:*:*:me:no\nh:5432:runs:me:a\\:b\\\\c:d\n*:*:*:*:last\nshort:line\n";
        let of = |wanted| of_lines(text, wanted);
        assert_eq!(of(["h", "5432", "runs", "me"]).as_deref(), Some("a:b\\c:d"));
        assert_eq!(of(["h", "5433", "runs", "me"]).as_deref(), Some("last"));
        assert_eq!(of_lines("h:1:d:u:p", ["h", "1", "d", "v"]), None);
    }
}
