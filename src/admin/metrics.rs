//! Metrics: the statistics of all pools and servers as a page in Prometheus' text form.
//!
//! Names follow Prometheus' own rules: what only grows ends with `_total`, times are seconds. What is of a
//! pool has the label `pool`; what is of a server has `server` (its address) and `alias`, too.

use std::fmt::Display;
use std::io::Write as _;

use crate::cache::Cache;
use crate::error::Refusal;
use crate::health::State;
use crate::health::latency::BOUNDS;
use crate::memory;
use crate::pool::{Member, Pool};
use crate::stats::{Shown, TABLE};

/// So many bytes are enough for what is told once, and of a pool or a server. The page itself has some 10 KB, and
/// 3 KB for each server.
const ROOM_OF_PART: usize = 32 << 10;

/// Writes the page.
///
/// # Errors
/// [`Refusal::Memory`]: there is not enough for it.
pub(crate) fn page(cache: &mut Cache, page: &mut Vec<u8>) -> Result<(), Refusal> {
    cache.refresh();
    let parts = |pool: &Pool| 1 + pool.members().len();
    let parts = 1 + cache.pools().iter().map(parts).sum::<usize>();
    if !memory::has(parts * ROOM_OF_PART) {
        return Err(Refusal::Memory);
    }
    let mut page = Page(page);
    page.family("info", Kind::Gauge, "the version of the module");
    let version = label("version", env!("CARGO_PKG_VERSION"));
    page.sample("info", &version, 1);
    put_pools(&mut page, cache.pools());
    put_servers(&mut page, cache.pools());
    Ok(())
}

fn put_pools(page: &mut Page, pools: &[Pool]) {
    let labels = pools
        .iter()
        .map(|pool| label("pool", &pool.settings().name));
    let pools: Vec<(&Pool, String)> = pools.iter().zip(labels).collect();
    for row in TABLE {
        let (kind, ending) = match row.shown {
            Shown::Counter => (Kind::Counter, "_total"),
            Shown::Gauge => (Kind::Gauge, ""),
            Shown::Failures => continue,
        };
        let name = format!("pool_{}{ending}", row.name.to_string_lossy());
        page.family(&name, kind, &row.about.to_string_lossy());
        for (pool, labels) in &pools {
            page.sample(&name, labels, pool.statistic(row));
        }
    }
    let name = "pool_failures_total";
    let about = "operations that failed, by what they came to";
    page.family(name, Kind::Counter, about);
    for (pool, labels) in &pools {
        for (reason, count) in pool.stats().failures.by_reason() {
            let labels = format!("{labels},{}", label("reason", reason.word()));
            page.sample(name, &labels, count);
        }
    }
    let ends = pools
        .iter()
        .filter_map(|(pool, labels)| Some((labels, pool.settings().tls.end()?)));
    let ends: Vec<_> = ends.collect();
    if !ends.is_empty() {
        let name = "pool_certificate_expiry_timestamp_seconds";
        let about = "when the first of the certificates in the pool's files expires, in Unix time";
        page.family(name, Kind::Gauge, about);
        for (labels, end) in ends {
            page.sample(name, labels, end);
        }
    }
}

fn put_servers(page: &mut Page, pools: &[Pool]) {
    let servers = pools
        .iter()
        .flat_map(|pool| pool.members().iter().map(move |member| (pool, member)));
    let servers: Vec<(&Member, String)> = servers
        .map(|(pool, member)| (member, labels_of(pool, member)))
        .collect();

    let name = "server_state";
    let about = "1 for the state that the server is in, 0 for the others";
    page.family(name, Kind::Gauge, about);
    for (member, labels) in &servers {
        let present = member.health().state();
        for state in State::ALL {
            let labels = format!("{labels},{}", label("state", state.word()));
            page.sample(name, &labels, u64::from(state == present));
        }
    }
    let name = "server_in_flight";
    page.family(name, Kind::Gauge, "operations under way at the server now");
    for (member, labels) in &servers {
        page.sample(name, labels, member.health().counts().0);
    }
    let name = "server_operations_total";
    page.family(name, Kind::Counter, "operations made at the server");
    for (member, labels) in &servers {
        page.sample(name, labels, member.health().counts().1);
    }
    let name = "server_failures_total";
    let about = "operations that failed at the server, by what they came to";
    page.family(name, Kind::Counter, about);
    for (member, labels) in &servers {
        for (reason, count) in member.health().failures() {
            let labels = format!("{labels},{}", label("reason", reason.word()));
            page.sample(name, &labels, count);
        }
    }
    let name = "server_answer_seconds";
    let about =
        "how long answers took; while latency_limit is 0, one in 16 is measured and counts for 16";
    page.family(name, Kind::Histogram, about);
    for (member, labels) in &servers {
        page.histogram(name, labels, member);
    }
}

/// The labels of a server.
fn labels_of(pool: &Pool, member: &Member) -> String {
    let spec = member.spec();
    [
        label("pool", &pool.settings().name),
        label("server", &spec.address.to_string()),
        label("alias", spec.alias.as_deref().unwrap_or_default()),
    ]
    .join(",")
}

/// A label, whatever is in its value.
fn label(name: &str, value: &str) -> String {
    let value = value.replace('\\', r"\\").replace('"', "\\\"");
    format!("{name}=\"{}\"", value.replace('\n', r"\n"))
}

/// What a family of samples is.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// What stands before every name.
const PREFIX: &str = "kamailio_memcached_";

/// The page, as far as it is written.
struct Page<'a>(&'a mut Vec<u8>);

