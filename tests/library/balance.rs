//! Checks that shares are even and that few keys move: how 1, 3, 10 and 100 servers share a million
//! keys, and how many keys change server when a server joins or leaves.
//!
//! The limits follow from the way each distribution works. The test prints the measured numbers,
//! and `tests/bench/balance.svg` shows them.

#[path = "../bench/measure.rs"]
mod measure;

use kamailio_memcached::internals::Distribution;
use kamailio_memcached::internals::Distribution::*;
use measure::Measurement;

/// Builds without optimisation are slow. A tenth of the keys also stays within the limits.
const KEYS: usize = if cfg!(debug_assertions) {
    100_000
} else {
    1_000_000
};

#[test]
fn keys_are_shared_evenly_and_few_of_them_move() {
    println!(
        "{:<18} servers   least    most  joining moves  leaving moves",
        ""
    );
    for distribution in Distribution::ALL {
        let measurement = Measurement::new(distribution, KEYS);
        for servers in [1, 3, 10, 100] {
            let shares = measurement.shares(servers);
            let joining = measurement.moved_by_joining(servers);
            let leaving = measurement.moved_by_leaving(servers);
            let (least, most) = (shares[0], shares[servers - 1]);
            let row = format!(
                "{:<18} {servers:7} {least:7.3} {most:7.3} {joining:14.3} {leaving:14.3}",
                distribution.name()
            );
            println!("{row}");

            let expected = Expected::of(distribution, servers);
            assert!(least >= 1.0 - expected.deviation, "least share: {row}");
            assert!(most <= 1.0 + expected.deviation, "greatest share: {row}");
            assert!(expected.joining.contains(joining), "joining: {row}");
            assert!(expected.leaving.contains(leaving), "leaving: {row}");
        }
    }
}

/// The limits for a pool of one size.
struct Expected {
    /// How far a server's share may differ from the fair share, which is 1.
    deviation: f64,
    joining: Range,
    leaving: Range,
}

struct Range(f64, f64);

impl Range {
    fn contains(&self, part: f64) -> bool {
        (self.0..=self.1).contains(&part)
    }
}

impl Expected {
    fn of(distribution: Distribution, servers: usize) -> Expected {
        match distribution {
            Ketama | SpyWeighted | Twemproxy => Self::of_ring(160.0, servers, 1.0 / 39.0),
            KetamaUnweighted | Spy | Libmc => Self::of_ring(100.0, servers, 0.0),
            Modula | TwemproxyModula => Self::of_modula(servers),
        }
    }

    /// The share of a server varies like 1/√points. Four times that is enough for a hundred
    /// servers. Only the keys of one server should move. But in single precision the share of every
    /// server on a weighted ring may be rounded from 40 texts to 39 or back, and that moves as many
    /// keys more.
    fn of_ring(points: f64, servers: usize, rounding: f64) -> Expected {
        let deviation = 4.0 / f64::sqrt(points);
        let one_of = |servers: usize| {
            let fair = 1.0 / servers as f64;
            Range(
                fair * (1.0 - deviation),
                fair * (1.0 + deviation) + rounding,
            )
        };
        Expected {
            deviation,
            joining: one_of(servers + 1),
            leaving: if servers == 1 {
                Range(0.0, 0.0)
            } else {
                one_of(servers)
            },
        }
    }

    /// Shares are even except for chance, and nearly all keys move. That is the price of modula.
    fn of_modula(servers: usize) -> Expected {
        let all_but = |stay: f64| Range(1.0 - stay - 0.01, 1.0 - stay + 0.01);
        Expected {
            deviation: 5.0 / f64::sqrt(KEYS as f64 / servers as f64),
            joining: all_but(1.0 / (servers + 1) as f64),
            leaving: all_but(1.0 / servers as f64),
        }
    }
}
