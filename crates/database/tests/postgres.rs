//! A server that is not there, lets nobody in, cuts connections or dies.
#![allow(clippy::unwrap_used)]

mod server;
mod tables;

use std::net::TcpListener;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use budwood_database::{Addition, Connection, Database, Error, Kind, Row, Schema, Tables, Value};
use server::{PASSWORD, Server};
use tables::{SCHEMA, address};

/// The tables of these tests, a version later.
static LATER: Kind = Kind {
    schema: Schema {
        name: "budwood_test",
        what: "a test",
        remedy: "give another",
        application: 77,
        sqlite: Tables {
            new: "CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT, more TEXT);",
            steps: &["ALTER TABLE t ADD COLUMN more TEXT;"],
        },
        postgres: Tables {
            new: "CREATE TABLE t (id BIGINT PRIMARY KEY, word TEXT, more TEXT);",
            steps: &["ALTER TABLE t ADD COLUMN more TEXT;"],
        },
    },
    migrated: |_| Ok(()),
};

fn open(text: &str) -> Result<Database, Error> {
    Database::open(&address(text), &SCHEMA)
}

fn add(database: &Database, id: i64) -> Result<(), Error> {
    database.write(|connection| {
        let there = connection.first("SELECT 1 FROM t WHERE id = ?1", &[id.into()], |_| Ok(()))?;
        if there.is_none() {
            connection.insert("t", ["id", "word"], [[id.into(), "word".into()]])?;
        }
        Ok(())
    })
}

fn count(database: &Database) -> i64 {
    let sql = "SELECT count(*) FROM t";
    database.read(|c| c.first(sql, &[], |row| row.get(0))).unwrap().unwrap()
}

/// Each with its place and what to do, and none with the password.
#[test]
fn every_refusal_is_named() {
    let Some(server) = server::shared() else { return };
    let good = server.database();
    let said = |text: &str, schema: &'static Kind| {
        let error = Database::open(&address(text), schema).map(drop).unwrap_err();
        let said = error.to_string();
        assert!(!said.contains("s3cret") && said.contains("postgres://"), "{said}");
        (error, said)
    };
    let wrong = good.replace("s3cret", "other");
    let (error, text) = said(&wrong, &SCHEMA);
    assert!(matches!(error, Error::Refused { .. }) && text.contains("pgpass"), "{text}");
    let none = good.replace(&format!(":{}", PASSWORD.replace(' ', "%20")), "");
    let (error, _) = said(&none, &SCHEMA);
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    let (error, text) = said(&server.address("nowhere"), &SCHEMA);
    assert!(matches!(error, Error::NoDatabase { .. }) && text.contains("CREATE DATABASE"));
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = good.replace(&server.port().to_string(), &free.to_string());
    let (error, text) = said(&nobody, &SCHEMA);
    assert!(matches!(error, Error::Unreachable { .. }) && text.contains("refused"), "{text}");
    let (error, text) = said("postgres://u@no.such.host.invalid/d", &SCHEMA);
    assert!(matches!(error, Error::Unreachable { .. }), "{text}");
    let (error, text) = said(&format!("{good}?sslmode=require"), &SCHEMA);
    assert!(matches!(error, Error::Unreachable { .. }) && text.contains("TLS"), "{text}");
    // Somebody else who answers at this port.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in other.incoming() {
            let _ = std::io::Write::write_all(&mut stream.unwrap(), b"HTTP/1.1 400\r\n\r\n");
        }
    });
    let (error, text) = said(&good.replace(&server.port().to_string(), &port.to_string()), &SCHEMA);
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?} {text}");
    // Encodings that do not hold every text.
    server.sql(&good, "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1'");
    let (_, text) = said(&server.address("latin"), &SCHEMA);
    assert!(text.contains("LATIN1") && text.contains("UTF8"), "{text}");
    drop(Database::open(&address(&good), &LATER).unwrap());
    let (error, text) = said(&good, &SCHEMA);
    assert!(matches!(error, Error::Newer { found: 2, known: 1, .. }), "{text}");
}

