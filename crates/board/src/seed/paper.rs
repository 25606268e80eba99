//! Results of Houlsby et al. 2019 as they are printed: Table 1 (GLUE), Table 2 (17 further tasks),
//! section 3.5 (SQuAD), and the row of another image benchmark that is listed with the paper.

use budwood_database::{Connection, params};

use crate::Error;
use crate::direction::Direction;
use crate::entities::free;
use crate::fulltext;
use crate::submit::{AdapterOf, BaseOf, Claim, DatasetOf, ModelOf, PaperOf, Submission};
use crate::text::key;

const TITLE: &str = "Parameter-Efficient Transfer Learning for NLP";
const URL: &str = "https://arxiv.org/abs/1902.00751";
const DATE: &str = "2019-02-02";

/// In our own words.
const SUMMARY: &str = "A pre-trained transformer stays frozen. Two small bottleneck networks are put into each of its layers, one after \
attention and one after the feed-forward network, each with a skip connection around it, and start close to the identity. Only these adapters, \
the layer norms and the last linear layer are trained for a task. On GLUE this comes within 0.4 points of fine-tuning all of BERT-large with 3.6 % \
of the parameters for each task; 17 further text classification tasks and SQuAD behave alike. Sizes of the bottleneck from 8 to 256 do about \
equally well, and adapters of the lower layers matter least.";

/// Number of the paper's entry, which is made if it is not there.
pub(super) fn entry(sql: &Connection) -> Result<i64, Error> {
    let found = sql.first(
        "SELECT id FROM papers WHERE arxiv_id = '1902.00751' ORDER BY stub LIMIT 1",
        &[],
        |r| r.get(0),
    )?;
    if let Some(id) = found {
        return Ok(id);
    }
    let authors = serde_json::json!([
        "Neil Houlsby",
        "Andrei Giurgiu",
        "Stanislaw Jastrzebski",
        "Bruna Morrone",
        "Quentin de Laroussilhe",
        "Andrea Gesmundo",
        "Mona Attariyan",
        "Sylvain Gelly"
    ])
    .to_string();
    let slug = free(
        sql,
        "SELECT 1 FROM papers WHERE slug = ?1",
        "parameter-efficient-transfer-learning-for-nlp",
    )?;
    let id = sql.add("INSERT INTO papers (slug, title, title_key, abstract, authors, date, date_source, arxiv_id, url_abs, url_pdf, proceeding)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'given', '1902.00751', ?7, 'https://arxiv.org/pdf/1902.00751', 'ICML 2019')", params![slug, TITLE, key(TITLE), SUMMARY, authors, DATE, URL])?;
    fulltext::put_paper(sql, id, [TITLE, SUMMARY, &authors])?;
    sql.execute(
        "INSERT INTO code_links (paper, url, official, in_paper, in_repository, framework)
         VALUES (?1, 'https://github.com/google-research/adapter-bert', 1, 1, 1, 'tf')",
        params![id],
    )?;
    Ok(id)
}

/// The area of a task of this file.
pub(super) fn area(task: &str) -> &'static str {
    if task == IMAGES { "Computer Vision" } else { "Natural Language Processing" }
}

const IMAGES: &str = "Image Classification";
const UNDERSTANDING: &str = "Natural Language Understanding";
const TEXTS: &str = "Text Classification";
const QUESTIONS: &str = "Question Answering";

/// What the tasks are.
pub(super) const TASKS: &[(&str, &str)] = &[
    (
        UNDERSTANDING,
        "Several tasks of understanding sentences and pairs of sentences, scored together.",
    ),
    (TEXTS, "Putting a text into one of several classes."),
    (QUESTIONS, "Answering a question, here by a span of a given paragraph."),
    (IMAGES, "Putting an image into one of several classes."),
    ("Linguistic Acceptability", "Saying whether a sentence is good English."),
    ("Sentiment Analysis", "Saying how its writer feels about what a text speaks of."),
    ("Paraphrase Identification", "Saying whether two sentences mean the same."),
    ("Semantic Textual Similarity", "Saying how close the meanings of two sentences are."),
    (
        "Natural Language Inference",
        "Saying whether one sentence follows from another, contradicts it, or neither.",
    ),
];

/// What the data sets are.
pub(super) const DATASETS: &[(&str, &str)] = &[
    (
        "GLUE",
        "Nine tasks with one test server. The total is the server's own score, not the mean of the columns.",
    ),
    (
        "CoLA",
        "Sentences from the linguistic literature, marked as acceptable or not. Scored by Matthews correlation.",
    ),
    ("SST-2", "Sentences of film reviews, positive or negative."),
    (
        "17 text classification tasks",
        "The mean over the 17 data sets of Table 2 of Houlsby et al. 2019.",
    ),
    ("OmniBenchmark", "Images of 21 realms; the mean of their accuracies."),
];

/// All results of the paper.
pub(super) fn results() -> Vec<Submission> {
    let mut all = glue();
    all.extend(further());
    all.extend(squad());
    all.push(images());
    all
}

