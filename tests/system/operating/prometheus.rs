//! Debian's Prometheus reads the page of a Kamailio under load, before, during and after an outage: every
//! query of `doc/grafana.json` has data, every rule of `doc/alerts.yml` fires and resolves.
//!
//! What the two files say in minutes is said in seconds here: the test rewrites their durations, and nothing
//! else. With `MCT_BOARD` it draws what it has seen into that file (`make board`).

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use support::{
    Authority, FaultyServer, Host, Kamailio, Memcached, Port, Prometheus, during, skip, wait,
};

use super::board;

/// How long rules may take to fire or to resolve.
const LIMIT: Duration = Duration::from_secs(30);

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(path).expect("the file")
}

/// The rules, with short durations.
fn rules() -> String {
    let mut rules = file("doc/alerts.yml");
    for (long, short) in [("[5m]", "[3s]"), ("[1d]", "[1m]")] {
        assert!(rules.contains(long), "{long}");
        rules = rules.replace(long, short);
    }
    let soon = |line: &str| match line.trim_start().starts_with("for: ") {
        true => "        for: 500ms\n".into(),
        false => format!("{line}\n"),
    };
    rules.lines().map(soon).collect()
}

/// The names of all rules.
fn names(rules: &str) -> BTreeSet<String> {
    let names = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    names.map(str::to_owned).collect()
}

/// The names of the rules that fire now.
fn firing(prometheus: &Prometheus) -> BTreeSet<String> {
    let answer: Value = serde_json::from_str(&prometheus.get("alerts", &[])).expect("JSON");
    let alerts = answer["data"]["alerts"].as_array().expect("alerts").iter();
    let firing = alerts.filter(|alert| alert["state"] == "firing");
    let name = |alert: &Value| alert["labels"]["alertname"].as_str().map(str::to_owned);
    firing.filter_map(name).collect()
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_secs_f64()
}

/// Two servers, of which one will be gone for a while; a pool with a near cache; a pool behind a slow way; and
/// a certificate that is over.
struct Scene {
    servers: [Memcached; 2],
    authority: Authority,
    /// The file with the certificate.
    trusted: std::path::PathBuf,
    kamailio: Kamailio,
    _slow: FaultyServer,
    _closed: Port,
}

impl Scene {
    fn new() -> Self {
        let servers = [Memcached::start(), Memcached::start()];
        let slow = FaultyServer::relay(servers[0].address(), Duration::from_millis(150));
        let (authority, closed) = (Authority::new(), Port::free());
        let over = ["20200101000000Z", "20210101000000Z"];
        let over = authority.issue_until("over", "IP:127.0.0.1", over[0], over[1]);
        let trusted = over.chain.with_file_name("trusted.pem");
        std::fs::copy(&over.chain, &trusted).expect("the folder is ours");
        let [a, b] = servers.each_ref().map(Memcached::address);
        let inside = Host::current().inside(&trusted);
        let store = |key: &str| format!("if ($mcst == \"miss\") {{ $mct({key}) = 1; }}\n");
        let read = |key: String| format!("$var(x) = $mct({key});\n");
        let near = read("near=>n".into()) + &store("near=>n");
        let calm = |at| read(format!("k{at}")) + &store(&format!("k{at}"));
        let calm = (0..10).map(calm).collect::<String>() + &near;
        let trouble = (0..10).map(|at| read(format!("none{at}")));
        let trouble = trouble.collect::<String>() + &near + &read("slow=>k".into());
        let kamailio = Kamailio::builder()
            .param("servers", format!("{a} mc-a,{b} mc-b"))
            .param("timeout", 1000)
            .param("stall_limit", 400)
            .param("latency_limit", 900)
            .param("retry_interval", 200)
            .param(
                "pool",
                format!("name=near;servers={b};near_size=100;near_expire=200;near_stale=60000"),
            )
            .param("pool", format!("name=slow;servers={}", slow.address()))
            .param(
                "pool",
                format!(
                    "name=secured;servers={};tls=1;tls_ca={}",
                    closed.v4(),
                    inside.display()
                ),
            )
            .global("tcp_accept_no_cl=yes")
            .global("pv_buffer_size=65536")
            .module("xhttp")
            .rpc()
            .tcp()
            .routes(
                "event_route[xhttp:request] { mct_metrics(\"$var(page)\");
                xhttp_reply(\"200\", \"OK\", \"text/plain; version=0.0.4\", \"$var(page)\"); }",
            )
            .script("calm", &calm, &[])
            .script("trouble", &trouble, &[])
            .start();
        Scene {
            servers,
            authority,
            trusted,
            kamailio,
            _slow: slow,
            _closed: closed,
        }
    }

    /// Runs a script some hundred times a second while `body` runs.
    fn under_load<T>(&self, script: &str, body: impl FnOnce() -> T) -> T {
        let call = |_: usize| {
            self.kamailio.run(script);
            wait::poll::<()>(Duration::from_millis(4), || None);
        };
        during(1, call, |_| body()).0
    }
}

#[test]
fn every_query_has_data_and_every_rule_fires_and_resolves() {
    if !Prometheus::is_installed() || !Host::current().is_local() {
        skip(
            "Prometheus",
            "this machine does not have it, or another root keeps it apart",
        );
        return;
    }
    let rules = rules();
    assert_eq!(Prometheus::complaints_about_rules(&rules), "");
    assert_eq!(
        Prometheus::complaints_about_rules(&file("doc/alerts.yml")),
        ""
    );
    let scene = Scene::new();
    let prometheus = Prometheus::start(scene.kamailio.address(), "/memcached", &rules);
    // Prometheus itself begins some seconds after its start.
    let certificate = BTreeSet::from(["MemcachedCertificateExpires".to_owned()]);
    let begin = scene.under_load("calm", || {
        let seen = || firing(&prometheus) == certificate;
        wait::until("the certificate to be noticed", LIMIT, seen);
        let begin = now();
        wait::until("some seconds in which nothing else fires", LIMIT, || {
            now() - begin > 5.0 && seen()
        });
        begin
    });
    let killed = now();
    scene.servers[1].kill();
    scene.under_load("trouble", || {
        wait::until("all rules to fire", LIMIT, || {
            firing(&prometheus) == names(&rules)
        });
    });
    let back = now();
    scene.servers[1].restart();
    std::fs::copy(scene.authority.file(), &scene.trusted).expect("the folder is ours");
    scene.kamailio.rpc("memcached.reload", &["secured"]);
    scene.under_load("calm", || {
        let quiet = || firing(&prometheus).is_empty();
        wait::until("all rules to resolve", LIMIT, quiet);
    });
    let span = (begin, now());
    let panels = board::panels(&file("doc/grafana.json"));
    assert!(panels.len() > 10);
    for panel in &panels {
        for query in &panel.queries {
            let series = query.ask(&prometheus, span);
            let has_data = series.iter().any(|series| !series.points.is_empty());
            assert!(has_data, "{}: {}", panel.title, query.expression);
        }
    }
    if let Some(path) = std::env::var_os("MCT_BOARD") {
        let drawn = board::draw(
            &panels,
            &prometheus,
            span,
            &[(killed, "mc-b is killed"), (back, "mc-b is back")],
        );
        std::fs::write(path, drawn).expect("the picture");
    }
}
