//! Five servers, two copies of each item, and one server that is lost while all workers read: killed, or stopped.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use support::{Kamailio, Memcached, Request, wait};

use crate::pair::WORKERS;

/// The default.
pub const STALL_LIMIT: Duration = Duration::from_millis(200);

/// All reads while a server was lost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reads {
    pub count: usize,
    /// How many of them were no hits.
    pub failed: usize,
    /// By the script's own clock.
    pub longest: Duration,
}

impl Reads {
    fn and(self, other: Reads) -> Reads {
        Reads {
            count: self.count + other.count,
            failed: self.failed + other.failed,
            longest: self.longest.max(other.longest),
        }
    }
}

/// What was measured.
pub struct Lost {
    pub killed: Reads,
    pub stopped: Reads,
}

const KEYS: usize = 1000;

/// How many of them one request reads.
const READS: usize = 100;

/// So many requests come before and after the loss.
const REQUESTS: usize = 200;

const CALLERS: usize = 2 * WORKERS;

const FAILED: &str = "$var(failed)";
const WORST: &str = "$var(worst)";

/// Loses one server and then another.
pub fn measure() -> Lost {
    let servers: Vec<Memcached> = (0..5).map(|_| Memcached::start()).collect();
    let addresses: Vec<&str> = servers.iter().map(Memcached::address).collect();
    let write = format!(
        "$var(i) = 0;
         while ($var(i) < {KEYS}) {{ $mct(k$var(i)) = \"value\"; $var(i) = $var(i) + 1; }}"
    );
    let kamailio = Kamailio::builder()
        .global("max_while_loops=100000")
        .children(WORKERS)
        .param("servers", addresses.join(","))
        .param("replicas", 2)
        .param("timeout", 1000)
        .script("write", &write, &["$mcst"])
        .script("read", READ, &[FAILED, WORST])
        .start();
    let lose = |server: &Memcached, lose: fn(&Memcached)| {
        kamailio.run("write");
        let is_out = format!("server {} is inactive", server.address());
        under_load(&kamailio, |begun| {
            wait_for(begun, REQUESTS);
            lose(server);
            kamailio.wait_for_log(&is_out, wait::WAIT_LIMIT);
            wait_for(begun, begun.load(Ordering::Relaxed) + REQUESTS);
        })
    };
    let killed = lose(&servers[0], Memcached::kill);
    servers[0].restart();
    let is_back = format!("server {} is active", servers[0].address());
    kamailio.wait_for_log(&is_back, wait::WAIT_LIMIT);
    let stopped = lose(&servers[1], Memcached::pause);
    servers[1].resume();
    Lost { killed, stopped }
}

fn wait_for(begun: &AtomicUsize, count: usize) {
    wait::until("reads", wait::WAIT_LIMIT, || {
        begun.load(Ordering::Relaxed) >= count
    });
}

/// Reads without a break until the event is over. It is told how many requests have begun.
fn under_load(kamailio: &Kamailio, event: impl FnOnce(&AtomicUsize)) -> Reads {
    let (is_over, begun) = (AtomicBool::new(false), AtomicUsize::new(0));
    let caller = || {
        let mut reads = Reads::default();
        while !is_over.load(Ordering::Relaxed) {
            let from = begun.fetch_add(1, Ordering::Relaxed) * READS % KEYS;
            let request = Request::options().header("X-From", from.to_string());
            let answer = kamailio.run_with("read", request);
            let number = |name| answer[name].int().and_then(|it| u64::try_from(it).ok());
            let failed = number(FAILED).expect("a number");
            reads = reads.and(Reads {
                count: READS,
                failed: usize::try_from(failed).expect("a small number"),
                longest: Duration::from_micros(number(WORST).expect("a time")),
            });
        }
        reads
    };
    thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(caller)).collect();
        event(&begun);
        is_over.store(true, Ordering::Relaxed);
        let callers = callers.into_iter();
        let reads = callers.map(|caller| caller.join().expect("a caller that has ended"));
        reads.fold(Reads::default(), Reads::and)
    })
}

/// `$TV(un)` has the microseconds that belong to the seconds of the last `$TV(sn)`.
const READ: &str = "
    $var(k) = $(hdr(X-From){s.int});
    $var(end) = $var(k) + 100;
    $var(failed) = 0;
    $var(worst) = 0;
    while ($var(k) < $var(end)) {
        $var(s) = $TV(sn);
        $var(u) = $TV(un);
        $var(x) = $mct(k$var(k));
        $var(t) = ($TV(sn) - $var(s)) * 1000000;
        $var(t) = $var(t) + $TV(un) - $var(u);
        if ($mcst != \"hit\") $var(failed) = $var(failed) + 1;
        if ($var(t) > $var(worst)) $var(worst) = $var(t);
        $var(k) = $var(k) + 1;
    }";
