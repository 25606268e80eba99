//! A private PostgreSQL server for tests, where this machine has its programs. It lies in a
//! temporary folder, listens on a free port of this machine alone, and ends with the test.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::print_stderr)]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The password of its user, which no message may hold.
pub const PASSWORD: &str = "s3cret word";
const USER: &str = "budwood";

pub struct Server {
    folder: PathBuf,
    port: u16,
    /// A shell that does what it is told and ends the server when its input ends, which is when
    /// this process does.
    keeper: Child,
    databases: AtomicUsize,
}

/// The server that all tests of a process share; none where PostgreSQL is not installed.
pub fn shared() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(Server::begin).as_ref()
}

/// The folder of PostgreSQL's programs: that of `BUDWOOD_POSTGRES`, of Debian, or of the path.
pub fn programs() -> Option<PathBuf> {
    let named = std::env::var_os("BUDWOOD_POSTGRES").map(PathBuf::from);
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut of_debian: Vec<_> = versions.map(|entry| entry.path().join("bin")).collect();
    of_debian.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all = named.into_iter().chain(of_debian.into_iter().rev());
    all.find(|f| f.join("initdb").exists())
        .or_else(|| std::env::split_paths(&path).find(|f| f.join("initdb").exists()))
}

/// A command by the user who began the test, or by `nobody` where that is root, whom the server
/// refuses.
fn by_user(program: &Path, is_root: bool) -> Command {
    if !is_root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(program);
    command
}

impl Server {
    /// A server of its own.
    pub fn begin() -> Option<Self> {
        let Some(programs) = programs() else {
            eprintln!("SKIPPED on PostgreSQL: its programs are not installed");
            return None;
        };
        let folder = tempfile::tempdir().unwrap().keep();
        let is_root = owner(&folder) == 0;
        if is_root {
            let to = Command::new("chown").arg("nobody:nogroup").arg(&folder).status().unwrap();
            assert!(to.success());
        }
        std::fs::write(folder.join("password"), PASSWORD).unwrap();
        open_to_all(&folder.join("password"));
        let made = by_user(&programs.join("initdb"), is_root)
            .args(["--no-sync", "--encoding=UTF8", "--locale=C", "--auth-local=trust"])
            .args(["--auth-host=scram-sha-256", "-U", USER])
            .arg("-D")
            .arg(folder.join("data"))
            .arg("--pwfile")
            .arg(folder.join("password"))
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let keeper = keep(&programs, &folder, port, is_root);
        let mut server = Self { folder, port, keeper, databases: AtomicUsize::new(0) };
        server.begin_again();
        Some(server)
    }

    /// Ends it at once, as a failing machine does, and begins it again.
    pub fn kill_and_begin(&mut self) {
        self.kill();
        self.begin_again();
    }

    pub fn kill(&mut self) {
        self.tell("kill");
    }

    pub fn begin_again(&mut self) {
        self.tell("begin");
        let end = Instant::now() + Duration::from_secs(60);
        while !self.sql_in("postgres", "SELECT 1").0 {
            assert!(Instant::now() < end, "the server does not begin: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn tell(&mut self, word: &str) {
        writeln!(self.keeper.stdin.as_mut().unwrap(), "{word}").unwrap();
        let mut answer = [0; 1];
        self.keeper.stdout.as_mut().unwrap().read_exact(&mut answer).unwrap();
    }

    /// A new database; its address over TCP, with the password.
    pub fn database(&self) -> String {
        let name = format!("d{}", self.databases.fetch_add(1, Ordering::Relaxed));
        assert!(self.sql_in("postgres", &format!("CREATE DATABASE {name}")).0);
        self.address(&name)
    }

    /// The address of a database.
    pub fn address(&self, database: &str) -> String {
        let password = PASSWORD.replace(' ', "%20");
        format!("postgres://{USER}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// The address over the socket, where nobody is asked for a password.
    pub fn socket(&self, database: &str) -> String {
        let host = self.folder.display();
        format!("postgres:///{database}?host={host}&port={}&user={USER}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What `psql` answers; it must be done.
    pub fn sql(&self, address: &str, sql: &str) -> String {
        let database = address.rsplit('/').next().unwrap();
        let (done, said) = self.sql_in(database, sql);
        assert!(done, "{sql}: {said}");
        said
    }

    /// What the server says if it refuses something.
    pub fn try_sql(&self, address: &str, sql: &str) -> Result<(), String> {
        let database = address.rsplit('/').next().unwrap();
        let (done, said) = self.sql_in(database, sql);
        if done { Ok(()) } else { Err(said) }
    }

    fn sql_in(&self, database: &str, sql: &str) -> (bool, String) {
        let said = Command::new(programs().unwrap().join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", USER, "-d", database])
            .arg("-h")
            .arg(&self.folder)
            .args(["-p", &self.port.to_string(), "-c", sql])
            .output()
            .unwrap();
        let text = [said.stdout, said.stderr].concat();
        (said.status.success(), String::from_utf8_lossy(&text).trim().into())
    }
}

/// The shell that keeps the server. A server that is killed leaves processes that hold its memory
/// for a moment, in which another refuses to begin: so it is begun until it stays.
fn keep(programs: &Path, folder: &Path, port: u16, is_root: bool) -> Child {
    let script = r#"
        programs=$1 folder=$2 port=$3
        end() {
            > "$folder/over"
            read server < "$folder/data/postmaster.pid" && kill "-$1" "$server"
            wait
        }
        while read word; do
            case $word in
            begin)
                rm -f "$folder/over"
                until [ -e "$folder/over" ]; do
                    "$programs/postgres" -D "$folder/data" -k "$folder" -p "$port" \
                        -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=40
                    sleep 0.1
                done < /dev/null >> "$folder/log" 2>&1 & ;;
            kill) end KILL ;;
            esac
            printf .
        done
        end QUIT
        rm -rf "$folder"
    "#;
    by_user(Path::new("/bin/sh"), is_root)
        .args(["-c", script, "sh"])
        .args([programs, folder])
        .arg(port.to_string())
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

#[cfg(unix)]
fn owner(path: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).unwrap().uid()
}

#[cfg(not(unix))]
fn owner(_: &Path) -> u32 {
    1
}

#[cfg(unix)]
fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
}

#[cfg(not(unix))]
fn open_to_all(_: &Path) {}
