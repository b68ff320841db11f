//! Measures what placement costs: to hash a short key, to find its server, and to build a ring.
//! Every step waits for the result of the step before, as in a worker that has one key. Independent
//! steps would overlap and seem cheaper. The output is the median with the 5th and 95th
//! percentiles.

use std::hint::black_box;
use std::time::Instant;

use kamailio_memcached::internals::{
    Distribution, Placement, Ring, ServerSpec, System, parse_list,
};

/// The number of measurements per line, and of keys per measurement.
const SAMPLES: usize = 201;
const KEYS: usize = 4096;

fn main() {
    // `cargo test --all-targets` starts benches, too. Then nothing is measured.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let keys: Vec<Vec<u8>> = (0..KEYS)
        .map(|i| format!("loc:sip:{:05}@example.com", i * 7919 % 100_000).into_bytes())
        .collect();

    println!("hash of a {}-byte key, ns", keys[0].len());
    for system in [System::Libmemcached, System::Libmc, System::Twemproxy] {
        for (name, hash) in system.hashes() {
            let cost = each(&keys, |key| hash.hash(key));
            println!("  {:<26}{cost}", format!("{system:?} {name}"));
        }
    }

    for (title, servers) in [
        ("10 servers", equal(10)),
        ("100 weighted servers", weighted(100)),
    ] {
        println!("server of a hash, {title}, ns");
        for distribution in Distribution::ALL {
            let (placement, ring) = pool(distribution, &servers);
            let hashes: Vec<u32> = keys.iter().map(|key| placement.hash(key)).collect();
            println!("  {:<26}{}", distribution.name(), each_hash(&hashes, &ring));
        }
    }

    println!("server of a key beside its bare hash, 100 weighted servers, ns");
    for distribution in Distribution::ALL {
        let (placement, ring) = pool(distribution, &weighted(100));
        let bare = each(&keys, |key| placement.hash.hash(key));
        let whole = each(&keys, |key| placement.owner(&ring, key) as u32);
        println!(
            "  {:<26}{whole}   bare hash {:.1}",
            distribution.name(),
            bare.median
        );
    }

    println!("building a ring of 100 weighted servers, µs");
    for distribution in Distribution::ALL {
        let servers = weighted(100);
        let placement = Placement::new(distribution);
        let cost = Spread::of((0..SAMPLES).map(|_| {
            let start = Instant::now();
            black_box(placement.ring(black_box(&servers), |_| true));
            start.elapsed().as_secs_f64() * 1e6
        }));
        println!("  {:<26}{cost}", distribution.name());
    }
}

fn equal(count: usize) -> Vec<ServerSpec> {
    servers(count, |_| 1)
}

fn weighted(count: usize) -> Vec<ServerSpec> {
    servers(count, |i| 1 + i % 10)
}

fn servers(count: usize, weight: impl Fn(usize) -> usize) -> Vec<ServerSpec> {
    let items = (0..count).map(|i| format!("10.0.{}.{}:11211:{}", i / 250, i % 250, weight(i)));
    let list = items.collect::<Vec<_>>().join(",");
    parse_list(&list).expect("a good list")
}

fn pool(distribution: Distribution, servers: &[ServerSpec]) -> (Placement, Ring) {
    let placement = Placement::new(distribution);
    let ring = placement.ring(servers, |_| true).expect("a live server");
    (placement, ring)
}

/// Nanoseconds per key. Each key depends on the answer for the key before.
fn each(keys: &[Vec<u8>], answer: impl Fn(&[u8]) -> u32) -> Spread {
    let nothing = black_box(0);
    Spread::of((0..SAMPLES).map(|_| {
        let start = Instant::now();
        let last = keys.iter().fold(0, |last: u32, key| {
            let from = (last & nothing) as usize;
            answer(&key[from..])
        });
        black_box(last);
        start.elapsed().as_secs_f64() * 1e9 / keys.len() as f64
    }))
}

/// Nanoseconds per key whose hash is given.
fn each_hash(hashes: &[u32], ring: &Ring) -> Spread {
    let nothing = black_box(0);
    Spread::of((0..SAMPLES).map(|_| {
        let start = Instant::now();
        let last = hashes.iter().fold(0, |last: u32, hash| {
            ring.owner(hash ^ (last & nothing)) as u32
        });
        black_box(last);
        start.elapsed().as_secs_f64() * 1e9 / hashes.len() as f64
    }))
}

struct Spread {
    low: f64,
    median: f64,
    high: f64,
}

impl Spread {
    fn of(samples: impl Iterator<Item = f64>) -> Spread {
        let mut samples: Vec<f64> = samples.collect();
        samples.sort_by(f64::total_cmp);
        let at = |percent: usize| samples[(samples.len() - 1) * percent / 100];
        Spread {
            low: at(5),
            median: at(50),
            high: at(95),
        }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:8.1}  ({:.1} to {:.1})",
            self.median, self.low, self.high
        )
    }
}
