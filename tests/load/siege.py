#!/usr/bin/env python3
"""A board under siege: pages must stay quick and memory small while many clients do their worst.

    python3 tests/load/siege.py PATH-TO-BUDWOOD [SECONDS]

Needs Linux and Python 3.11. It makes a board of its own, serves it on loopback, and asks nothing
but loopback. Clients have addresses from 127.0.1.1 on, so that each has its own share of
connections and rates; readers come from 127.0.0.1.

    1,000 connections  ask for a file of 60 MB or a long page, and read nothing; those that are cut come again
      200 connections  say or take a byte a second
       20 clients      try an adapter, as fast as they are answered
       20 clients      ask for an export of 10,000 rows, as fast as they are answered
        2 readers      ask for pages, one after another: these are timed

Without SECONDS it takes 20; an hour is for a change of the server. It fails where the 99th
percentile of the readers' pages is 300 ms or more, where one of their pages does not come, or where
the server's memory reaches 500 MB.
"""
import asyncio, hashlib, http.client, json, multiprocessing, os, random, resource, shutil, signal, socket, sqlite3, subprocess, sys, tempfile, time, threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import tiny

ROWS, LARGE = 10_000, 60 << 20
P99, MEMORY = 0.300, 500


def budwood(place, *args):
    done = subprocess.run([BUDWOOD, *args], cwd=place, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"budwood {' '.join(args)}: {done.stderr}")
    return done.stdout


def make(place):
    """A board with a leaderboard of many rows, 120 small ones, an adapter that can be tried, and a large file."""
    draw = random.Random(1)
    words = 'good fine great nice lovely bad poor awful sad ugly the a film was is very so and it'.split()
    tiny.base(place, words)
    for name, rows in [('train', 200), ('held', 60)]:
        with open(f'{place}/{name}.csv', 'w') as out:
            out.write('text,label\n')
            for _ in range(rows):
                good = draw.random() < 0.5
                text = draw.choices(words[10:], k=6) + [draw.choice(words[:5] if good else words[5:10])]
                out.write(f"{' '.join(text)},{'fresh' if good else 'rotten'}\n")
    budwood(place, 'train', '--base', 'base', '--data', 'train.csv', '--test-data', 'held.csv', '--out', 'a', '--name', 'reviews',
            '--store', 'runs.db', '--max-length', '24', '--epochs', '1')
    row = lambda i: {'model_name': f'Model {i}', 'paper_title': f'The paper of model {i} and what it is about',
                     'paper_url': f'https://example.org/{i}', 'paper_date': f'{2010 + i % 15}-01-{1 + i % 28:02}',
                     'code_links': [{'title': 'Code', 'url': f'https://example.org/code/{i}'}], 'metrics': {'Accuracy': f'{draw.random() * 100:.2f}'}}
    table = lambda name, n: {'dataset': name, 'sota': {'metrics': ['Accuracy'], 'rows': [row(i) for i in range(n)]}}
    tasks = [{'task': 'Long', 'categories': ['A'], 'datasets': [table('Table', ROWS)]}]
    tasks += [{'task': f'Task {t}', 'categories': ['B'], 'datasets': [table(f'Set {t}', 12)]} for t in range(120)]
    with open(f'{place}/evaluation-tables.json', 'w') as out:
        json.dump(tasks, out)
    budwood(place, 'board', '--board', 'b', 'init')
    budwood(place, 'board', '--board', 'b', 'import', 'evaluation-tables.json')
    tried = json.loads(budwood(place, 'submit', '1', '--store', 'runs.db', '--board', 'b', '--json'))['result']
    content = random.Random(2).randbytes(LARGE)
    sha256 = hashlib.sha256(content).hexdigest()
    with open(f'{place}/b/files/{sha256}', 'wb') as out:
        out.write(content)
    sql = sqlite3.connect(f'{place}/b/board.db')
    large = sql.execute("SELECT min(id) FROM results WHERE archive IS NOT NULL").fetchone()[0]
    sql.execute('INSERT INTO files (sha256, bytes, name, at) VALUES (?, ?, ?, 0)', (sha256, LARGE, 'adapter.safetensors'))
    sql.execute('INSERT INTO result_files (result, name, sha256) VALUES (?, ?, ?)', (large, 'adapter.safetensors', sha256))
    sql.commit()
    sql.close()
    return tried, large