/// A user who may read and not write reads, and one who may make no tables is told so.
#[test]
fn rights_are_those_of_the_server() {
    let Some(server) = server::shared() else { return };
    let place = server.database();
    server.sql(&place, "CREATE ROLE reader LOGIN; CREATE ROLE nobody LOGIN");
    let database = open(&place).unwrap();
    add(&database, 1).unwrap();
    server.sql(
        &place,
        "GRANT USAGE ON SCHEMA budwood_test TO reader;
         GRANT SELECT ON ALL TABLES IN SCHEMA budwood_test TO reader",
    );
    let name = place.rsplit('/').next().unwrap();
    let by = |user: &str| server.socket(name).replace("user=budwood", &format!("user={user}"));
    let reader = open(&by("reader")).unwrap();
    assert_eq!(count(&reader), 1);
    assert!(matches!(add(&reader, 2), Err(Error::NotAllowed { .. })));
    assert_eq!(count(&reader), 1);
    assert!(matches!(open(&by("nobody")).map(drop), Err(Error::NotAllowed { .. })));
    let other = server.database();
    let name = other.rsplit('/').next().unwrap();
    let nobody = server.socket(name).replace("user=budwood", "user=nobody");
    let refused = open(&nobody).map(drop).unwrap_err();
    let text = refused.to_string();
    assert!(matches!(refused, Error::NotAllowed { .. }) && text.contains("GRANT CREATE"), "{text}");
    assert!(Database::find_to_read(&address(&nobody), &SCHEMA).unwrap().is_none());
}

#[test]
fn tables_of_older_versions_are_brought_along_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.db").display().to_string();
    let on_server = server::shared().map(Server::database);
    for place in [Some(file), on_server].into_iter().flatten() {
        add(&open(&place).unwrap(), 1).unwrap();
        std::thread::scope(|scope| {
            let open = || Database::open(&address(&place), &LATER).map(drop);
            let all: Vec<_> = (0..6).map(|_| scope.spawn(open)).collect();
            all.into_iter().for_each(|one| one.join().unwrap().unwrap());
        });
        let later = Database::open(&address(&place), &LATER).unwrap();
        let sql = "SELECT count(*) FROM t WHERE more IS NULL";
        assert_eq!(later.read(|c| c.first(sql, &[], |r| r.get::<i64>(0))).unwrap(), Some(1));
        assert!(matches!(open(&place).map(drop), Err(Error::Newer { found: 2, .. })));
    }
}

const CUT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE application_name = 'budwood' AND datname = current_database()";

/// Cut between statements, within a transaction, and again and again while eight write.
#[test]
fn connections_that_are_cut_are_made_again() {
    let Some(server) = server::shared() else { return };
    let place = server.database();
    let database = open(&place).unwrap();
    add(&database, 1).unwrap();
    server.sql(&place, CUT);
    assert_eq!(count(&database), 1);
    server.sql(&place, CUT);
    add(&database, 2).unwrap();
    let mut cut = 0;
    database
        .write(|connection| {
            connection.insert("t", ["id", "word"], [[3.into(), "a".into()]])?;
            cut += 1;
            if cut == 1 {
                server.sql(&place, CUT);
            }
            connection.execute("UPDATE t SET word = ?1 WHERE id = 3", &["b".into()]).map(drop)
        })
        .unwrap();
    assert_eq!((cut, count(&database)), (2, 3));
    let (writers, each) = (8, 40);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..writers)
            .map(|writer| {
                let place = &place;
                scope.spawn(move || {
                    let database = open(place).unwrap();
                    // Every number is written by two of them.
                    (0..each).for_each(|i| add(&database, 10 + (writer / 2) * each + i).unwrap());
                })
            })
            .collect();
        while all.iter().any(|one| !one.is_finished()) {
            server.sql(&place, CUT);
            std::thread::sleep(Duration::from_millis(100));
        }
        all.into_iter().for_each(|one| one.join().unwrap());
    });
    assert_eq!(count(&database), 3 + writers / 2 * each);
}

