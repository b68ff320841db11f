//! `mct_metrics`: what the page for Prometheus says, and how long it may be.

use std::collections::BTreeMap;

use support::{Builder, FaultyServer, Host, Kamailio, Memcached, Port, Prometheus, skip};

use super::http::get;
use crate::script::engine::in_each;

/// A Kamailio whose web server has the page.
fn serving(builder: Builder) -> Builder {
    let route = "mct_metrics(\"$var(page)\");
        xhttp_reply(\"200\", \"OK\", \"text/plain; version=0.0.4\", \"$var(page)\");
        $var(page) = $null;";
    builder
        .module("xhttp")
        .tcp()
        .global("tcp_accept_no_cl=yes")
        .global("tcp_conn_wq_max=1048576")
        .routes(&format!("event_route[xhttp:request] {{ {route} }}"))
}

/// The samples of a page: their values by name and labels.
fn samples(page: &str) -> BTreeMap<&str, f64> {
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    let samples = samples.map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let name = name.strip_prefix("kamailio_memcached_");
        let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
        (name.unwrap_or_else(|| panic!("{line}")), value)
    });
    samples.collect()
}

/// Prometheus' own tool accepts the page, where it is installed.
#[track_caller]
fn assert_accepted(page: &str) {
    match Prometheus::is_installed() {
        true => assert_eq!(Prometheus::complaints_about_page(page), ""),
        false => skip("promtool", "this machine does not have it"),
    }
}

#[test]
fn the_page_says_what_every_process_has_counted() {
    let (memcached, silent) = (Memcached::start(), FaultyServer::silent());
    let builder = Kamailio::on(&memcached)
        .param("timeout", 300)
        .param("retry_interval", -1)
        .param(
            "pool",
            format!("name=mute;servers={} mute", silent.address()),
        )
        .param("pool", "name=odd;servers=/run/\"x\\y")
        .global("pv_buffer_size=65536")
        .children(2)
        .script("use", "$mct(k) = 1; $var(x) = $mct(k);", &["$pp"])
        .script("fail", "$var(x) = $mct(mute=>k);", &["$mcst"]);
    let kamailio = serving(builder).start();
    let used = kamailio.run_on_every_worker("use", &support::Request::options());
    assert_eq!(kamailio.run("fail")["$mcst"], "timeout");
    assert_eq!(kamailio.run("fail")["$mcst"], "down");
    let page = get(kamailio.address(), "/");
    assert_accepted(&page);
    let all = samples(&page);
    let operations = used.len() as f64;
    let server = format!(
        "pool=\"default\",server=\"{}\",alias=\"\"",
        memcached.address()
    );
    let mute = format!(
        "pool=\"mute\",server=\"{}\",alias=\"mute\"",
        silent.address()
    );
    let of = |name: &str, labels: &str| {
        let name = format!("{name}{{{labels}}}");
        *all.get(&name[..])
            .unwrap_or_else(|| panic!("no {name} in\n{page}"))
    };
    for (name, labels, value) in [
        ("pool_hits_total", "pool=\"default\"", operations),
        ("pool_sets_total", "pool=\"default\"", operations),
        ("pool_gets_total", "pool=\"mute\"", 2.0),
        ("pool_skipped_total", "pool=\"mute\"", 1.0),
        (
            "pool_failures_total",
            "pool=\"mute\",reason=\"timeout\"",
            1.0,
        ),
        ("pool_failures_total", "pool=\"mute\",reason=\"down\"", 1.0),
        ("pool_failures_total", "pool=\"mute\",reason=\"busy\"", 0.0),
        ("server_operations_total", &server, 2.0 * operations),
        ("server_in_flight", &server, 0.0),
        ("server_state", &format!("{server},state=\"active\""), 1.0),
        ("server_state", &format!("{mute},state=\"active\""), 0.0),
        ("server_state", &format!("{mute},state=\"inactive\""), 1.0),
        (
            "server_failures_total",
            &format!("{mute},reason=\"timeout\""),
            1.0,
        ),
        (
            "server_failures_total",
            &format!("{mute},reason=\"down\""),
            0.0,
        ),
        ("server_answer_seconds_count", &mute, 0.0),
    ] {
        assert_eq!(of(name, labels), value, "{name} {labels}");
    }
    // One operation in 16 is measured, beginning with the first one.
    let measured = (2.0 * operations / 16.0).ceil() * 16.0;
    assert_eq!(of("server_answer_seconds_count", &server), measured);
    assert_eq!(
        of(
            "server_answer_seconds_bucket",
            &format!("{server},le=\"+Inf\"")
        ),
        measured
    );
    let odd = r#"pool="odd",server="/run/\"x\\y",alias="",state="active""#;
    assert_eq!(of("server_state", odd), 1.0);
}

#[test]
fn a_hundred_servers_have_their_place() {
    let port = Port::free();
    let servers: Vec<_> = (1..=100)
        .map(|at| format!("127.0.1.{at}:{} mc-{at}", port.number()))
        .collect();
    let builder = Kamailio::builder()
        .param("servers", servers.join(","))
        .global("pv_buffer_size=409600")
        .global("pv_buffer_slots=5");
    let kamailio = serving(builder).start();
    let page = (0..5).map(|_| get(kamailio.address(), "/")).last();
    let page = page.expect("five of them");
    let all = samples(&page);
    for at in 1..=100 {
        let labels = format!(
            "pool=\"default\",server=\"127.0.1.{at}:{}\",alias=\"mc-{at}\"",
            port.number()
        );
        assert_eq!(
            all[&format!("server_answer_seconds_count{{{labels}}}")[..]],
            0.0
        );
    }
    assert_accepted(&page);
    assert_eq!(kamailio.module_lines().len(), 0, "{}", kamailio.log());
}

#[test]
fn a_kemi_script_has_the_page_whatever_its_length() {
    let scratch = Host::current().scratch();
    in_each(|engine| {
        let lines = "note(KSR.memcached.metrics())\nKSR.pv.sets(\"$var(notes)\", notes)";
        let builder = Kamailio::builder().param("pool", "name=other;servers=b,c,d");
        let kamailio = engine
            .builder(
                builder,
                &scratch,
                lines,
                &["$(var(notes){s.len})", "$(var(notes){s.substr,0,30})"],
            )
            .start();
        let answer = kamailio.run("run");
        assert_eq!(
            answer["$(var(notes){s.substr,0,30})"], "<# HELP kamailio_memcached_inf",
            "{engine:?}"
        );
        let length = answer["$(var(notes){s.len})"].int();
        assert!(length.is_some_and(|length| length > 12_000), "{length:?}");
    });
}