class Siege:
    """Clients that mean no good, in a process of their own."""

    def __init__(self, port, tried, large):
        self.port, self.tried, self.large = port, tried, large
        self.counts = {}

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    async def connect(self, client, buffer=0):
        stream = socket.socket()
        stream.setblocking(False)
        if buffer:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        stream.bind((f'127.0.1.{client}', 0))
        await asyncio.get_running_loop().sock_connect(stream, ('127.0.0.1', self.port))
        return stream

    async def again(self, what):
        """Does something again and again, whatever comes of it."""
        while True:
            try:
                await what()
            except OSError:
                self.count('cut')
            await asyncio.sleep(0.05)

    async def silent(self, i):
        """Asks, and reads nothing until it is cut."""
        stream = await self.connect(1 + i % 40, 4096)
        try:
            path = f'/result/{self.large}/adapter' if i % 2 else '/sota/long-on-table?page=3'
            await asyncio.get_running_loop().sock_sendall(stream, f'GET {path} HTTP/1.1\r\nhost: x\r\n\r\n'.encode())
            self.count('silent')
            while True:
                await asyncio.sleep(1)
                # Whether the other side has hung up can be seen without reading.
                if stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != 1:
                    self.count('silent, let go')
                    return
        finally:
            stream.close()

    async def slow(self, i):
        """Says its request, or takes its answer, a byte a second."""
        loop = asyncio.get_running_loop()
        stream = await self.connect(50 + i % 20, 4096)
        ask = b'GET /sota/long-on-table HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'
        try:
            self.count('slow')
            if i % 2:
                for byte in ask:
                    await loop.sock_sendall(stream, bytes([byte]))
                    await asyncio.sleep(1)
            else:
                await loop.sock_sendall(stream, ask)
            while await loop.sock_recv(stream, 1):
                await asyncio.sleep(1)
        finally:
            stream.close()

    async def quick(self, client, path, what):
        """Asks as fast as it is answered."""
        loop = asyncio.get_running_loop()
        stream = await self.connect(client)
        try:
            await loop.sock_sendall(stream, f'GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'.encode())
            first = piece = await loop.sock_recv(stream, 65536)
            while piece:
                piece = await loop.sock_recv(stream, 1 << 20)
            self.count(f"{what}: {first[9:12].decode()}")
        finally:
            stream.close()

    async def run(self, seconds):
        tasks = [self.again(lambda i=i: self.silent(i)) for i in range(1000)]
        tasks += [self.again(lambda i=i: self.slow(i)) for i in range(200)]
        tasks += [self.again(lambda i=i: self.quick(100 + i, f'/result/{self.tried}/try?text=good+film', 'try')) for i in range(20)]
        tasks += [self.again(lambda i=i: self.quick(130 + i, '/export/long-on-table.json', 'export')) for i in range(20)]
        tasks = [asyncio.ensure_future(t) for t in tasks]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()


def besiege(port, tried, large, seconds, out):
    siege = Siege(port, tried, large)
    asyncio.run(siege.run(seconds))
    out.put(siege.counts)


def read(port, seconds, pages, out):
    """A reader: the time of each page, and what went wrong."""
    times, wrong, end, i = [], [], time.time() + seconds, 0
    while time.time() < end:
        path = pages[i % len(pages)]
        i += 1
        begin = time.perf_counter()
        try:
            connection = http.client.HTTPConnection('127.0.0.1', port, timeout=30)
            connection.request('GET', path, headers={'accept-encoding': 'gzip'})
            answer = connection.getresponse()
            answer.read()
            connection.close()
            if answer.status != 200:
                wrong.append(f'{path}: {answer.status}')
        except OSError as e:
            wrong.append(f'{path}: {e}')
        times.append((time.perf_counter() - begin, path))
        time.sleep(0.02)
    out.put((times, wrong))