/// Questions that wait for their answers are kept apart, in whatever order these are read, and what
/// is wrong with one is said for that one alone.
#[test]
fn answers_belong_to_their_questions() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.db").display().to_string();
    for place in [Some(file), server::shared().map(Server::database)].into_iter().flatten() {
        let database = open(&place).unwrap();
        (1..=9).for_each(|id| add(&database, id).unwrap());
        let sql = database.connection();
        let number = |row: &Row<'_>| row.get::<i64>(0);
        let ask = |id: i64| sql.ask("SELECT id FROM t WHERE id = ?1", &[id.into()]).unwrap();
        let (a, b, none) = (ask(3), ask(5), ask(77));
        // More than fits between the two: nobody reads it before others are answered.
        let large =
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
             SELECT i, ?1 FROM n ORDER BY i";
        let (word, unread) = ("w".repeat(500), "u".repeat(500));
        let large = |word: &str| sql.ask(large, &[word.into()]);
        let many = large(&word);
        drop(large(&unread));
        let broken = sql.ask("SELECT id FROM t WHERE 1 / (id - ?1) > 0", &[4.into()]).unwrap();
        let after = ask(9);
        assert_eq!(sql.one("SELECT count(*) FROM t", &[], number).unwrap(), 9);
        assert_eq!(after.one(number).unwrap(), 9);
        if sql.is_server() {
            let error = broken.rows(number).unwrap_err().to_string();
            assert!(error.contains("division by zero"), "{error}");
        }
        assert_eq!((b.one(number).unwrap(), a.first(number).unwrap()), (5, Some(3)));
        assert_eq!(none.first(number).unwrap(), None);
        let none = ask(77).one(number).unwrap_err().to_string();
        assert!(none.contains("should be there"), "{none}");
        let many = many.unwrap().rows(|row| Ok((number(row)?, row.get::<String>(1)?))).unwrap();
        assert!(many.len() == 20_000 && (1..).zip(&many).all(|(i, of)| *of == (i, word.clone())));
        // Statements and values that do not fit.
        let ask = |sql: &str, values: &[Value<'_>]| {
            database.connection().ask(sql, values).and_then(|asked| asked.rows(number))
        };
        assert!(ask("SELECT id FROM nowhere", &[]).is_err());
        assert!(ask("SELECT id FROM t", &[1.into()]).is_err());
        assert!(ask("SELECT id FROM t WHERE id = ?1", &["x".into()]).is_err() || !sql.is_server());
        assert!(ask("SELECT word FROM t", &[]).is_err());
        assert_eq!(ask("SELECT id FROM t WHERE id < 3 ORDER BY id", &[]).unwrap(), [1, 2]);
    }
}

/// A question that was asked on a connection that is cut is asked again, but not in a transaction.
#[test]
fn what_was_asked_before_a_cut_is_answered() {
    let Some(server) = server::shared() else { return };
    let place = server.database();
    let database = open(&place).unwrap();
    (1..=3).for_each(|id| add(&database, id).unwrap());
    let sql = database.connection();
    let number = |row: &Row<'_>| row.get::<i64>(0);
    let ask = |id: i64| sql.ask("SELECT id FROM t WHERE id = ?1", &[id.into()]).unwrap();
    let (a, b) = (ask(1), ask(2));
    server.sql(&place, CUT);
    assert_eq!((b.one(number).unwrap(), a.one(number).unwrap()), (2, 1));
    // The connection is made again while an answer is still to be read.
    let a = ask(3);
    server.sql(&place, CUT);
    assert_eq!(count(&database), 3);
    assert_eq!(a.one(number).unwrap(), 3);
    let transaction = database.snapshot().unwrap();
    let a = transaction.ask("SELECT id FROM t WHERE id = ?1", &[1.into()]).unwrap();
    let b = transaction.ask("SELECT id FROM t WHERE id = ?1", &[2.into()]).unwrap();
    server.sql(&place, CUT);
    assert!(matches!(a.one(number), Err(Error::Lost { .. })));
    assert!(matches!(b.one(number), Err(Error::Lost { .. })));
    drop(transaction);
    assert_eq!(count(&database), 3);
}

