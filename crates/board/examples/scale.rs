//! An archive as large as the real one, made up, and how long the board takes for it.
//!
//! `scale generate FOLDER [PAPERS TABLES]` writes the archive's five files, the same each time.
//! `scale measure FOLDER BOARD` imports them and then asks for each page many times; the board is a
//! folder, or postgres://USER@HOST/DATABASE. `scale pages BOARD` asks a board that is there.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use budwood_board::query::{self, Filter, LogFilter, Part};
use budwood_board::{Board, Place, import};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: u64| args.get(i).map_or(default, |a| a.parse().unwrap());
    match args.first().map(String::as_str) {
        Some("generate") => generate(Path::new(&args[1]), number(2, 600_000), number(3, 12_000)),
        Some("measure") => {
            let place = Place::parse(args[2].as_ref()).unwrap();
            measure(Path::new(&args[1]), &place);
            pages(&place);
        }
        Some("pages") => pages(&Place::parse(args[1].as_ref()).unwrap()),
        _ => println!(
            "scale generate FOLDER [PAPERS TABLES] | scale measure FOLDER BOARD | scale pages BOARD"
        ),
    }
}

/// SplitMix64 (Steele et al. 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.unit() * n as f64) as u64
    }

    /// Small numbers often, large ones seldom, as words and names are used: about one over its
    /// rank.
    fn zipf(&mut self, n: u64) -> u64 {
        ((n as f64).powf(self.unit()) as u64).saturating_sub(1).min(n - 1)
    }
}

const SYLLABLES: [&str; 32] = [
    "ne", "tra", "lo", "mi", "con", "ver", "sa", "du", "pre", "ti", "ra", "gen", "mo", "de", "li",
    "sto", "fe", "cal", "ni", "por", "ba", "re", "xi", "ku", "ten", "sor", "ma", "tic", "al",
    "ble", "on", "er",
];
const WORDS: u64 = 60_000;

fn word(mut n: u64) -> String {
    let mut out = String::new();
    loop {
        out += SYLLABLES[(n % 32) as usize];
        n /= 32;
        if n == 0 {
            return out;
        }
        n -= 1;
    }
}

fn text(random: &mut Random, words: u64) -> String {
    let mut out = String::new();
    for i in 0..words {
        if i > 0 {
            out.push(' ');
        }
        out += &word(random.zipf(WORDS));
    }
    out
}

fn file(folder: &Path, name: &str, n: u64, mut element: impl FnMut(u64) -> Value) {
    let out = File::create(folder.join(format!("{name}.json.gz"))).unwrap();
    let mut out = GzEncoder::new(BufWriter::new(out), Compression::fast());
    for i in 0..n {
        let open = if i == 0 { "[\n" } else { ",\n" };
        write!(out, "{open}{}", element(i)).unwrap();
    }
    writeln!(out, "\n]").unwrap();
    out.finish().unwrap().flush().unwrap();
}

fn generate(folder: &Path, papers: u64, tables: u64) {
    std::fs::create_dir_all(folder).unwrap();
    let tasks = tables / 3;
    let methods = papers / 70;
    let paper_url = |i: u64| format!("https://paperswithcode.com/paper/paper-{i}");
    let title = |i: u64| text(&mut Random(i.wrapping_mul(7919) + 1), 9);
    let arxiv =
        |i: u64| format!("{:02}{:02}.{:05}", 10 + i % 15, 1 + i / 15 % 12, i / 180 % 100_000);
    let date = |i: u64| format!("{}-{:02}-{:02}", 2010 + i % 15, 1 + i / 15 % 12, 1 + i % 28);
    let method = |i: u64| format!("Method {} {i}", word(i));
    file(folder, "papers-with-abstracts", papers, |i| {
        let mut r = Random(i);
        let abstract_text = text(&mut r, 190);
        let n = 1 + r.below(3);
        let tasks: Vec<_> = (0..n).map(|_| format!("Task {}", r.zipf(tasks))).collect();
        let n = r.below(4);
        let methods: Vec<_> =
            (0..n).map(|_| json!({ "name": method(r.zipf(methods)), "full_name": "x", "description": text(&mut r, 60) })).collect();
        let short = abstract_text[..200].to_owned();
        let authors: Vec<_> =
            (0..4).map(|_| format!("{} {}", word(r.below(3000)), word(r.below(30_000)))).collect();
        json!({ "paper_url": paper_url(i), "arxiv_id": arxiv(i), "title": title(i), "abstract": abstract_text, "short_abstract": short,
            "url_abs": format!("https://arxiv.org/abs/{}v1", arxiv(i)), "url_pdf": format!("https://arxiv.org/pdf/{}v1.pdf", arxiv(i)),
            "proceeding": null, "authors": authors, "tasks": tasks, "date": date(i), "methods": methods })
    });
    file(folder, "links-between-papers-and-code", papers / 2, |i| {
        let mut r = Random(i ^ 0xabcd);
        let paper = r.below(papers);
        json!({ "paper_url": paper_url(paper), "paper_title": title(paper), "paper_arxiv_id": arxiv(paper),
            "repo_url": format!("https://github.com/owner{}/repo{i}", r.below(50_000)), "is_official": r.below(4) == 0,
            "mentioned_in_paper": true, "mentioned_in_github": false, "framework": "pytorch" })
    });
    file(folder, "evaluation-tables", tasks, |t| {
        let mut r = Random(t ^ 0x7777);
        let datasets: Vec<_> = (0..tables / tasks)
            .map(|d| {
                let rows: Vec<_> = (0..3 + r.zipf(400))
                    .map(|k| {
                        let paper = r.below(papers);
                        json!({ "model_name": format!("Model {} {k}", word(r.below(WORDS))), "paper_title": title(paper),
                            "paper_url": format!("https://arxiv.org/abs/{}v2", arxiv(paper)), "paper_date": date(paper),
                            "code_links": [], "model_links": [], "uses_additional_data": false,
                            "metrics": { "Accuracy": format!("{:.2}", 100.0 * r.unit()), "Error": format!("{:.2}", 100.0 * r.unit()) } })
                    })
                    .collect();
                json!({ "dataset": format!("Dataset {}", (t * 7 + d) % (tables / 2)), "description": text(&mut r, 30),
                    "sota": { "metrics": ["Accuracy", "Error"], "rows": rows } })
            })
            .collect();
        json!({ "task": format!("Task {t}"), "description": text(&mut r, 40), "categories": [format!("Area {}", t % 16)],
            "datasets": datasets, "subtasks": [] })
    });
    file(folder, "methods", methods, |i| {
        json!({ "url": format!("https://paperswithcode.com/method/method-{i}"), "name": method(i), "full_name": method(i),
            "description": text(&mut Random(i), 80), "paper": { "title": title(i), "url": paper_url(i) }, "introduced_year": 2015,
            "collections": [{ "collection": format!("Collection {}", i % 300), "area_id": "general", "area": "General" }] })
    });
    file(folder, "datasets", tables, |i| {
        json!({ "url": format!("https://paperswithcode.com/dataset/dataset-{i}"), "name": format!("Dataset {i}"), "description": text(&mut Random(i), 60),
            "paper": null, "num_papers": 3, "modalities": ["Texts"], "languages": [], "variants": [format!("Dataset {i}")], "data_loaders": [],
            "tasks": [{ "task": format!("Task {}", i % tasks), "url": "" }] })
    });
}

