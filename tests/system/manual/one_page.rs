//! The manual as one page, in the order of the READMEs of Kamailio's own modules: `make readme-kamailio`.

use std::process::Command;

use kamailio_memcached::internals::parameter_names;
use support::process;

use super::names::in_source;
use super::page::{Page, names_in_first_column};

fn one_page() -> Page {
    let written = process::output(&mut Command::new("packaging/one-page"));
    let written = written.expect("Python: `make dependencies`");
    let errors = String::from_utf8_lossy(&written.stderr);
    assert!(written.status.success(), "{errors}");
    Page::of("kamailio.md", String::from_utf8(written.stdout).unwrap())
}

#[test]
fn its_chapters_are_in_the_order_of_kamailio() {
    let page = one_page();
    let chapters = page.headings(2);
    let order = [
        "Overview",
        "Dependencies",
        "Parameters",
        "Functions",
        "Exported pseudo-variables",
        "KEMI",
        "RPC commands",
        "Event routes",
        "Statistics",
    ];
    assert_eq!(chapters[..order.len()], order);
}

#[test]
fn every_name_has_one_place_in_it() {
    let page = one_page();
    let headings = page.headings(0);
    let once = |what: &str, is_it: &dyn Fn(&str) -> bool| {
        let places = headings.iter().filter(|heading| is_it(heading)).count();
        assert_eq!(places, 1, "{what}");
    };
    for name in parameter_names() {
        once(name, &|heading| heading == name);
    }
    for name in in_source("c\"mct_") {
        let call = format!("mct_{name}(");
        once(&call, &|heading| heading.contains(&call));
    }
    for name in in_source("c\"mc") {
        let variable = format!("$mc{name}");
        let with_key = format!("{variable}(");
        if !name.contains('_') {
            once(&variable, &|heading| {
                heading == variable || heading.contains(&with_key)
            });
        }
    }
    let commands = in_source("c\"memcached.");
    assert!(commands.len() > 10, "{commands:?}");
    for name in commands {
        let command = format!("memcached.{name}");
        once(&command, &|heading| {
            heading.split(' ').next() == Some(&command)
        });
    }
    for name in in_source("c\"memcached:") {
        let route = format!("event_route[memcached:{name}]");
        once(&route, &|heading| heading.contains(&route));
    }
}

#[test]
fn nothing_of_the_manual_is_lost() {
    let page = one_page();
    let statistics = page.section("Statistics");
    let there = Page::at("doc/operating.md").section("Statistics");
    let names = names_in_first_column(there.text());
    assert_eq!(names_in_first_column(statistics.text()), names);
    assert!(names.len() > 15, "{names:?}");
    for file in ["parameters", "script", "operating", "placement"] {
        let original = Page::at(format!("doc/{file}.md"));
        for example in original.examples() {
            let kept = page.examples().into_iter();
            let kept = kept.filter(|kept| kept.lines == example.lines).count();
            assert!(kept > 0, "{file}: {:#?}", example.lines);
        }
    }
}

#[test]
fn its_links_lead_somewhere() {
    let count = one_page().follow_links();
    assert!(count > 100, "{count} links");
}