/// Questions that are asked together take one journey: the server has all of them before it has
/// answered the first.
#[test]
fn questions_travel_together() {
    let Some(server) = server::shared() else { return };
    let database = open(&server.database()).unwrap();
    let sql = database.connection();
    let number = |row: &Row<'_>| row.get::<i64>(0);
    let now = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)";
    // The server is of this machine, and so is its clock.
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let (a, b) = (sql.ask(now, &[]).unwrap(), sql.ask(now, &[]).unwrap());
    let begin = clock();
    assert!(a.one(number).unwrap() >= begin - 1);
    std::thread::sleep(Duration::from_secs(1));
    let before = clock();
    let at = b.one(number).unwrap();
    assert!(at < before, "asked {} ms late", at - before);
}

/// A row with the time at which the server adds it.
static TIMED: Addition = Addition {
    table: "t",
    is_referred_to: false,
    one: "INSERT INTO t (id, word) VALUES (?1, datetime())",
    many: Some(
        "INSERT INTO t (id, word)
         SELECT n, CAST(CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS TEXT)
         FROM unnest(CAST(?1 AS BIGINT[])) n",
    ),
};

/// The server adds rows while the program has something else to do.
#[test]
fn rows_that_were_sent_are_added_meanwhile() {
    let Some(server) = server::shared() else { return };
    let database = open(&server.database()).unwrap();
    let transaction = database.begin().unwrap();
    for id in 0..30_000 {
        transaction.add_later(&TIMED, &[Value::Integer(id)]).unwrap();
    }
    std::thread::sleep(Duration::from_secs(1));
    transaction.commit().unwrap();
    assert_eq!(count(&database), 30_000);
    let apart = "SELECT max(CAST(word AS BIGINT)) - min(CAST(word AS BIGINT)) FROM t";
    let apart: i64 = database.connection().one(apart, &[], |row| row.get(0)).unwrap();
    assert!(apart > 800, "all were added within {apart} ms");
}

/// A row that is refused is what is said, whatever comes next, and nothing stays.
#[test]
fn a_row_that_is_refused_later_is_named() {
    let Some(server) = server::shared() else { return };
    let database = open(&server.database()).unwrap();
    type Next = fn(&Connection) -> Result<(), Error>;
    let next: [Next; 5] = [
        |_| Ok(()),
        |sql| sql.execute("UPDATE t SET word = ''", &[]).map(drop),
        |sql| sql.query("SELECT id FROM t", &[], |_| Ok(())).map(drop),
        |sql| sql.insert("t", ["id"], [[Value::Integer(9)]]),
        |sql| (0..60_000).try_for_each(|id| sql.add_later(&TIMED, &[Value::Integer(10 + id)])),
    ];
    for next in next {
        let transaction = database.begin().unwrap();
        for id in [1, 1] {
            transaction.add_later(&TIMED, &[Value::Integer(id)]).unwrap();
        }
        let done = next(&transaction).and_then(|()| transaction.commit());
        let error = done.unwrap_err().to_string();
        assert!(error.contains("t_pkey"), "{error}");
        assert_eq!(count(&database), 0);
    }
    add(&database, 1).unwrap();
    assert_eq!(count(&database), 1);
}

/// The server dies as a machine does, while four write, and returns: what was acknowledged is
/// there, once.
#[test]
fn a_killed_server_loses_nothing_that_was_acknowledged() {
    let Some(mut server) = Server::begin() else { return };
    let place = server.database();
    drop(open(&place).unwrap());
    let done = std::sync::atomic::AtomicI64::new(0);
    std::thread::scope(|scope| {
        let write = |writer: i64| {
            let (place, done) = (&place, &done);
            scope.spawn(move || {
                let database = open(place).unwrap();
                for i in 0..60 {
                    add(&database, writer * 60 + i).unwrap();
                    done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(5));
                }
            })
        };
        let all: Vec<_> = (0..4).map(write).collect();
        for part in [40, 120] {
            let is_before = || done.load(std::sync::atomic::Ordering::Relaxed) < part;
            while is_before() && all.iter().any(|one| !one.is_finished()) {
                std::thread::sleep(Duration::from_millis(5));
            }
            server.kill_and_begin();
        }
        all.into_iter().for_each(|one| one.join().unwrap());
    });
    assert_eq!(count(&open(&place).unwrap()), 240);
}

