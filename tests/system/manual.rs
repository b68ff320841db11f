//! The manual, README.md and doc/*.md, says what the module does: its examples are pieces of tested
//! configurations, every name that an operator can type has its place, and links lead somewhere.

mod names;
mod one_page;
mod page;

use std::fs;
use std::path::Path;

use page::{Page, files, names_in_first_column};

#[test]
fn examples_are_pieces_of_tested_configurations() {
    fn lines<'t>(text: impl Iterator<Item = &'t str>) -> Vec<&'t str> {
        text.map(str::trim)
            .filter(|line| !line.is_empty())
            .collect()
    }
    let texts = files(Path::new("kamailio-cfg")).into_iter();
    let texts: Vec<_> = texts
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let configurations: Vec<_> = texts.iter().map(|text| lines(text.lines())).collect();
    let mut count = 0;
    for page in Page::all() {
        for example in page.examples() {
            let (name, language) = (page.name(), example.language);
            if !["cfg", "lua"].contains(&language) {
                assert!(["", "text"].contains(&language), "{name}: {language}");
                continue;
            }
            // A blank line may stand for something left out.
            let pieces = example.lines.split(|line| line.is_empty());
            let pieces: Vec<_> = pieces.map(|piece| lines(piece.iter().copied())).collect();
            let is_quoted = |file: &Vec<&str>| {
                let has = |piece: &Vec<&str>| file.windows(piece.len()).any(|at| at == piece);
                pieces.iter().all(has)
            };
            let found = configurations.iter().any(is_quoted);
            assert!(found, "{name}: in no file: {:#?}", example.lines);
            count += 1;
        }
    }
    assert!(count > 35, "{count} examples");
}

/// What is no example of a tested configuration must not look like one.
#[test]
fn configurations_are_shown_as_examples_only() {
    for page in Page::all() {
        let blocks = page.examples().into_iter();
        let others = blocks.filter(|block| !["cfg", "lua"].contains(&block.language));
        let indented = page
            .prose()
            .into_iter()
            .filter(|line| line.starts_with("    "));
        let lines = others.flat_map(|block| block.lines).chain(indented);
        for line in lines {
            let is_script = ["modparam(", "loadmodule", "$mc"]
                .iter()
                .any(|word| line.contains(word));
            assert!(!is_script, "{}: {line}", page.name());
        }
    }
}

#[test]
fn the_readme_is_short_and_leads_to_every_page() {
    let readme = Page::at("README.md");
    let lines = readme.text().lines().count();
    assert!(lines <= 250, "{lines} lines");
    for page in Page::all() {
        let link = format!("]({})", page.name());
        let leads = readme.text().contains(&link) || page.path == readme.path;
        assert!(leads, "no link to {}", page.name());
    }
}

#[test]
fn every_page_begins_with_what_it_is_and_a_link_to_the_readme() {
    for page in Page::all() {
        let mut parts = page.text().split("\n\n");
        let title = parts.next().unwrap();
        assert!(title.starts_with("# "), "{}: {title}", page.name());
        if page.path.starts_with("doc") {
            let about = parts.next().unwrap().replace('\n', " ");
            for part in ["This page is for ", "](../README.md"] {
                assert!(about.contains(part), "{}: no '{part}'", page.name());
            }
        }
    }
}

#[test]
fn links_lead_to_files_and_headings() {
    let count: usize = Page::all().iter().map(Page::follow_links).sum();
    assert!(count > 100, "{count} links");
}

#[test]
fn every_verb_of_the_makefile_is_explained() {
    let section = Page::at("doc/development.md").section("Verbs");
    let explained = names_in_first_column(section.text());
    let makefile = fs::read_to_string("Makefile").unwrap();
    let mut count = 0;
    for line in makefile.lines().filter(|line| line.contains(" ## ")) {
        let (verb, _) = line.split_once(':').unwrap();
        let verb = format!("make {verb}");
        assert!(explained.contains(&verb[..]), "{verb}");
        count += 1;
    }
    assert!(count > 15, "{count} verbs");
}
