//! Measures what a second copy of each item costs: writes to two servers beside writes to one, near and far, and
//! reads of such items.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use support::{Kamailio, Memcached};

use crate::ahead::AWAY;
use crate::candidate::{Candidate, EMPTY};
use crate::distance;
use crate::instructions::Callgrind;
use crate::operation::UNROLLED;
use crate::rounds::paired;

/// What was measured. Ratios are two copies by one.
pub struct Copies {
    /// The time of a write.
    pub write: f64,
    /// The same of a bare loop that sends the same bytes.
    pub bare: f64,
    /// The same if each server is [`AWAY`].
    pub far_write: f64,
    /// Instructions of a read, with its share of the loop: of one copy, and of two.
    pub reads: [f64; 2],
}

/// So many turns of a loop wait for servers that are [`AWAY`].
const FAR_TURNS: u32 = 2;

const WRITES: [(&str, &str, &str); 5] = [
    ("one", "", "$mct(one=>w) = \"0123456789abcdef\";"),
    ("two", "", "$mct(two=>w) = \"0123456789abcdef\";"),
    ("far-one", "", "$mct(far-one=>w) = \"0123456789abcdef\";"),
    ("far-two", "", "$mct(far-two=>w) = \"0123456789abcdef\";"),
    (EMPTY, "", ""),
];

const READS: [(&str, &str, &str); 2] = [
    ("one", "", "$var(x) = $mct(one=>w);"),
    ("two", "", "$var(x) = $mct(two=>w);"),
];

const REQUEST: &[u8] = b"set w 1 10800 16\r\n0123456789abcdef\r\n";
const REPLY: &[u8] = b"STORED\r\n";

/// The time of so many writes to all of these servers, in seconds: each is sent to all, then all answers are received.
fn loop_of(streams: &mut [TcpStream], count: u32) -> f64 {
    let begun = Instant::now();
    let mut reply = [0; REPLY.len()];
    for _ in 0..count {
        for stream in streams.iter_mut().rev() {
            stream.write_all(REQUEST).expect("it takes a request");
        }
        for stream in streams.iter_mut() {
            stream.read_exact(&mut reply).expect("it answers");
        }
    }
    assert_eq!(reply, *REPLY);
    begun.elapsed().as_secs_f64()
}

/// Measures all of it, in so many rounds.
pub fn measure(rounds: usize, turns: u32, counted_turns: u32) -> Copies {
    let servers = [Memcached::start(), Memcached::start()];
    let near = servers.each_ref().map(Memcached::address);
    let far = distance::of(&near, AWAY).expect("a proxy for each server");
    let pool = |name, servers: &str, replicas| {
        format!("name={name};servers={servers};replicas={replicas};timeout=1000")
    };
    let builder = || {
        Kamailio::on(&servers[0])
            .param("pool", pool("one", &near.join(","), 1))
            .param("pool", pool("two", &near.join(","), 2))
            .param("pool", pool("far-one", &far.join(","), 1))
            .param("pool", pool("far-two", &far.join(","), 2))
    };
    let candidate = Candidate::with_scripts(&[], builder(), &WRITES);
    let ratio = |[one, two]: [&'static str; 2], turns: u32| {
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..=rounds {
            let empty = candidate.run(EMPTY, turns).as_secs_f64();
            let own = [one, two].map(|script| candidate.run(script, turns).as_secs_f64() - empty);
            // The first round opens connections.
            if round > 0 {
                times
                    .iter_mut()
                    .zip(own)
                    .for_each(|(times, own)| times.push(own));
            }
        }
        paired(&times[1], &times[0], |two, one| two / one).expect("a round at least")
    };
    let mut streams = near.map(|address| TcpStream::connect(address).expect("it listens"));
    for stream in &streams {
        stream.set_nodelay(true).expect("TCP");
    }
    let mut bare = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (count, times) in (1..).zip(&mut bare) {
            times.push(loop_of(&mut streams[..count], turns * UNROLLED));
        }
    }
    let bare = paired(&bare[1], &bare[0], |two, one| two / one).expect("a round at least");
    let sets = || -> u64 { servers.iter().map(|server| server.stat("cmd_set")).sum() };
    let before = sets();
    let (write, far_write) = (
        ratio(["one", "two"], turns),
        ratio(["far-one", "far-two"], FAR_TURNS),
    );
    let due = 3 * u64::from((turns + FAR_TURNS) * UNROLLED) * (rounds as u64 + 1);
    assert_eq!(sets() - before, due, "each write is done at its servers");

    let callgrind = Callgrind::around(|words| Candidate::with_scripts(words, builder(), &READS));
    let count = |script: &str| {
        callgrind.candidate().run(script, 1);
        callgrind.turn(script, counted_turns).values().sum::<f64>() / f64::from(UNROLLED)
    };
    let reads = READS.map(|(script, ..)| count(script));
    Copies {
        write,
        bare,
        far_write,
        reads,
    }
}