/// One writes at a time: the others wait, and are told if it is too long.
#[test]
fn a_claim_is_of_one_process_and_ends_with_its_connection() {
    let Some(server) = server::shared() else { return };
    let place = server.database();
    let (a, b) = (open(&place).unwrap(), open(&place).unwrap());
    assert!(a.claim("run").unwrap() && !b.claim("run").unwrap() && b.claim("other").unwrap());
    a.release("run");
    assert!(b.claim("run").unwrap() && !a.claim("run").unwrap());
    drop(b);
    let end = Instant::now() + Duration::from_secs(10);
    while !a.claim("run").unwrap() {
        assert!(Instant::now() < end, "a claim outlives its process");
        std::thread::sleep(Duration::from_millis(20));
    }
    // A connection that was cut and made again claims again what it had.
    let c = open(&place).unwrap();
    server.sql(&place, CUT);
    assert_eq!(count(&a), 0);
    assert!(!c.claim("run").unwrap());
}

/// TLS is spoken where the server has it, and its certificate checked where that is asked for.
#[test]
fn certificates_are_checked_as_asked() {
    let Some(server) = Server::begin() else { return };
    let tls = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../hub/tests/tls");
    for file in ["server.pem", "server.key"] {
        let text = std::fs::read_to_string(tls.join(file)).unwrap();
        let lines = format!("SELECT unnest(string_to_array('{}', E'\\n'))", text.trim());
        let to = format!("COPY ({lines}) TO PROGRAM 'umask 077; cat > {file}'");
        server.sql("/postgres", &to);
    }
    for setting in ["ssl_cert_file = 'server.pem'", "ssl_key_file = 'server.key'", "ssl = on"] {
        server.sql("/postgres", &format!("ALTER SYSTEM SET {setting}"));
    }
    server.sql("/postgres", "SELECT pg_reload_conf()");
    let place = server.database();
    let is_spoken = |options: &str| {
        let database = open(&format!("{place}{options}"))?;
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        database.read(|c| Ok(c.first(sql, &[], |row| row.get::<bool>(0))?.unwrap()))
    };
    // The server reads its settings again in a moment.
    let end = Instant::now() + Duration::from_secs(10);
    while !is_spoken("").unwrap() {
        assert!(Instant::now() < end, "TLS is not spoken by itself");
        std::thread::sleep(Duration::from_millis(50));
    }
    let authority = tls.join("authority.pem").display().to_string();
    assert!(is_spoken("?sslmode=require").unwrap());
    assert!(!is_spoken("?sslmode=disable").unwrap());
    for mode in ["require", "verify-full"] {
        assert!(is_spoken(&format!("?sslmode={mode}&sslrootcert={authority}")).unwrap());
    }
    let refused = |options: &str, word: &str| {
        let said = is_spoken(options).unwrap_err().to_string();
        assert!(said.contains(word) && !said.contains("s3cret"), "{said}");
    };
    refused("?sslmode=verify-full", "UnknownIssuer");
    let itself = tls.join("server.pem").display().to_string();
    refused(&format!("?sslmode=verify-full&sslrootcert={itself}"), "certificate");
    refused("?sslmode=verify-full&sslrootcert=nowhere.pem", "nowhere.pem");
    let other = tls.join("make.sh").display().to_string();
    refused(&format!("?sslmode=verify-full&sslrootcert={other}"), "no certificate");
    // Another name than that of the certificate.
    let name = place.replace("127.0.0.1", "127.1");
    let options = format!("{name}?sslmode=verify-full&sslrootcert={authority}");
    let said = open(&options).map(drop).unwrap_err().to_string();
    assert!(said.contains("certificate") || said.contains("name"), "{said}");
}
