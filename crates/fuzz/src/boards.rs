//! What others hand to a board: records, adapters, and the files of the archive.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use budwood_board::Board;
use budwood_board::import::{self, Options};
use budwood_board::submit::{Attachment, AttachmentLimits, Submission, submit, synchronize};
use budwood_board::token::Actor;
use serde_json::json;

use crate::adapters;
use crate::corpus::file;
use crate::mutate::Files;

/// Records that are submitted to a board.
pub(crate) fn submissions() -> Vec<Files> {
    let whole = json!({
        "external_id": "a-1", "task": "Text Classification", "setting": "",
        "dataset": { "name": "SST-2", "split": "test", "rows": 1821, "sha256": null },
        "metrics": [{ "name": "Accuracy", "value": "91.5", "direction": "higher", "interval": [90.1, 92.0] }],
        "model": { "name": "BERT", "links": [], "base": { "name": "bert", "sha256": null },
                   "adapter": { "method": "lora", "sha256": null, "trained": 1000, "total": 100000 } },
        "paper": { "title": "A paper", "url": "https://example.org/a" },
        "code_links": [{ "title": "code", "url": "https://example.org/c" }],
        "uses_additional_data": false, "date": "2024-02-29", "notes": "*n*",
    });
    let small = json!({
        "task": "Text Classification", "dataset": { "name": "SST-2" },
        "metrics": [{ "name": "Accuracy", "value": 91.5 }], "model": { "name": "BERT" },
    });
    [whole, small].iter().map(|v| file("submission.json", v.to_string())).collect()
}

/// Bodies of a synchronisation.
pub(crate) fn synchronisations() -> Vec<Files> {
    let body = json!({
        "task": "Sentiment Analysis", "dataset": "SST-2", "description": "d",
        "mirror_url": "https://example.org/m", "external_id": "e",
        "metrics": [{ "name": "Accuracy", "description": "", "is_loss": false }],
        "results": [
            { "metrics": { "Accuracy": "91.5" }, "methodology": "BERT", "external_id": "r1",
              "paper": "https://example.org/a", "uses_additional_data": false,
              "evaluated_on": "2020-01-01", "external_source_url": null },
            { "metrics": { "Accuracy": 90 }, "methodology": "CNN", "external_id": "r2" },
        ],
    });
    vec![file("body.json", body.to_string())]
}

/// An adapter as it comes with a submission.
pub(crate) fn attachments() -> Vec<Files> {
    adapters::corpus()
}

/// The archive's five files.
pub(crate) fn archives() -> Vec<Files> {
    let tables = json!([{
        "task": "Text Classification", "description": "d", "categories": ["NLP"],
        "source_link": null, "synonyms": [], "subtasks": [],
        "datasets": [{
            "dataset": "Leaves", "description": "", "dataset_links": [], "dataset_citations": [],
            "subdatasets": [],
            "sota": {
                "metrics": ["Accuracy", "Error"],
                "rows": [{
                    "model_name": "BERT", "metrics": { "Accuracy": "91.5", "Error": "8.5" },
                    "paper_title": "A paper", "paper_url": "https://arxiv.org/abs/1810.04805",
                    "paper_date": "2018-10-11", "uses_additional_data": false,
                    "code_links": [{ "title": "a/b", "url": "https://github.com/a/b" }],
                    "model_links": [],
                }],
            },
        }],
    }]);
    let papers = json!([{
        "paper_url": "https://paperswithcode.com/paper/a-paper", "arxiv_id": "1810.04805",
        "title": "A paper", "abstract": "Words.", "url_abs": "https://arxiv.org/abs/1810.04805",
        "url_pdf": "https://arxiv.org/pdf/1810.04805v2.pdf", "proceeding": null,
        "authors": ["Ada"], "tasks": ["Text Classification"], "date": "2018-10-11",
        "methods": [{ "name": "BERT", "full_name": "BERT", "description": "d",
                      "introduced_year": 2018, "source_url": "", "source_title": "",
                      "code_snippet_url": "", "main_collection": null }],
    }]);
    let links = json!([{
        "paper_url": "https://paperswithcode.com/paper/a-paper", "paper_title": "A paper",
        "paper_arxiv_id": "1810.04805", "paper_url_abs": "https://arxiv.org/abs/1810.04805",
        "paper_url_pdf": "", "repo_url": "https://github.com/a/b", "is_official": true,
        "mentioned_in_paper": true, "mentioned_in_github": false, "framework": "pytorch",
    }]);
    let methods = json!([{
        "url": "https://paperswithcode.com/method/bert", "name": "BERT", "full_name": "BERT",
        "description": "d", "paper": null, "introduced_year": 2018, "source_url": "",
        "source_title": "", "code_snippet_url": "", "num_papers": 3,
        "collections": [{ "collection": "Language Models", "area_id": "nlp", "area": "NLP" }],
    }]);
    let datasets = json!([{
        "url": "https://paperswithcode.com/dataset/leaves", "name": "Leaves", "full_name": "",
        "homepage": "https://example.org", "description": "d",
        "paper": { "title": "A paper", "url": "https://paperswithcode.com/paper/a-paper" },
        "introduced_date": "2018-01-01", "warning": null, "modalities": ["Texts"],
        "tasks": [{ "task": "Text Classification", "url": "https://example.org/t" }],
        "languages": ["English"], "variants": ["Leaves"], "num_papers": 3, "data_loaders": [],
    }]);
    let all = [tables, papers, links, methods, datasets];
    all.iter().map(|list| file("archive.json", list.to_string())).collect()
}

