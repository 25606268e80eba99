"""A PostgreSQL server of Debian in a folder, for this machine alone, that can be cut and killed."""
import os, pathlib, shutil, socket, subprocess, sys, time


def programs():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        quiet = {"stdout": subprocess.DEVNULL, "check": True}
        subprocess.run(["apt-get", "update", "-qq"], **quiet)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "postgresql"], **quiet)
        found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent


class Server:
    """A server in `folder`, by the user `nobody` where this is root, whom it refuses."""

    def __init__(self, folder, name="runs"):
        self.folder, self.bin = folder, programs()
        self.by = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 else []
        folder.mkdir()
        (folder / "password").write_text("secret")
        if self.by:
            shutil.chown(folder, "nobody", "nogroup")
            shutil.chown(folder / "password", "nobody", "nogroup")
        command = [self.bin / "initdb", "-D", folder / "data", "-U", "budwood", "--encoding=UTF8", "--locale=C"]
        command += ["--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile", folder / "password"]
        subprocess.run([*self.by, *command], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.begin()
        self.sql(f"CREATE DATABASE {name}", "postgres")
        self.database = name

    def begin(self):
        log = open(self.folder.parent / "server.log", "ab")
        command = [self.bin / "postgres", "-D", self.folder / "data", "-k", self.folder, "-p", str(self.port)]
        self.process = subprocess.Popen([*self.by, *command, "-c", "listen_addresses=127.0.0.1"], cwd=self.folder, stdout=log, stderr=log)
        for _ in range(600):
            if self.ask("SELECT 1", "postgres").returncode == 0:
                return
            time.sleep(0.1)
        sys.exit("the server does not begin")

    def end(self, how):
        self.process.send_signal(how)
        self.process.wait()

    def ask(self, sql, database=None):
        command = [self.bin / "psql", "-X", "-q", "-A", "-t", "-h", self.folder, "-p", str(self.port), "-U", "budwood", "-d", database or self.database, "-c", sql]
        return subprocess.run(command, capture_output=True, text=True)

    def sql(self, sql, database=None):
        said = self.ask(sql, database)
        assert said.returncode == 0, said.stderr
        return said.stdout.strip()

    def cut(self):
        return self.ask("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'budwood'").stdout.strip()