fn measure(folder: &Path, place: &Place) {
    let mut board = Board::open(place).unwrap();
    let start = Instant::now();
    for name in [
        "papers-with-abstracts",
        "evaluation-tables",
        "links-between-papers-and-code",
        "methods",
        "datasets",
    ] {
        let from = Instant::now();
        let path = folder.join(format!("{name}.json.gz"));
        let report =
            import::file(&mut board, &path, &import::Options::default(), &mut |_| ()).unwrap();
        println!(
            "{name}: {:.1} s; peak memory so far {} MB; added {:?}; left out {:?}",
            from.elapsed().as_secs_f64(),
            peak(),
            report.added,
            report.left_out
        );
    }
    println!("import in all: {:.1} s; peak memory {} MB", start.elapsed().as_secs_f64(), peak());
    if let Some(folder) = place.of_folder() {
        let size = std::fs::metadata(folder.join("board.db")).unwrap().len();
        println!("board.db: {:.2} GB", size as f64 / 1e9);
    }
}

fn pages(place: &Place) {
    let board = Board::open_to_read(place).unwrap();
    let counts = query::start(&board).unwrap().counts;
    println!("{counts:?}");
    let mut r = Random(1);
    let papers: Vec<String> =
        (0..300).map(|_| format!("paper-{}", r.below(counts.papers))).collect();
    let part = Part::default();
    let tasks = counts.leaderboards / 3;
    time("start", 50, |_| drop(query::start(&board).unwrap()));
    time("areas", 50, |_| drop(query::areas(&board, 12).unwrap()));
    time("task", 300, |i| {
        drop(query::task(&board, &format!("task-{}", i as u64 % tasks), part).unwrap())
    });
    time("leaderboard", 300, |i| {
        let t = i as u64 % tasks;
        let slug = format!("task-{t}-on-dataset-{}", t * 7 % (tasks * 3 / 2));
        drop(
            query::leaderboard(&board, &slug, &Filter { claims: true, ..Filter::default() })
                .unwrap(),
        );
    });
    time("dataset", 300, |i| drop(query::dataset(&board, &format!("dataset-{i}")).unwrap()));
    time("datasets", 50, |_| drop(query::datasets(&board, part).unwrap()));
    time("paper", 300, |i| drop(query::paper(&board, &papers[i]).unwrap()));
    time("papers", 50, |_| drop(query::papers(&board, part).unwrap()));
    time("methods", 50, |_| drop(query::methods(&board, part).unwrap()));
    time("method", 300, |i| drop(query::method(&board, &format!("method-{i}"), part).unwrap()));
    time("log", 50, |_| drop(query::log(&board, &LogFilter::default(), part).unwrap()));
    time("result", 300, |i| drop(query::result(&board, 1 + 97 * i as i64).unwrap()));
    time("search, common word", 50, |i| {
        drop(query::search(&board, &word(i as u64), None, 20).unwrap())
    });
    time("search, two words", 300, |i| {
        let text = format!("{} {}", word(100 + i as u64), word(7 * i as u64));
        drop(query::search(&board, &text, None, 20).unwrap());
    });
    time("search, beginning", 50, |i| {
        drop(query::search(&board, &word(i as u64)[..2], None, 20).unwrap())
    });
    println!("peak memory {} MB", peak());
}

fn time(what: &str, n: usize, mut f: impl FnMut(usize)) {
    let mut times: Vec<f64> = (0..n)
        .map(|i| {
            let start = Instant::now();
            f(i);
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!(
        "{what:<20} median {:8.2} ms   p99 {:8.2} ms",
        times[n / 2],
        times[(n * 99 / 100).min(n - 1)]
    );
}

fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) / 1024
}
