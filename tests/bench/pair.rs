//! `Pair` is a Kamailio with four workers and its own memcached, and the requests with which a
//! fault is measured.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use support::sip::Pending;
use support::{Kamailio, Memcached, Request};

/// The stock module never needs so long.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// The number of workers.
pub const WORKERS: usize = 4;

const GET: &str = "$mct(k)";
const PROCESS: &str = "$pp";
const WORST: &str = "$var(worst)";

/// The two servers.
pub struct Pair {
    pub kamailio: Kamailio,
    pub memcached: Memcached,
}

/// Gets by all workers at the same time.
pub struct Sweep {
    pub workers: usize,
    pub hits: usize,
    pub asked: usize,
}

impl Pair {
    /// Starts them, with the stock module or with ours. An operation may take a second.
    pub fn start(stock: bool) -> Pair {
        let memcached = Memcached::start();
        let builder = Kamailio::builder().children(WORKERS).memcached(&memcached);
        let builder = if stock {
            builder.stock_module()
        } else {
            builder
        };
        let kamailio = builder
            .param("timeout", 1000)
            .module("cfgutils")
            .script("get", "", &[GET])
            // A worker that sleeps takes no second request.
            .script("sweep", "usleep(\"20000\");", &[GET, PROCESS])
            .script("ten", &"$var(x) = $mct(k);\n".repeat(10), &[])
            .script("later", LATER, &[WORST])
            .start();
        let pair = Pair {
            kamailio,
            memcached,
        };
        pair.put();
        pair
    }

    /// Stores what the gets will read.
    pub fn put(&self) {
        self.memcached.put("k", 1, 0, "value");
    }

    /// Sends `count` gets at the same time and waits until all are answered. Meanwhile it calls
    /// `meanwhile` again and again.
    pub fn gets(&self, count: usize, mut meanwhile: impl FnMut()) {
        let request = || Request::options().user("get").wait_limit(LONGEST_WAIT);
        let pending: Vec<Pending> = (0..count).map(|_| self.kamailio.send(request())).collect();
        while !pending.iter().all(Pending::is_done) {
            meanwhile();
        }
        for pending in pending {
            self.answered(pending);
        }
    }

    /// Sends a request that does not use the cache.
    pub fn bystander(&self) -> Pending {
        self.kamailio
            .send(Request::options().wait_limit(LONGEST_WAIT))
    }

    /// Waits for a response and returns how long it took.
    pub fn answered(&self, pending: Pending) -> Duration {
        match pending.wait() {
            Ok(response) => response.elapsed,
            Err(error) => self.kamailio.fail(&format!("no response: {error}")),
        }
    }

    /// The time of ten gets in one request.
    pub fn ten(&self) -> Duration {
        self.kamailio
            .run_with("ten", Request::options().wait_limit(LONGEST_WAIT))
            .elapsed()
    }

    /// The time of the slowest one of `count` gets in a row, measured by the script.
    pub fn later(&self, count: usize) -> Duration {
        let request = Request::options()
            .header("X-N", count.to_string())
            .wait_limit(LONGEST_WAIT);
        let answer = self.kamailio.run_with("later", request);
        let worst = answer[WORST]
            .int()
            .and_then(|micros| u64::try_from(micros).ok());
        Duration::from_micros(worst.unwrap_or_else(|| self.kamailio.fail("no time")))
    }

    /// Lets every worker do one get, all at the same time.
    pub fn sweep(&self) -> Sweep {
        let request = || Request::options().wait_limit(LONGEST_WAIT);
        let runs = (0..WORKERS).map(|_| self.kamailio.launch("sweep", request()));
        let runs: Vec<_> = runs.collect();
        let answers: Vec<_> = runs.into_iter().map(support::kamailio::Run::wait).collect();
        let workers: BTreeSet<_> = answers.iter().map(|answer| answer[PROCESS].int()).collect();
        let hits = answers
            .iter()
            .filter(|answer| answer[GET] == "value")
            .count();
        Sweep {
            workers: workers.len(),
            hits,
            asked: answers.len(),
        }
    }

    /// Sweeps until every worker finds the item ten times in a row. Returns the time from `since`
    /// until the first of these sweeps, and the number of gets that failed before.
    pub fn recovery(&self, since: Instant) -> (Duration, usize) {
        let (mut begun, mut failed, mut good) = (Duration::ZERO, 0, 0);
        while good < 10 {
            let sweep = self.sweep();
            failed += sweep.asked - sweep.hits;
            if sweep.hits < sweep.asked {
                good = 0;
            } else if sweep.workers == WORKERS {
                if good == 0 {
                    begun = since.elapsed();
                }
                good += 1;
            }
            if since.elapsed() > LONGEST_WAIT {
                self.kamailio.fail("no recovery");
            }
        }
        (begun, failed)
    }
}

/// `$TV(un)` has the microseconds that belong to the seconds of the last `$TV(sn)`.
const LATER: &str = "
    $var(n) = $(hdr(X-N){s.int});
    $var(i) = 0;
    $var(worst) = 0;
    while ($var(i) < $var(n)) {
        $var(s) = $TV(sn);
        $var(u) = $TV(un);
        $var(x) = $mct(k);
        $var(t) = ($TV(sn) - $var(s)) * 1000000;
        $var(t) = $var(t) + $TV(un) - $var(u);
        if ($var(t) > $var(worst)) $var(worst) = $var(t);
        $var(i) = $var(i) + 1;
    }";
