//! Every name that an operator can type has its place in the manual.
//!
//! Names come from a running Kamailio or from the module's source, never from a list in here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use kamailio_memcached::internals::{Status, parameter_names};
use support::{Host, Kamailio, Param};

use crate::script::engine::Engine;

use super::page::{Page, cells, files, names_in_first_column};

fn parameters() -> Page {
    Page::at("doc/parameters.md")
}

fn script() -> Page {
    Page::at("doc/script.md")
}

fn operating() -> Page {
    Page::at("doc/operating.md")
}

/// The texts that follow `start` in the module's source, up to a quotation mark.
pub(super) fn in_source(start: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in files(Path::new("src")) {
        let text = fs::read_to_string(path).expect("source");
        let pieces = text.split(start).skip(1);
        found.extend(pieces.filter_map(|piece| piece.split('"').next().map(str::to_owned)));
    }
    found
}

/// The names that a refusal says are accepted.
#[track_caller]
fn accepted(output: &str, refusal: &str) -> BTreeSet<String> {
    let line = output.lines().find(|line| line.contains(refusal));
    let line = line.unwrap_or_else(|| panic!("no '{refusal}' in:\n{output}"));
    let (_, names) = line.split_once("accepted: ").expect("accepted names");
    names.split(", ").map(str::to_owned).collect()
}

/// A parameter's table: its titles with what stands below them.
#[track_caller]
fn facts(page: &Page, name: &str) -> BTreeMap<String, String> {
    let section = page.section(name);
    let mut rows = section.text().lines();
    let titles = rows.find(|line| line.starts_with("| type "));
    let titles = titles.unwrap_or_else(|| panic!("no table of '{name}'"));
    let values = rows.nth(1).expect("a row below the titles");
    cells(titles).into_iter().zip(cells(values)).collect()
}

/// Whether `kamailio -c` accepts this value. For TLS, nobody need be trusted.
fn is_accepted(name: &str, value: Param) -> bool {
    let builder = Kamailio::builder().param("tls_verify", 0);
    builder.param(name, value).check().ok
}

#[test]
fn every_parameter_has_its_section() {
    let page = parameters();
    let sections: BTreeSet<_> = page.headings(3).into_iter().collect();
    assert_eq!(sections, parameter_names().collect());
    for name in parameter_names() {
        let facts = facts(&page, name);
        for column in ["type", "default", "range", "in a pool", "while running"] {
            assert!(!facts[column].is_empty(), "{name}: {facts:?}");
        }
        let section = page.section(name);
        let mut examples = section.examples().into_iter();
        // By itself, or in the text of a pool.
        let names = [format!("\"{name}\""), format!(";{name}=")];
        let shows = |line: &&str| names.iter().any(|name| line.contains(name));
        let shown = examples.any(|example| example.lines.iter().any(shows));
        assert!(shown, "{name} has no example");
    }
}

#[test]
fn every_function_of_kemi_scripts_has_its_place() {
    let scratch = Host::current().scratch();
    let names =
        "for name in pairs(KSR.memcached) do note(name) end\nKSR.pv.sets(\"$var(names)\", notes)";
    let kamailio = Engine::Lua
        .builder(Kamailio::builder(), &scratch, names, &["$var(names)"])
        .start();
    let answer = kamailio.run("run");
    let names = answer["$var(names)"].bytes().expect("a text").to_vec();
    let names = String::from_utf8(names).expect("words");
    let names: BTreeSet<&str> = names
        .split(|letter: char| !letter.is_ascii_lowercase() && letter != '_')
        .filter(|name| !name.is_empty())
        .collect();
    let page = script();
    let section = page.section("KEMI");
    let mut told = 0;
    for name in &names {
        match name.strip_suffix("_in") {
            Some(plain) => assert!(names.contains(plain), "{name}"),
            None => {
                assert!(section.text().contains(&format!("`{name}(")), "{name}");
                told += 1;
            }
        }
    }
    let shown = section
        .text()
        .lines()
        .filter(|line| line.starts_with("| `"));
    let shown: usize = shown
        .map(|line| {
            line.split(" | ")
                .next()
                .map_or(0, |cell| cell.matches("(").count())
        })
        .sum();
    assert_eq!(shown, told, "functions that are described, and that exist");
}

#[test]
fn parameters_of_pools_and_those_that_may_change_are_told() {
    let page = parameters();
    let pool = "name=a;servers=b;no_such_parameter=1";
    let check = Kamailio::builder().param("pool", pool).check();
    let in_a_pool = accepted(
        &check.output,
        "'no_such_parameter' of pool 'a': unknown parameter",
    );
    let kamailio = Kamailio::builder().rpc().start();
    let listed = kamailio.rpc("cfg.list", &["memcached"]);
    let changeable = listed.lines();
    let changeable: BTreeSet<_> = changeable
        .filter_map(|line| line.strip_prefix("memcached: "))
        .collect();
    for name in parameter_names() {
        let facts = facts(&page, name);
        let says = |column: &str| facts[column] == "yes";
        assert_eq!(says("in a pool"), in_a_pool.contains(name), "{name}");
        assert_eq!(says("while running"), changeable.contains(name), "{name}");
        if changeable.contains(name) {
            let now = kamailio.rpc("cfg.get", &["memcached", name]);
            let default = facts["default"].split(' ').next();
            assert_eq!(Some(now.trim()), default, "{name}");
        }
    }
}