/// Gives a board that is empty but for its beginning. It is made once and copied.
fn on_a_board(put: impl FnOnce(&mut Board)) {
    static NEW: OnceLock<Option<PathBuf>> = OnceLock::new();
    let new = NEW.get_or_init(|| {
        let folder = tempfile::tempdir().ok()?.keep();
        drop(Board::open(&folder).ok()?);
        Some(folder.join("board.db"))
    });
    let (Some(new), Ok(dir)) = (new, tempfile::tempdir()) else { return };
    if std::fs::copy(new, dir.path().join("board.db")).is_err() {
        return;
    }
    if let Ok(mut board) = Board::open(dir.path()) {
        put(&mut board);
    }
}

fn text(path: &Path) -> Option<String> {
    Some(String::from_utf8_lossy(&std::fs::read(path).ok()?).into_owned())
}

pub(crate) fn submission(folder: &Path) {
    let Some(text) = text(&folder.join("submission.json")) else { return };
    let Ok(submission) = serde_json::from_str::<Submission>(&text) else { return };
    on_a_board(|board| {
        for _ in 0..2 {
            let _ = submit(board, &submission, None, &[], &Actor::local("fuzz"));
        }
    });
}

pub(crate) fn attachment(folder: &Path) {
    if let Ok(attachment) = Attachment::read(folder, AttachmentLimits::default()) {
        let _ = (attachment.sha256(), attachment.base_sha256());
    }
}

pub(crate) fn synchronisation(folder: &Path) {
    let Some(text) = text(&folder.join("body.json")) else { return };
    on_a_board(|board| {
        for _ in 0..2 {
            let _ = synchronize(board, &text, &Actor::local("fuzz"));
        }
    });
}

pub(crate) fn archive(folder: &Path) {
    on_a_board(|board| {
        for _ in 0..2 {
            let path = folder.join("archive.json");
            let _ = import::file(board, &path, &Options::default(), &mut |_| {});
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutate::written;

    /// Damage is only found behind the first look if what is whole is taken.
    #[test]
    fn what_is_whole_is_taken() {
        let actor = Actor::local("fuzz");
        for files in submissions() {
            let submission = serde_json::from_slice(&files[0].1).unwrap();
            on_a_board(|board| drop(submit(board, &submission, None, &[], &actor).unwrap()));
        }
        for files in synchronisations() {
            let text = String::from_utf8(files[0].1.clone()).unwrap();
            on_a_board(|board| drop(synchronize(board, &text, &actor).unwrap()));
        }
        for files in archives() {
            let dir = written(&files);
            let path = dir.path().join("archive.json");
            on_a_board(|board| {
                let report = import::file(board, &path, &Options::default(), &mut |_| {}).unwrap();
                assert!(report.odd.is_empty(), "{:?}", report.odd);
            });
        }
        for files in attachments() {
            let dir = written(&files);
            Attachment::read(dir.path(), AttachmentLimits::default()).unwrap();
        }
    }
}
