use super::*;

const NAMED: Kind = Kind {
    what: "a test",
    ours: Ours::Named {
        files: &["a", "b"],
        work: &[&["work/state"], &["cache"]],
        mark: |folder| fs::read_to_string(folder.join("a")).is_ok_and(|t| t.contains("ours")),
    },
};
const LISTED: Kind = Kind { what: "a list", ours: Ours::Listed };
static KINDS: [Kind; 2] = [NAMED, LISTED];

fn entries(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name());
    let mut names: Vec<_> = names.map(|n| n.to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

fn fill(text: &'static str) -> impl FnOnce(&Path) -> io::Result<()> {
    move |new| fs::write(new.join("a"), format!("ours {text}"))
}

#[test]
fn a_failed_fill_leaves_the_old_folder() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    for kind in &KINDS {
        OutFolder::open(&path, kind).unwrap().replace(fill("old")).unwrap();
        let out = OutFolder::open(&path, kind).unwrap();
        assert!(out.is_whole());
        let failed = out.replace(|new| {
            fs::write(new.join("a"), "ours new")?;
            Err(io::Error::other("no"))
        });
        assert!(failed.is_err());
        drop(out);
        assert_eq!(fs::read_to_string(path.join("a")).unwrap(), "ours old");
        assert_eq!(entries(dir.path()), ["out"], "nothing is left behind");
        let out = OutFolder::open(&path, kind).unwrap();
        out.replace(|new| fs::write(new.join("b"), "new")).unwrap();
        drop(out);
        assert!(!path.join("a").exists() && path.join("b").exists());
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn files_of_others_are_refused_or_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    for kind in &KINDS {
        fs::create_dir(&path).unwrap();
        for name in ["1", "2", "3", "4", "a"] {
            fs::write(path.join(name), "theirs").unwrap();
        }
        let refused = OutFolder::open(&path, kind).unwrap_err().to_string();
        assert!(refused.contains("1, 2, 3 and 2 more"), "{refused}");
        assert_eq!(entries(&path).len(), 5);
        assert_eq!(entries(dir.path()), ["out"]);
        fs::remove_dir_all(&path).unwrap();
        // What is put beside ours later stays, whatever it is.
        OutFolder::open(&path, kind).unwrap().replace(fill("1")).unwrap();
        fs::create_dir(path.join("mine")).unwrap();
        fs::write(path.join("mine/deep"), "theirs").unwrap();
        fs::write(path.join("notes"), "theirs").unwrap();
        OutFolder::open(&path, kind).unwrap().replace(fill("2")).unwrap();
        assert_eq!(fs::read_to_string(path.join("a")).unwrap(), "ours 2");
        assert_eq!(fs::read_to_string(path.join("mine/deep")).unwrap(), "theirs");
        OutFolder::open(&path, kind).unwrap().remove().unwrap();
        assert_eq!(entries(&path), ["mine", "notes"]);
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn work_that_was_begun_is_no_hindrance_and_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    fs::create_dir_all(path.join("work")).unwrap();
    for name in ["work/state", "work/.state.budwood-tmp", "cache"] {
        fs::write(path.join(name), "x").unwrap();
    }
    let out = OutFolder::open(&path, &KINDS[0]).unwrap();
    assert!(!out.is_whole());
    out.replace(fill("1")).unwrap();
    drop(out);
    assert_eq!(entries(&path), ["a"]);
    assert_eq!(entries(dir.path()), ["out"]);
    fs::create_dir(path.join("work")).unwrap();
    fs::write(path.join("work/other"), "theirs").unwrap();
    fs::remove_file(path.join("a")).unwrap();
    let refused = OutFolder::open(&path, &KINDS[0]).unwrap_err().to_string();
    assert!(refused.contains("work/other"), "{refused}");
}

#[test]
fn places_that_are_no_folder_to_write_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |path: &Path| OutFolder::open(path, &KINDS[0]).unwrap_err().to_string();
    for name in ["", ".", "..", "/", "a/..", "../.."] {
        assert!(refused(Path::new(name)).contains("names no folder"), "{name}");
    }
    fs::write(dir.path().join("file"), "theirs").unwrap();
    assert!(refused(&dir.path().join("file")).contains("is a file"));
    refused(&dir.path().join("file/out"));
    let long = refused(&dir.path().join("x".repeat(250)));
    assert!(long.contains("too long"), "{long}");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("nowhere", dir.path().join("link")).unwrap();
        assert!(refused(&dir.path().join("link")).contains("link to nothing"));
        std::os::unix::fs::symlink("/", dir.path().join("root")).unwrap();
        assert!(refused(&dir.path().join("root")).contains("names no folder"));
        std::os::unix::fs::symlink("/", dir.path().join(".out.budwood-swap")).unwrap();
        assert!(refused(&dir.path().join("out")).contains("in the way"));
        fs::remove_file(dir.path().join(".out.budwood-swap")).unwrap();
        // Folders above that lead nowhere do not stay.
        drop(OutFolder::open(&dir.path().join("no/../out"), &KINDS[0]).unwrap());
        fs::remove_file(dir.path().join("root")).unwrap();
        fs::remove_file(dir.path().join("link")).unwrap();
    }
    assert_eq!(entries(dir.path()), ["file"]);
}