#[test]
fn types_and_ranges_of_parameters_are_right() {
    let page = parameters();
    let mut count = 0;
    for name in parameter_names() {
        let facts = facts(&page, name);
        // Each type refuses a value of the other one.
        if facts["type"] == "string" {
            assert!(!is_accepted(name, 1.into()), "{name} takes an integer");
            continue;
        }
        assert_eq!(facts["type"], "integer", "{name}");
        assert!(!is_accepted(name, "1".into()), "{name} takes a string");
        let (least, most) = facts["range"].split_once(" to ").expect("A to B");
        let default = facts["default"].split(' ').next().expect("a number");
        let [least, default, most]: [i64; 3] =
            [least, default, most].map(|number| number.parse().expect("a number"));
        assert!(is_accepted(name, least.into()), "{name} = {least}");
        assert!(is_accepted(name, default.into()), "{name} = {default}");
        assert!(is_accepted(name, most.into()), "{name} = {most}");
        assert!(!is_accepted(name, (least - 1).into()), "{name} < {least}");
        // Kamailio's own integers end there.
        if most < i64::from(i32::MAX) {
            assert!(!is_accepted(name, (most + 1).into()), "{name} > {most}");
        }
        count += 1;
    }
    assert!(count > 10, "{count} integers");
}

#[test]
fn every_rpc_command_has_its_section() {
    let kamailio = Kamailio::builder().rpc().start();
    let listed = kamailio.rpc("system.listMethods", &[]);
    let ours = |name: &&str| name.starts_with("memcached.");
    let commands: BTreeSet<_> = listed.lines().filter(ours).collect();
    let page = operating();
    let titles = page.headings(3).into_iter();
    let first_words = titles.filter_map(|title| title.split(' ').next());
    let sections: BTreeSet<_> = first_words.filter(ours).collect();
    assert_eq!(sections, commands);
    assert!(commands.len() > 4, "{commands:?}");
}

#[test]
fn members_of_a_listed_server_are_shown() {
    let kamailio = Kamailio::builder().rpc().start();
    let listed = kamailio.rpc("memcached.list", &[]);
    let section = operating().section("memcached.list [pool [server]]");
    let members = |text: &str| -> BTreeSet<String> {
        let indented = text.lines().filter(|line| line.starts_with([' ', '\t']));
        let named = indented.filter_map(|line| line.trim().split_once(':'));
        named.map(|(name, _)| name.to_owned()).collect()
    };
    assert_eq!(members(section.text()), members(&listed));
    assert!(listed.contains("state: "), "{listed}");
}

#[test]
fn every_statistic_is_explained() {
    let kamailio = Kamailio::builder().rpc().start();
    let shown = kamailio.rpc("cnt.grp_get_all", &["memcached"]);
    let lines = shown.lines().filter_map(|line| line.split_once(": "));
    let names: BTreeSet<_> = lines.map(|(name, _)| name.trim()).collect();
    let section = operating().section("Statistics");
    assert_eq!(names_in_first_column(section.text()), names);
    assert!(names.len() > 15, "{names:?}");
}

#[test]
fn every_event_route_has_its_section() {
    let events = in_source("c\"memcached:");
    let page = operating();
    let headings = page.headings(3).join("\n");
    for event in &events {
        let route = format!("event_route[memcached:{event}]");
        assert!(headings.contains(&route), "{route}");
    }
    assert!(events.len() > 1, "{events:?}");
}

#[test]
fn every_variable_has_its_section() {
    let mut variables = in_source("c\"mc");
    variables.retain(|name| !name.contains('_'));
    let page = script();
    let headings = page.headings(2).join(", ");
    let names = headings
        .split(", ")
        .filter_map(|title| title.split('(').next());
    let names: BTreeSet<_> = names.filter_map(|name| name.strip_prefix("$mc")).collect();
    assert!(variables.iter().eq(names), "{variables:?}: {headings}");
    assert!(variables.len() > 5, "{variables:?}");
}

#[test]
fn every_function_has_its_section_and_its_row() {
    let functions = in_source("c\"mct_");
    let page = script();
    let titles = page.headings(3).join(", ");
    let rows = page.section("Functions").text().to_owned();
    for name in &functions {
        assert!(titles.contains(&format!("mct_{name}(")), "{name}: {titles}");
        assert!(rows.contains(&format!("`mct_{name}(")), "{name}: {rows}");
    }
    assert!(functions.len() > 10, "{functions:?}");
}

#[test]
fn every_word_of_mcst_and_every_name_of_mcev_is_explained() {
    let words = (1..).map_while(Status::from_code).map(Status::word);
    let section = script().section("$mcst");
    let explained = names_in_first_column(section.text());
    assert_eq!(explained, words.collect());
    assert!(explained.len() > 10, "{explained:?}");

    let read = Kamailio::builder().script("read", "", &["$mcev(no_such_name)"]);
    let names = accepted(&read.check().output, "'$mcev(no_such_name)'");
    let section = script().section("$mcev(name)");
    let explained = names_in_first_column(section.text());
    assert!(explained.into_iter().eq(&names), "{names:?}");
}
