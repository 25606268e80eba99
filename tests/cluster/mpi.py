"""Training, predictions and scores over ranks of MPI: the bytes of one process, and no hang whatever happens to a rank.

    tests/cluster/mpi.py [PROGRAM [PLAIN [PART...]]] [--all]

PROGRAM is built with the feature `mpi`, PLAIN without; what is not given is built (debug profile: bits do not depend on it). Needs Open MPI and
libclang: Debian's libopenmpi-dev, openmpi-bin and libclang-dev, which are installed if mpirun is missing and this is root. --all tries every method. PART is one of answers, errors, losses, bits.
"""
import json, os, pathlib, shutil, signal, subprocess, sys, tempfile, time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
words = [w for w in sys.argv[1:] if not w.startswith("--")]
everything = "--all" in sys.argv
if not shutil.which("mpirun"):
    packages = ["libopenmpi-dev", "openmpi-bin", "libclang-dev"]
    subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], check=True, stdout=subprocess.DEVNULL)


def built(name, *features):
    subprocess.run(["cargo", "build", "--workspace", "--bin", "budwood", *features], cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug/budwood"
    return shutil.copy(target, pathlib.Path(tempfile.gettempdir()) / f"budwood-{name}-{os.getpid()}")


plain = str(pathlib.Path(words[1]).resolve()) if len(words) > 1 else built("plain")
program = str(pathlib.Path(words[0]).resolve()) if words else built("mpi", "--features", "budwood-cli/mpi")
MPIRUN = ["mpirun", "--oversubscribe", *(["--allow-run-as-root"] if os.geteuid() == 0 else [])]
# No more processes than this machine has cores are bound to cores; here they never are.
LIMIT = 300


def run(command, ranks=0, code=0, **more):
    """Runs the program, over ranks if some are asked for; a hang is an error."""
    started = [*MPIRUN, "-n", str(ranks)] if ranks else []
    done = subprocess.run([*started, program, *command], capture_output=True, timeout=LIMIT, **more)
    assert done.returncode == code, (command, ranks, done.returncode, done.stderr.decode()[-2000:])
    return done


def weights(folder):
    return (pathlib.Path(folder) / "adapter.safetensors").read_bytes()


def train(out, *words, ranks=0, **more):
    return run(["train", "--base", "base", "--data", "rows.csv", "--out", out, "--overwrite", "--json", *words], ranks, **more)


def processes(out):
    """The processes of a job by their ranks: those whose command line names this folder."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            variables = dict(v.split(b"=", 1) for v in (entry / "environ").read_bytes().split(b"\0") if b"=" in v)
        except (OSError, ValueError):
            continue
        if words[0] == program.encode() and out.encode() in words and b"OMPI_COMM_WORLD_RANK" in variables:
            found[int(variables[b"OMPI_COMM_WORLD_RANK"])] = int(entry.name)
    return found


PAPER = ["--recipe", "paper", "--epochs", "3", "--batch-size", "128"]
methods = ["adapter[width=8]", "lora", "full", "prefix_tuning"]
if everything:
    listed = json.loads(subprocess.run([plain, "methods", "--json"], capture_output=True, check=True).stdout)
    methods = [m["name"] for m in listed] if isinstance(listed, list) else [m["name"] for m in listed["methods"]]


def bits():
    cases = [(m, [*PAPER, "--method", m]) for m in methods]
    cases += [
        ("int8", [*PAPER, "--method", "adapter[width=8]", "--base-precision", "int8"]),
        ("accumulated", [*PAPER, "--method", "lora", "--accumulate", "2", "--eval-every", "2"]),
        ("auto, few rows", ["--train-rows", "120", "--method", "lora"]),
        ("auto, validation rows", ["--dev-share", "0.4", "--method", "adapter[width=8]"]),
        ("contrastive", ["--recipe", "contrastive", "--train-rows", "80", "--method", "lora"]),
    ]
    for name, words in cases:
        train("one", *words, "--threads", "1")
        for ranks in [1, 2, 3, 4]:
            threads = ["--threads", "2"] if ranks % 2 else []
            told = json.loads(train("several", *words, *threads, ranks=ranks).stdout)
            assert weights("one") == weights("several"), (name, ranks)
            metadata = [json.loads((pathlib.Path(f) / "adapter.json").read_text()) for f in ["one", "several"]]
            assert metadata[0]["metrics"] == metadata[1]["metrics"], (name, ranks)
            if ranks > 1 and "paper" in words:
                # The gradients twice to each but the ends, and what ranks say beside that.
                numbers = 4 * told["parameters_trained"] * 2 * (ranks - 1) * told["steps"]
                assert numbers <= told["ranks"]["bytes"], (name, ranks, told["ranks"], numbers)
        print(f"{name}: 1 to 4 ranks give the bytes of one process")


def answers():
    train("adapter", *PAPER, "--method", "lora")
    lines = [row.split(",")[0] for row in pathlib.Path("rows.csv").read_text().splitlines()[1:40]]
    text = "\n".join(lines).encode()
    commands = [
        (["predict", "--adapter", "adapter", "--input", "rows.csv"], None),
        (["predict", "--adapter", "adapter", "--input", "rows.csv", "--format", "csv"], None),
        (["predict", "--adapter", "adapter"], text),
        (["predict", "--adapter", "adapter", "a good day"], None),
        (["eval", "--adapter", "adapter", "--data", "rows.csv", "--json"], None),
        (["eval", "--adapter", "adapter", "--data", "rows.csv", "--predictions", "p.csv", "--overwrite"], None),
    ]
    for command, given in commands:
        expected = run(command, input=given)
        rows = pathlib.Path("p.csv").read_bytes() if "p.csv" in command else b""
        for ranks in [1, 2, 3, 4]:
            found = run(command, ranks, input=given)
            assert found.stdout == expected.stdout, (command, ranks)
            assert not rows or pathlib.Path("p.csv").read_bytes() == rows
    print("predict and eval print and write what one process does")


# Long enough to be killed in between.
LONG = ["--recipe", "paper", "--epochs", "500", "--batch-size", "128", "--method", "adapter[width=8]", "--save-every", "0.2"]


def job(out, ranks):
    """A job that has written a checkpoint."""
    shutil.rmtree(out, ignore_errors=True)
    command = [*MPIRUN, "-n", str(ranks), program, "train", "--base", "base", "--data", "rows.csv", "--out", out, *LONG]
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    for _ in range(LIMIT):
        if (pathlib.Path(out) / "checkpoint/checkpoint.json").exists():
            return started, processes(out)
        assert started.poll() is None, started.stderr.read().decode()
        time.sleep(0.2)
    raise AssertionError("no checkpoint was written")


def ended(started, out):
    """Waits for a job's end; its last words and its code."""
    code = started.wait(30)
    for _ in range(50):
        if not processes(out):
            return code, started.stderr.read().decode()
        time.sleep(0.1)
    raise AssertionError(f"processes are left: {processes(out)}")


def step(out):
    return json.loads((pathlib.Path(out) / "checkpoint/checkpoint.json").read_text())["step"]


def losses():
    train("whole", *LONG)
    expected = weights("whole")

    def goes_on(what, ranks):
        before = step("lost")
        done = train("lost", *LONG, ranks=ranks)
        assert weights("lost") == expected, what
        print(f"{what}: gone on after step {before} with {ranks or 'no'} ranks, to the same bytes")

    for victim, ranks in [(0, 2), (1, 4), (2, 0)]:
        started, ids = job("lost", 3)
        os.kill(ids[victim], signal.SIGKILL)
        code, _ = ended(started, "lost")
        assert code != 0
        goes_on(f"rank {victim} killed", ranks)
    # Ctrl-C in the terminal of mpirun; one rank asked to stop, which saves.
    started, ids = job("lost", 2)
    started.send_signal(signal.SIGINT)
    code, _ = ended(started, "lost")
    assert code != 0
    goes_on("mpirun interrupted", 3)
    started, ids = job("lost", 3)
    os.kill(ids[1], signal.SIGINT)
    code, said = ended(started, "lost")
    assert code == 130 and "progress is saved" in said, (code, said)
    goes_on("rank 1 interrupted", 2)


def errors():
    train("adapter", *PAPER, "--method", "lora")
    pathlib.Path("bad.csv").write_text("text,label\na,b\nc\n")
    pathlib.Path("file").write_text("")
    cases = [
        (["train", "--base", "base", "--data", "bad.csv", "--out", "x"], "bad.csv"),
        (["train", "--base", "none", "--data", "rows.csv", "--out", "x"], "none"),
        (["train", "--base", "base", "--data", "rows.csv", "--out", "adapter"], "--overwrite"),
        (["train", "--base", "base", "--data", "rows.csv", "--out", "x", "--store", "file/runs.db"], "file"),
        (["train", "--base", "base", "--data", "rows.csv", "--out", "x", "--minutes", "1"], "--minutes"),
        (["train", "--base", "base", "--data", "rows.csv", "--out", "x", "--recipe", "paper", "--lr", "1e30"], "diverged"),
        (["predict", "--adapter", "adapter", "a", "b", "c"], "two texts"),
        (["predict", "--adapter", "adapter", "--explain", "a good day"], "--explain"),
        (["eval", "--adapter", "nothing", "--data", "rows.csv"], "nothing"),
    ]
    for command, message in cases:
        said = run(command, 3, code=1).stderr.decode()
        errors = [line for line in said.splitlines() if line.startswith("error:")]
        assert len(errors) == 1 and message in errors[0], (command, said)
    # Ranks that were not given the same.
    two = [*MPIRUN, "-n", "1", program, "predict", "--adapter", "adapter", "a", ":", "-n", "1", program, "predict", "--adapter", "adapter", "b"]
    said = subprocess.run(two, capture_output=True, timeout=60)
    assert said.returncode == 1 and b"another command" in said.stderr, said
    # A program without MPI.
    for command in (["train", "--base", "base", "--data", "rows.csv", "--out", "y"], ["predict", "--adapter", "adapter", "a"]):
        said = subprocess.run([*MPIRUN, "-n", "2", plain, *command], capture_output=True, timeout=60)
        assert said.returncode != 0 and b"--features mpi" in said.stderr and b"started this program 2 times" in said.stderr, said
    assert not pathlib.Path("x").exists() and not pathlib.Path("y").exists()
    print("errors of any rank end all with one message")


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    subprocess.run([sys.executable, HERE / "world.py"], check=True)
    parts = {"answers": answers, "errors": errors, "losses": losses, "bits": bits}
    for part in words[2:] or parts:
        parts[part]()
    print("all as one process")