impl Page<'_> {
    /// Here begin the samples of that name.
    fn family(&mut self, name: &str, kind: Kind, about: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {PREFIX}{name} {about}"));
        self.line(format_args!("# TYPE {PREFIX}{name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        self.line(format_args!("{PREFIX}{name}{{{labels}}} {value}"));
    }

    fn histogram(&mut self, name: &str, labels: &str, member: &Member) {
        let histogram = member.server().latency().histogram();
        for (bound, count) in BOUNDS.into_iter().zip(histogram.within) {
            let bound = seconds(u64::from(bound));
            let labels = format!("{labels},le=\"{bound}\"");
            self.sample(&format!("{name}_bucket"), &labels, count);
        }
        let labels_of_all = format!("{labels},le=\"+Inf\"");
        self.sample(&format!("{name}_bucket"), &labels_of_all, histogram.count);
        self.sample(&format!("{name}_sum"), labels, seconds(histogram.sum));
        self.sample(&format!("{name}_count"), labels, histogram.count);
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Nothing fails that is written to memory.
        let _ = writeln!(self.0, "{line}");
    }
}

/// So many microseconds.
fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::super::tests::cache;
    use super::*;
    use crate::clock::Moment;
    use crate::status::Status;

    fn written(cache: &mut Cache) -> String {
        let mut text = b"before\n".to_vec();
        page(cache, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        text.strip_prefix("before\n").unwrap().into()
    }

    /// The value of the sample with that name and these labels.
    fn sample<'t>(text: &'t str, sample: &str) -> &'t str {
        let found = text
            .lines()
            .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("no {sample} in\n{text}"))
    }

    #[test]
    fn pools_and_servers_are_told_apart_by_labels() {
        let mut cache = cache(&[("servers", "a one,b:5"), ("pool", "name=hot;servers=/c")]);
        let [default, hot] = cache.pools() else {
            panic!("two pools");
        };
        default.stats().hits.add(7);
        default.stats().failures.count(Status::Busy);
        hot.members()[0].server().set(State::Disabled);
        let server = default.members()[0].server();
        server.health().begin();
        server.health().count_failure(Status::Garbled);
        let time = Duration::from_millis(1500);
        server.latency().record(Moment::now(), time, 16);
        let text = written(&mut cache);
        for (name, value) in [
            (r#"pool_hits_total{pool="default"}"#, "7"),
            (r#"pool_hits_total{pool="hot"}"#, "0"),
            (r#"pool_gets_total{pool="default"}"#, "7"),
            (r#"pool_servers_active{pool="default"}"#, "2"),
            (r#"pool_servers_active{pool="hot"}"#, "0"),
            (r#"pool_failures_total{pool="default",reason="busy"}"#, "1"),
        ] {
            assert_eq!(sample(&text, &format!("{PREFIX}{name}")), value, "{name}");
        }
        let one = r#"pool="default",server="a:11211",alias="one""#;
        let path = r#"pool="hot",server="/c",alias="""#;
        for (name, labels, more, value) in [
            ("state", one, r#",state="active""#, "1"),
            ("state", path, r#",state="active""#, "0"),
            ("state", path, r#",state="disabled""#, "1"),
            ("in_flight", one, "", "1"),
            ("operations_total", one, "", "1"),
            ("failures_total", one, r#",reason="garbled""#, "1"),
            ("failures_total", one, r#",reason="down""#, "0"),
            ("answer_seconds_bucket", one, r#",le="1.048576""#, "0"),
            ("answer_seconds_bucket", one, r#",le="4.194304""#, "16"),
            ("answer_seconds_bucket", one, r#",le="+Inf""#, "16"),
            ("answer_seconds_sum", one, "", "24.000000"),
            ("answer_seconds_count", one, "", "16"),
            ("answer_seconds_count", path, "", "0"),
        ] {
            let name = format!("{PREFIX}server_{name}{{{labels}{more}}}");
            assert_eq!(sample(&text, &name), value, "{name}");
        }
    }

    #[test]
    fn each_family_is_told_once_before_its_samples_and_no_sample_comes_twice() {
        let mut cache = cache(&[("servers", "a,b"), ("pool", "name=hot;servers=c")]);
        let text = written(&mut cache);
        let (mut families, mut samples, mut family) = (BTreeSet::new(), BTreeSet::new(), "");
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                family = help.split(' ').next().unwrap();
                assert!(families.insert(family), "{line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let kind = kind.strip_prefix(family).unwrap();
                let is_total = family.ends_with("_total");
                assert_eq!(is_total, kind == " counter", "{line}");
            } else {
                let (sample, _) = line.rsplit_once(' ').unwrap();
                assert!(sample.starts_with(family), "{line}");
                assert!(samples.insert(sample), "{line}");
            }
        }
        assert!(!text.contains("certificate"), "there is none");
        // Every statistic has its place.
        for row in TABLE.iter().filter(|row| row.shown != Shown::Failures) {
            let name = format!("{PREFIX}pool_{}", row.name.to_str().unwrap());
            assert!(families.iter().any(|family| family.starts_with(&name)));
        }
    }

    #[test]
    fn a_label_may_hold_anything() {
        assert_eq!(label("alias", "a\\b\"c\nd"), r#"alias="a\\b\"c\nd""#);
    }

    #[test]
    fn a_page_of_a_hundred_servers_is_a_third_of_a_megabyte() {
        let servers: Vec<_> = (1..=100).map(|at| format!("10.0.0.{at} mc-{at}")).collect();
        let mut cache = cache(&[("servers", &servers.join(","))]);
        let length = written(&mut cache).len();
        assert!((250_000..400_000).contains(&length), "{length}");
    }
}