struct Method {
    name: &'static str,
    method: Option<&'static str>,
    trained: Option<u64>,
    notes: &'static str,
}

fn row(
    task: &str,
    dataset: &str,
    setting: &str,
    base: &str,
    total: u64,
    method: &Method,
    source: &str,
) -> Submission {
    Submission {
        task: task.into(),
        dataset: DatasetOf { name: dataset.into(), ..DatasetOf::default() },
        setting: setting.into(),
        model: ModelOf {
            name: format!("{base} + {}", method.name),
            base: Some(BaseOf { name: base.into(), sha256: None }),
            adapter: Some(AdapterOf {
                method: method.method.map(Into::into),
                sha256: None,
                trained: method.trained,
                total: Some(total),
            }),
            links: Vec::new(),
        },
        paper: Some(PaperOf { title: TITLE.into(), url: URL.into() }),
        date: Some(DATE.into()),
        source_url: Some(URL.into()),
        notes: format!("{source}. {}", method.notes).trim().into(),
        uses_additional_data: Some(false),
        ..Submission::default()
    }
}

const LARGE: u64 = 335_141_888;
const BASE: u64 = 109_482_240;

fn glue() -> Vec<Submission> {
    // Total, CoLA, SST, MRPC, STS-B, QQP, MNLI-m, MNLI-mm, QNLI, RTE.
    let rows: [(Method, [&str; 10]); 3] = [
        (
            Method { name: "fine-tuning", method: Some("full"), trained: Some(LARGE), notes: "" },
            ["80.4", "60.5", "94.9", "89.3", "87.6", "72.1", "86.7", "85.9", "91.1", "70.1"],
        ),
        (
            Method {
                name: "adapters (8-256)",
                method: Some("adapter"),
                trained: None,
                notes: "Width of 8, 64 or 256, chosen for each task on its validation set; 3.6 % of the parameters for each task.",
            },
            ["80.0", "59.5", "94.0", "89.5", "86.9", "71.8", "84.9", "85.1", "90.7", "71.5"],
        ),
        (
            Method {
                name: "adapters (64)",
                method: Some("adapter[width=64]"),
                trained: Some(6_444_032),
                notes: "2.1 % of the encoder's parameters for each task; the count is of adapters and layer norms, without the head.",
            },
            ["79.6", "56.9", "94.2", "89.6", "87.3", "71.8", "85.3", "84.6", "91.4", "68.8"],
        ),
    ];
    let columns = [
        (UNDERSTANDING, "GLUE", "Total"),
        ("Linguistic Acceptability", "CoLA", "Matthews correlation"),
        ("Sentiment Analysis", "SST-2", "Accuracy"),
        ("Paraphrase Identification", "MRPC", "F1"),
        ("Semantic Textual Similarity", "STS Benchmark", "Spearman correlation"),
        ("Paraphrase Identification", "Quora Question Pairs", "F1"),
        ("Natural Language Inference", "MultiNLI matched", "Accuracy"),
        ("Natural Language Inference", "MultiNLI mismatched", "Accuracy"),
        ("Natural Language Inference", "QNLI", "Accuracy"),
        ("Natural Language Inference", "RTE", "Accuracy"),
    ];
    let short =
        ["Total", "CoLA", "SST-2", "MRPC", "STS-B", "QQP", "MNLI-m", "MNLI-mm", "QNLI", "RTE"];
    let mut all = Vec::new();
    for (c, (task, dataset, metric)) in columns.into_iter().enumerate() {
        for (method, values) in &rows {
            let setting = if dataset == "QNLI" {
                "GLUE test server, first version"
            } else {
                "GLUE test server"
            };
            let mut submission =
                row(task, dataset, setting, "BERT-large", LARGE, method, "Table 1");
            submission.metrics = match c {
                // The whole table stands at the benchmark; each of its columns at its data set too.
                0 => short.iter().zip(values).map(|(name, value)| claim(name, value)).collect(),
                _ => vec![claim(metric, values[c])],
            };
            all.push(submission);
        }
    }
    all
}

