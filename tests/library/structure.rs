//! The source tree is what `src/lib.rs` says of it: dependencies point down its list of folders, and
//! `unsafe` stays behind the two fences.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// All source files below `folder`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

/// The top-level module that a file belongs to.
fn module(file: &Path) -> String {
    let inner = file.strip_prefix("src").unwrap();
    let first = inner.iter().next().unwrap().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The code of a file, without comments and without tests.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let before_tests = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = before_tests.lines();
    let lines = lines.map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

fn is_test(file: &Path) -> bool {
    let inner = file.strip_prefix("src").unwrap();
    let of_tests = |part: &std::ffi::OsStr| {
        [
            "tests.rs",
            "under_way.rs",
            "model.rs",
            "split.rs",
            "fake",
            "fake.rs",
        ]
        .contains(&part.to_str().unwrap())
    };
    inner.iter().any(of_tests)
}

/// The modules in the order of the list in `src/lib.rs`, the uppermost first.
fn order() -> Vec<String> {
    let text = fs::read_to_string("src/lib.rs").unwrap();
    let list = text.split("from top to bottom:").nth(1).expect("the list");
    let rows = list.lines().skip_while(|line| !line.contains("* `"));
    let rows = rows.take_while(|line| line.contains("* `"));
    let names = rows.map(|line| line.split('`').nth(1).unwrap().to_owned());
    names.collect()
}

#[test]
fn dependencies_point_down_only() {
    let order = order();
    let place = |name: &str| order.iter().position(|known| known == name);
    let mut arrows = BTreeSet::new();
    for file in files(Path::new("src")).iter().filter(|file| !is_test(file)) {
        let from = module(file);
        if ["lib", "internals"].contains(&&*from) {
            continue;
        }
        let above = place(&from).unwrap_or_else(|| panic!("{from} is not in the list"));
        for piece in code(file).split("crate::").skip(1) {
            let end = piece.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
            let to = &piece[..end.unwrap_or(piece.len())];
            let below = place(to).unwrap_or_else(|| panic!("{to} is not in the list"));
            assert!(above <= below, "{}: {from} uses {to}", file.display());
            arrows.insert((from.clone(), to.to_owned()));
        }
    }
    assert!(arrows.len() > 40, "{arrows:?}");
}

#[test]
fn unsafe_code_is_behind_the_fences() {
    let mut blocks = 0;
    for file in files(Path::new("src")) {
        let count = code(&file).matches("unsafe {").count();
        let fenced = ["kamailio", "sys"].contains(&&*module(&file));
        assert!(count == 0 || fenced, "{}", file.display());
        blocks += count;
    }
    assert!(blocks > 50, "{blocks} blocks");
}

#[test]
fn no_file_is_too_long_to_read() {
    for folder in [
        "src",
        "tests/system",
        "tests/library",
        "tests/simulation",
        "tests/soak",
        "tests/fuzz/rules",
        "tests/support/src",
    ] {
        for file in files(Path::new(folder)) {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            assert!(lines <= 400, "{} has {lines} lines", file.display());
        }
    }
}
