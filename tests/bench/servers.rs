//! Counts what ten servers cost more than one, in user instructions of a read: for a key of literal
//! text, and for a key with a variable, which must be hashed.

use std::hint::black_box;
use std::process::Command;
use std::{env, fs};

use kamailio_memcached::internals::{Given, Parameters};
use support::{Kamailio, Memcached, Scratch};

use crate::candidate::Candidate;
use crate::instructions::Callgrind;
use crate::operation::{Operation, UNROLLED};

/// With this argument, the program only hashes a key, as often as the next argument says.
pub const HASH_ONLY: &str = "--hash-only";

/// Instructions of a read, and of hashing its key.
pub struct Cost {
    pub literal: OneAndTen,
    pub variable: OneAndTen,
    pub hash: f64,
}

/// Instructions of a read with one server and with ten.
#[derive(Clone, Copy)]
pub struct OneAndTen {
    pub one: f64,
    pub ten: f64,
}

const TEN: usize = 10;

/// Counts reads in pools of one server and of ten, with the default distribution and hash.
pub fn count(turns: u32) -> Cost {
    let servers: [Memcached; TEN] = std::array::from_fn(|_| Memcached::start());
    servers
        .iter()
        .for_each(|server| Operation::Get16.store(server));
    let addresses: Vec<&str> = servers.iter().map(Memcached::address).collect();
    let builder = Kamailio::builder()
        .param("servers", addresses[0])
        .param("pool", format!("name=ten;servers={}", addresses.join(",")));
    let key = Operation::Get16.name();
    let made = format!("$var(k) = \"{key}\";");
    let scripts = [
        ("literal-one", "", format!("$var(x) = $mct({key});")),
        ("literal-ten", "", format!("$var(x) = $mct(ten=>{key});")),
        ("variable-one", &*made, "$var(x) = $mct($var(k));".into()),
        (
            "variable-ten",
            &*made,
            "$var(x) = $mct(ten=>$var(k));".into(),
        ),
    ];
    let scripts = scripts
        .each_ref()
        .map(|(name, preparation, statement)| (*name, *preparation, &**statement));
    let callgrind = Callgrind::around(|words| Candidate::with_scripts(words, builder, &scripts));
    let hits = || -> u64 { servers.iter().map(|server| server.stat("get_hits")).sum() };
    let per_read = |name: &str| {
        callgrind.candidate().run(name, 1);
        let before = hits();
        let whole: f64 = callgrind.turn(name, turns).values().sum();
        // One turn at the start, then `turns`, then twice as many.
        let due = u64::from((1 + 3 * turns) * UNROLLED);
        assert_eq!(hits() - before, due, "reads of '{name}' that were hits");
        whole / f64::from(UNROLLED)
    };
    let [literal, variable] = ["literal", "variable"].map(|kind| OneAndTen {
        one: per_read(&format!("{kind}-one")),
        ten: per_read(&format!("{kind}-ten")),
    });
    Cost {
        literal,
        variable,
        hash: hash(key),
    }
}

/// Counts the instructions of hashing `key` with the default hash, in a process of its own.
fn hash(key: &str) -> f64 {
    const TIMES: u32 = 10_000;
    let executed = |times: u32| {
        let scratch = Scratch::new();
        let output = scratch.join("out");
        let status = Command::new("valgrind")
            .args(["--tool=callgrind", "--quiet"])
            .arg(format!("--callgrind-out-file={}", output.display()))
            .arg(env::current_exe().expect("this program"))
            .args([HASH_ONLY, key, &times.to_string()])
            .status();
        assert!(status.is_ok_and(|status| status.success()));
        let text = fs::read_to_string(&output).expect("our file");
        let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
        let total = total.and_then(|total| total.trim().parse::<f64>().ok());
        total.expect("callgrind's sum")
    };
    (executed(2 * TIMES) - executed(TIMES)) / f64::from(TIMES)
}

/// Does what [`HASH_ONLY`] asks for. Returns false if the argument was not given.
pub fn hash_only() -> bool {
    let words: Vec<String> = env::args().collect();
    let Some([_, key, times]) = words.get(1..4).filter(|words| words[0] == HASH_ONLY) else {
        return false;
    };
    let mut parameters = Parameters::default();
    let servers = parameters.set("servers", Given::Text("a, b"));
    servers.expect("a list of servers");
    let placement = parameters.settle().remove(0).settings.placement;
    for _ in 0..times.parse::<u32>().expect("a number") {
        black_box(placement.hash(black_box(key.as_bytes())));
    }
    true
}