/// Data set, then no BERT, fine-tuning, variable fine-tuning, adapters.
const TABLE_2: [(&str, [&str; 4]); 18] = [
    ("20 Newsgroups", ["91.1", "92.8 ± 0.1", "92.8 ± 0.1", "91.7 ± 0.2"]),
    ("Crowdflower airline", ["84.5", "83.6 ± 0.3", "84.0 ± 0.1", "84.5 ± 0.2"]),
    ("Crowdflower corporate messaging", ["91.9", "92.5 ± 0.5", "92.4 ± 0.6", "92.9 ± 0.3"]),
    ("Crowdflower disasters", ["84.9", "85.3 ± 0.4", "85.3 ± 0.4", "84.1 ± 0.2"]),
    ("Crowdflower economic news relevance", ["81.1", "82.1 ± 0.0", "78.9 ± 2.8", "82.5 ± 0.3"]),
    ("Crowdflower emotion", ["36.3", "38.4 ± 0.1", "37.6 ± 0.2", "38.7 ± 0.1"]),
    ("Crowdflower global warming", ["82.7", "84.2 ± 0.4", "81.9 ± 0.2", "82.7 ± 0.3"]),
    ("Crowdflower political audience", ["81.0", "80.9 ± 0.3", "80.7 ± 0.8", "79.0 ± 0.5"]),
    ("Crowdflower political bias", ["76.8", "75.2 ± 0.9", "76.5 ± 0.4", "75.9 ± 0.3"]),
    ("Crowdflower political message", ["43.8", "38.9 ± 0.6", "44.9 ± 0.6", "44.1 ± 0.2"]),
    ("Crowdflower primary emotions", ["33.5", "36.9 ± 1.6", "38.2 ± 1.0", "33.9 ± 1.4"]),
    ("Crowdflower progressive opinion", ["70.6", "71.6 ± 0.5", "75.9 ± 1.3", "71.7 ± 1.1"]),
    ("Crowdflower progressive stance", ["54.3", "63.8 ± 1.0", "61.5 ± 1.3", "60.6 ± 1.4"]),
    ("Crowdflower US economic performance", ["75.6", "75.3 ± 0.1", "76.5 ± 0.4", "77.3 ± 0.1"]),
    ("Customer complaint database", ["54.5", "55.9 ± 0.1", "56.4 ± 0.1", "55.4 ± 0.1"]),
    ("News aggregator", ["95.2", "96.3 ± 0.0", "96.5 ± 0.0", "96.2 ± 0.0"]),
    ("SMS Spam Collection", ["98.5", "99.3 ± 0.2", "99.3 ± 0.2", "95.1 ± 2.2"]),
    ("17 text classification tasks", ["72.7", "73.7", "74.0", "73.3"]),
];

fn further() -> Vec<Submission> {
    let methods = [
        Method {
            name: "",
            method: None,
            trained: None,
            notes: "Architecture search without BERT.",
        },
        Method { name: "fine-tuning", method: Some("full"), trained: Some(BASE), notes: "" },
        Method {
            name: "variable fine-tuning",
            method: Some("top_k"),
            trained: None,
            notes: "The number of trained top layers is chosen for each task; 52.9 % of the parameters on average.",
        },
        Method {
            name: "adapters",
            method: Some("adapter"),
            trained: None,
            notes: "Width of 2 to 64, chosen for each task; 1.14 % of the parameters on average.",
        },
    ];
    let mut all = Vec::new();
    for (dataset, values) in TABLE_2 {
        for (method, value) in methods.iter().zip(values) {
            let setting = "random 80/10/10 split of the paper, test";
            let mut submission = row(TEXTS, dataset, setting, "BERT-base", BASE, method, "Table 2");
            if method.name.is_empty() {
                submission.model =
                    ModelOf { name: "Neural AutoML, no BERT".into(), ..ModelOf::default() };
            }
            submission.metrics = vec![claim("Accuracy", value)];
            all.push(submission);
        }
    }
    all
}

fn squad() -> Vec<Submission> {
    let methods = [
        (Method { name: "fine-tuning", method: Some("full"), trained: None, notes: "" }, "90.7"),
        (
            Method {
                name: "adapters (64)",
                method: Some("adapter[width=64]"),
                trained: None,
                notes: "2 % of the parameters.",
            },
            "90.4",
        ),
        (
            Method {
                name: "adapters (2)",
                method: Some("adapter[width=2]"),
                trained: None,
                notes: "0.1 % of the parameters.",
            },
            "89.9",
        ),
    ];
    let of = |(method, value): (Method, &str)| {
        let source = "Section 3.5, figure 5; the paper does not say which BERT";
        let mut submission =
            row(QUESTIONS, "SQuAD1.1", "validation set", "BERT", LARGE, &method, source);
        if let Some(adapter) = &mut submission.model.adapter {
            adapter.total = None;
        }
        submission.metrics = vec![claim("F1", value)];
        submission
    };
    methods.into_iter().map(of).collect()
}

/// Not from the paper: archives list it with the paper, entered by others.
fn images() -> Submission {
    let method = Method {
        name: "adapter",
        method: None,
        trained: None,
        notes: "Listed with the paper in the Papers with Code archive, but not from it: the paper has no images. No source states the recipe.",
    };
    let mut submission = row(IMAGES, "OmniBenchmark", "", "ViT-B/16", 0, &method, "Archive");
    submission.model.name = "Adapter-ViT-B/16".into();
    if let Some(adapter) = &mut submission.model.adapter {
        adapter.total = None;
    }
    submission.date = None;
    submission.source_url = None;
    submission.metrics = vec![claim("Average Top-1 Accuracy", "44.5")];
    submission
}

/// A claim of a seed table.
fn claim(name: &str, raw: &str) -> Claim {
    Claim {
        name: name.into(),
        value: raw.into(),
        direction: Some(Direction::Higher),
        interval: None,
    }
}
