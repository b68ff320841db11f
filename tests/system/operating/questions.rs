//! The lines of shell that the manual has for questions of operators answer them.

use std::path::Path;
use std::process::Command;

use support::{Host, Kamailio, Memcached, process, skip, wait};

use crate::health::watch::wait_for_state;

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(path).expect("the file")
}

/// The questions of the manual, each with the lines below it.
fn questions(manual: &str) -> Vec<(&str, Vec<String>)> {
    let (_, section) = manual.split_once("\n## Questions\n").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("another one");
    let questions = section.split("\n### ").skip(1);
    questions
        .map(|question| {
            let (title, text) = question.split_once('\n').expect("a text");
            let text = text.replace("\\\n", "");
            let lines = text.lines().filter_map(|line| line.strip_prefix("    $ "));
            (title, lines.map(str::to_owned).collect())
        })
        .collect()
}

/// What each line of shell answers. kamcmd finds this Kamailio.
fn answers(kamailio: &Kamailio, lines: &[String]) -> String {
    let socket = kamailio.scratch().join("ctl");
    let kamcmd = format!(
        "kamcmd() {{ command kamcmd -s 'unix:{}' \"$@\"; }}",
        socket.display()
    );
    let run = |line: &String| {
        let mut shell = Command::new("bash");
        let script = format!("set -euo pipefail; PATH=$PATH:/usr/sbin; {kamcmd}; {line}");
        let output = process::output(shell.args(["-c", &script])).expect("bash starts");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).expect("words");
        assert!(
            output.status.success() && !said.is_empty(),
            "{line}: {said}"
        );
        said
    };
    lines.iter().map(run).collect()
}

#[test]
fn each_question_has_its_answer() {
    if !Host::current().is_local() {
        skip("kamcmd", "another root keeps it apart");
        return;
    }
    let [one, two] = [Memcached::start(), Memcached::start()];
    let kamailio = Kamailio::builder()
        .param("servers", format!("{} one", one.address()))
        .param(
            "pool",
            format!("name=other;servers={};near_size=100", two.address()),
        )
        .param("retry_interval", -1)
        .rpc()
        .script(
            "use",
            "$mct(plan:alice) = 1; $var(x) = $mct(plan:alice) + $mct(none);",
            &[],
        )
        .script("other", "$var(x) = $mct(other=>k);", &["$mcst"])
        .start();
    kamailio.run("use");
    kamailio.run("other");
    two.kill();
    wait::until("the second server to be out", wait::WAIT_LIMIT, || {
        kamailio.run("other")["$mcst"] == "down"
    });
    wait_for_state(&kamailio, two.address(), "inactive");
    let manual = file("doc/operating.md");
    let questions = questions(&manual);
    let titles: Vec<_> = questions.iter().map(|(title, _)| *title).collect();
    let answer = |title: &str| {
        let asked = questions.iter().find(|(known, _)| *known == title);
        let (_, lines) = asked.unwrap_or_else(|| panic!("no '{title}' in {titles:?}"));
        answers(&kamailio, lines)
    };
    assert_eq!(titles.len(), 6);

    let table = answer("How are the servers?");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|row| row.split_whitespace().collect())
        .collect();
    assert_eq!(rows.len(), 2, "{table}");
    assert_eq!(rows[0][..3], ["default", one.address(), "active"]);
    assert_eq!(rows[0][5..7], ["3", "0"]);
    assert_eq!(rows[1][..3], ["other", two.address(), "inactive"]);

    let slow = answer("Which server is slow?");
    let times = slow
        .lines()
        .map(|line| line.split(' ').next().unwrap_or_default());
    let times: Vec<u32> = times
        .map(|time| time.parse().expect("microseconds"))
        .collect();
    assert!(times.len() == 2 && times[0] >= times[1], "{slow}");
    assert!(
        slow.contains(one.address()) && slow.contains(two.address()),
        "{slow}"
    );

    let out = answer("Which server is out, and why?");
    assert_eq!(out.lines().count(), 1, "{out}");
    assert!(
        out.starts_with(&format!("{} inactive", two.address())),
        "{out}"
    );
    assert!(
        out.contains("Connection refused") || out.contains("closed"),
        "{out}"
    );

    let lives = answer("Where does this key live?");
    assert!(
        lives.contains("key: plan:alice") && lives.contains("owner: one"),
        "{lives}"
    );
    assert!(lives.contains("value: 1"), "{lives}");

    // The call and the question above have found the key, and the call has not found another one.
    let worth = answer("Is the cache worth its memory?");
    for part in [
        "hit_ratio: 0.667",
        "limit_maxbytes: ",
        "evictions: 0",
        "curr_items: 1",
        "slots: ",
    ] {
        assert!(worth.contains(part), "{part}: {worth}");
    }

    let fails = answer("What fails?");
    let lines: Vec<_> = fails.lines().collect();
    assert!(
        lines.iter().all(|line| line.starts_with("other")),
        "{fails}"
    );
    assert!(fails.contains("errors: "), "{fails}");
}

#[test]
fn the_demo_ends_with_the_table_of_servers() {
    let manual = file("doc/operating.md");
    let questions = questions(&manual);
    let (_, lines) = &questions[0];
    let program = lines[0].split('\'').nth(1).expect("a program of awk");
    let demo = file("tests/demo").replace("\\\n", "");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&demo).contains(&words(program)), "{program}");
}
