//! Measures what is gained where a script does not wait for each answer: many items at the same time, items
//! that were asked for ahead, and deferred writes. Some servers are far away. Each script runs in a call of
//! its own, since answers are kept until the message ends.

use std::time::Duration;

use support::{Kamailio, Memcached};

use crate::candidate::{Candidate, once};
use crate::distance;
use crate::operation::UNROLLED;
use crate::rounds::{paired, spread};

/// How far away the servers behind a proxy are, there and back.
pub const AWAY: Duration = Duration::from_millis(1);

const ITEMS: usize = 10;

/// What was measured.
pub struct Ahead {
    /// The time of ten items at the same time, by the time of one.
    pub ten_by_one: f64,
    /// The time of ten items on ten servers that are [`AWAY`], in ms.
    pub ten_servers: f64,
    /// How long ten such items are waited for that were asked for before other work of [`AWAY`], in ms.
    pub after_work: f64,
    /// The time of a deferred write, by the time of one that waits: of a near server, and of one that is
    /// [`AWAY`].
    pub deferred: [f64; 2],
}

/// Measures all of it, in so many rounds. Loops of near servers have `turns` turns.
pub fn measure(rounds: usize, turns: u32) -> Ahead {
    let servers: [Memcached; ITEMS] = std::array::from_fn(|_| Memcached::start());
    let far = distance::of(&servers.each_ref().map(Memcached::address), AWAY)
        .expect("a proxy for each server");
    let near = servers[0].address();
    let pool = |name, servers: &str, deferred| {
        format!("name={name};servers={servers};deferred_writes={deferred};timeout=1000")
    };
    let names =
        |pool: &str| -> Vec<_> { (0..ITEMS).map(|item| format!("{pool}k{item}")).collect() };
    for name in names("") {
        servers
            .iter()
            .for_each(|server| server.put(&*name, 1, 0, "0123456789abcdef"));
    }
    let reads = |pool| -> String {
        let read = |name| format!("$var(x) = $mct({name}); ");
        names(pool).into_iter().map(read).collect()
    };
    let many = |pool| format!("mct_mget(\"{}\"); {}", names(pool).join(","), reads(pool));
    let asked = format!(
        "mct_prefetch(\"{}\"); usleep({});",
        names("ten=>").join(","),
        AWAY.as_micros()
    );
    let builder = Kamailio::on(&servers[0])
        .module("cfgutils")
        .param("timeout", 1000)
        .param("pool", pool("later", near, 1))
        .param("pool", pool("far", &far[0], 0))
        .param("pool", pool("far-later", &far[0], 1))
        .param("pool", pool("ten", &far.join(","), 0));
    let singles = [
        ("one", "", "$var(x) = $mct(k0);".into()),
        ("many", "", many("")),
        ("many-ten", "", many("ten=>")),
        ("after-work", &*asked, reads("ten=>")),
    ];
    let builder = singles
        .iter()
        .fold(builder, |builder, (name, before, statement)| {
            once(builder, name, before, statement)
        });
    let writes = [
        ("near", "", "$mct(w) = \"0123456789abcdef\";"),
        ("near-later", "", "$mct(later=>w) = \"0123456789abcdef\";"),
        ("far", "", "$mct(far=>w) = \"0123456789abcdef\";"),
        (
            "far-later",
            "",
            "$mct(far-later=>w) = \"0123456789abcdef\";",
        ),
    ];
    let candidate = Candidate::with_scripts(&[], builder, &writes);
    let run = |script: &str, turns| candidate.run(script, turns).as_secs_f64();
    // Connections are opened before, and no reply is owed by those of the loops that are not measured.
    let times = |script: &'static str, turns| -> Vec<f64> {
        run(script, 1);
        (0..rounds).map(|_| run(script, turns)).collect()
    };
    let median = |times: &[f64]| spread(times).expect("a round at least").median;
    let ratio = |scripts: [&'static str; 2], turns| {
        let [left, right] = scripts.map(|script| times(script, turns));
        paired(&left, &right, |left, right| left / right).expect("a round at least")
    };
    // With that many writes, one in 64 waits for all.
    let far_turns = 64 / UNROLLED + 1;
    let before = servers.each_ref().map(|server| server.stat("cmd_get"));
    // The near ones first: what stands for a network does not rest once it is used.
    let ten_by_one = ratio(["many", "one"], 1);
    let near_deferred = ratio(["near-later", "near"], turns);
    let ahead = Ahead {
        ten_by_one,
        ten_servers: median(&times("many-ten", 1)) * 1e3,
        after_work: median(&times("after-work", 1)) * 1e3,
        deferred: [near_deferred, ratio(["far-later", "far"], far_turns)],
    };
    let after = servers.each_ref().map(|server| server.stat("cmd_get"));
    let asked: u64 = after
        .iter()
        .zip(before)
        .map(|(after, before)| after - before)
        .sum();
    let due = (rounds + 1) * (1 + 3 * ITEMS);
    assert_eq!(
        asked, due as u64,
        "each item is asked for once in each call"
    );
    ahead
}
