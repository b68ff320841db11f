//! Measures what compression and large values cost: a write that is compressed beside flate2 alone, and a value
//! of five parts beside five values of one part each.

use std::hint::black_box;
use std::time::Instant;

use flate2::{Compress, Compression, FlushCompress};
use support::{Kamailio, Memcached};

use crate::candidate::{Candidate, once};
use crate::rounds::spread;

/// What was measured.
pub struct Values {
    /// What compressing costs more than a plain write, by the time that flate2 takes for it.
    pub compression: f64,
    /// The same of flate2, in µs.
    pub flate2: f64,
    /// The speed of writing five parts, by that of five items.
    pub writing: f64,
    /// The speed of reading them.
    pub reading: f64,
}

/// So long a text is compressed, in bytes.
pub const TEXT: usize = 8192;

const PART: usize = 1_000_000;
const PARTS: usize = 5;

/// The devices of a user, as a provisioning system keeps them.
fn text() -> String {
    let devices = (0..).map(|number: u64| {
        let random = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        format!(
            r#"{{"contact":"sip:{random:x}@10.{}.{}.{}:5060;transport=udp","expires":{},"q":0.5}},"#,
            random % 199,
            random / 199 % 251,
            random / 49_949 % 253,
            random % 3600
        )
    });
    let mut text = String::new();
    devices
        .take_while(|device| {
            text += device;
            text.len() < TEXT
        })
        .for_each(drop);
    text.truncate(TEXT);
    text
}

/// Measures all of it, in so many rounds.
pub fn measure(rounds: usize, turns: u32) -> Values {
    let memcached = Memcached::with(&["-I", "8m", "-m", "256"]);
    memcached.put("text", 1, 0, text());
    for (name, parts) in [("one", 1), ("five", PARTS)] {
        memcached.put(name, 1, 0, "v".repeat(parts * PART));
    }
    let items = |what: &str| -> String {
        (0..PARTS)
            .map(|at| what.replace('#', &at.to_string()))
            .collect()
    };
    let builder = Kamailio::on(&memcached)
        .arg("-M")
        .arg("64")
        .param("mode", 0)
        .param(
            "pool",
            format!(
                "name=zip;servers={};compress_min=1;mode=0",
                memcached.address()
            ),
        )
        .param(
            "pool",
            format!(
                "name=large;servers={};large_values=1;mode=0",
                memcached.address()
            ),
        );
    let loops = [
        ("plain", "$var(v) = $mct(text);", "$mct(t) = $var(v);"),
        ("zip", "$var(v) = $mct(text);", "$mct(zip=>z) = $var(v);"),
    ];
    let builder = [
        (
            "write-items",
            "$var(v) = $mct(one);",
            items("$mct(k#) = $var(v); "),
        ),
        (
            "write-parts",
            "$var(v) = $mct(five);",
            "$mct(large=>five) = $var(v);".into(),
        ),
        ("read-items", "", items("$var(v) = $mct(k#); ")),
        ("read-parts", "", "$var(v) = $mct(large=>five);".into()),
    ]
    .iter()
    .fold(builder, |builder, (name, before, statement)| {
        once(builder, name, before, statement)
    });
    let candidate = Candidate::with_scripts(&[], builder, &loops);
    let time = |script: &str, turns| candidate.run(script, turns).as_secs_f64();
    let mut figures: [Vec<f64>; 3] = Default::default();
    let mut alone = Vec::new();
    for round in 0..=rounds {
        let own = flate2_alone(&text(), turns);
        let operations = f64::from(turns * crate::operation::UNROLLED);
        let more = (time("zip", turns) - time("plain", turns)) / operations;
        let writing = time("write-items", 1) / time("write-parts", 1);
        let reading = time("read-items", 1) / time("read-parts", 1);
        // The first round opens connections.
        if round > 0 {
            alone.push(own * 1e6);
            for (figure, value) in figures.iter_mut().zip([more / own, writing, reading]) {
                figure.push(value);
            }
        }
    }
    assert!(
        memcached
            .item("z")
            .is_some_and(|item| item.value.len() < TEXT),
        "compressed"
    );
    let median = |values: &[f64]| spread(values).expect("a round at least").median;
    let [compression, writing, reading] = figures.each_ref().map(|values| median(values));
    Values {
        compression,
        flate2: median(&alone),
        writing,
        reading,
    }
}

/// How long flate2 takes to compress the text, in seconds.
fn flate2_alone(text: &str, turns: u32) -> f64 {
    let begun = Instant::now();
    for _ in 0..turns {
        let mut packed = Vec::with_capacity(text.len());
        let mut zlib = Compress::new(Compression::default(), true);
        let ended = zlib.compress_vec(text.as_bytes(), &mut packed, FlushCompress::Finish);
        ended.expect("it fits");
        black_box(packed);
    }
    begun.elapsed().as_secs_f64() / f64::from(turns)
}