#[test]
fn a_second_process_is_refused_and_folders_above_do_not_stay() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x/y/out");
    let mut first = OutFolder::open(&path, &KINDS[0]).unwrap();
    let second = OutFolder::open(&path, &KINDS[0]).unwrap_err().to_string();
    assert!(second.contains(&format!("process {}", std::process::id())), "{second}");
    first.make().unwrap();
    drop(first);
    assert!(entries(dir.path()).is_empty(), "nothing was written");
    let first = OutFolder::open(&path, &KINDS[0]).unwrap();
    first.replace(fill("1")).unwrap();
    drop(first);
    assert_eq!(entries(&dir.path().join("x/y")), ["out"]);
}

/// Every state in which a process can be killed, made by hand.
#[test]
fn what_a_killed_process_left_is_cleared_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let hidden = |what: &str| dir.path().join(format!(".out.budwood-{what}"));
    for kind in &KINDS {
        let make = |at: &Path, text: &'static str, theirs: &[&str]| {
            let elsewhere = dir.path().join("elsewhere");
            OutFolder::open(&elsewhere, kind).unwrap().replace(fill(text)).unwrap();
            for name in theirs {
                fs::write(elsewhere.join(name), text).unwrap();
            }
            fs::rename(elsewhere, at).unwrap();
        };
        let ends = |there: &str, kept: &[&str]| {
            fs::write(hidden("lock"), "99999999").unwrap();
            drop(OutFolder::open(&path, kind).unwrap());
            assert_eq!(entries(dir.path()), ["out"]);
            assert_eq!(fs::read_to_string(path.join("a")).unwrap(), format!("ours {there}"));
            let names = entries(&path).into_iter().filter(|n| *n != "a" && *n != LIST);
            assert_eq!(names.collect::<Vec<_>>(), kept);
            fs::remove_dir_all(&path).unwrap();
        };
        // While it was filled.
        make(&path, "old", &["notes"]);
        fs::create_dir(hidden("part")).unwrap();
        fs::write(hidden("part").join("a"), "ours ne").unwrap();
        ends("old", &["notes"]);
        // Before the exchange.
        make(&path, "old", &["notes"]);
        make(&hidden("swap"), "new", &[]);
        ends("old", &["notes"]);
        // After the exchange: what lay beside the old one moves, and no name hides another.
        make(&path, "new", &["notes"]);
        make(&hidden("swap"), "old", &["notes", "other"]);
        ends("new", &["notes", "notes.kept", "other"]);
        // Without exchange, between the two renames: the old one comes back.
        make(&hidden("old"), "old", &["notes"]);
        make(&hidden("swap"), "new", &[]);
        ends("old", &["notes"]);
        // Without exchange, after both.
        make(&hidden("old"), "old", &["notes"]);
        make(&path, "new", &[]);
        ends("new", &["notes"]);
    }
}

#[test]
#[cfg(unix)]
fn a_list_cannot_lead_out_of_its_folder() {
    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("out"), dir.path().join("other"));
    fs::create_dir(&other).unwrap();
    fs::write(other.join("precious"), "theirs").unwrap();
    OutFolder::open(&path, &KINDS[1]).unwrap().replace(fill("1")).unwrap();
    std::os::unix::fs::symlink(&other, path.join("link")).unwrap();
    let mut text = fs::read_to_string(path.join(LIST)).unwrap();
    text += &format!("link/precious\n../other/precious\n{}\n", other.join("precious").display());
    fs::write(path.join(LIST), text).unwrap();
    OutFolder::open(&path, &KINDS[1]).unwrap().replace(fill("2")).unwrap();
    assert_eq!(fs::read_to_string(other.join("precious")).unwrap(), "theirs");
}

#[test]
fn an_address_is_no_folder() {
    for (text, said) in [
        ("s3://bucket/name", "s3://bucket/name"),
        ("s3://KEY:SECRET@bucket/name", "environment"),
        ("http://host/name", "http://host/name"),
    ] {
        let error = OutFolder::open(Path::new(text), &KINDS[0]).unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains("SECRET@"), "{error}");
    }
    assert!(!Path::new("s3:").exists() && !Path::new("http:").exists());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new");
    let text = format!("file://{}", path.display());
    let folder = OutFolder::open(Path::new(&text), &KINDS[0]).unwrap();
    assert_eq!(folder.path(), dir.path().canonicalize().unwrap().join("new"));
}