def memory(pid, what):
    with open(f'/proc/{pid}/status') as file:
        line = next(line for line in file if line.startswith(what))
    return int(line.split()[1]) // 1024


def watch(pid, stop, peaks):
    """The most memory of its own that the server has: pages of the board's file, which every connection
    maps, are the system's, and are counted once for each connection in what is resident."""
    while not stop.is_set():
        for what in ('RssAnon', 'RssFile'):
            peaks[what] = max(peaks.get(what, 0), memory(pid, what))
        stop.wait(0.05)


def main(seconds):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    place = tempfile.mkdtemp(prefix='budwood-siege-')
    server = None
    try:
        tried, large = make(place)
        # The server begins with the usual limit of open files.
        limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
        server = subprocess.Popen([BUDWOOD, '--json', 'board', '--board', 'b', 'serve', '--port', '0'], cwd=place,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, preexec_fn=limit)
        text = ''
        while not text.rstrip().endswith('}'):
            text += server.stdout.readline()
        port = int(json.loads(text)['url'].rstrip('/').rsplit(':', 1)[1])
        pages = ['/', '/tasks', '/task/task-7', '/sota/task-7-on-set-7', f'/result/{tried}', '/papers', '/search?q=model', '/about', '/log', '/feed.atom']
        processes, results = [], multiprocessing.Queue()
        quiet = multiprocessing.Queue()
        read(port, 2, pages, quiet)
        siege = multiprocessing.Process(target=besiege, args=(port, tried, large, seconds, results))
        siege.start()
        stop, peaks = threading.Event(), {}
        watcher = threading.Thread(target=watch, args=(server.pid, stop, peaks))
        watcher.start()
        time.sleep(2)
        out = multiprocessing.Queue()
        readers = [multiprocessing.Process(target=read, args=(port, seconds - 3, pages, out)) for _ in range(2)]
        for process in readers:
            process.start()
        found = [out.get() for _ in readers]
        stop.set()
        watcher.join()
        for what, count in sorted(results.get().items()):
            print(f'{count:8}  {what}')
        for process in [siege, *readers]:
            process.join()
        before = sorted(t for t, _ in quiet.get()[0])
        times = sorted(t for times, _ in found for t, _ in times)
        wrong = [w for _, wrong in found for w in wrong]
        at = lambda times, q: times[int((len(times) - 1) * q)]
        slowest = max((t for times, _ in found for t in times))
        print(f'pages before: {len(before)}, median {at(before, .5) * 1e3:.0f} ms, p99 {at(before, .99) * 1e3:.0f} ms')
        print(f'pages under siege: {len(times)}, median {at(times, .5) * 1e3:.0f} ms, p99 {at(times, .99) * 1e3:.0f} ms, '
              f'slowest {slowest[0] * 1e3:.0f} ms ({slowest[1]})')
        peak, mapped = peaks['RssAnon'], peaks['RssFile']
        print(f'memory of the server: at most {peak} MB of its own, {mapped} MB mapped from files')
        begin = time.time()
        server.send_signal(signal.SIGTERM)
        code = server.wait(timeout=20)
        print(f'the server ended with {code} after {time.time() - begin:.1f} s')
        faults = [f'{len(wrong)} pages did not come: {wrong[:5]}'] * bool(wrong)
        faults += ['the 99th percentile is too high'] * (at(times, .99) >= P99)
        faults += ['the memory is too large'] * (peak >= MEMORY)
        faults += ['the server did not end well'] * (code != 0)
        if faults:
            sys.exit('; '.join(faults))
    finally:
        if server and server.poll() is None:
            server.kill()
            server.wait()
        shutil.rmtree(place, ignore_errors=True)


if __name__ == '__main__':
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    BUDWOOD = os.path.abspath(sys.argv[1])
    main(int(sys.argv[2]) if len(sys.argv) > 2 else 20)
