//! A server that falls silent and speaks again: one worker waits for it until its deadline, the
//! others give up at the stall limit, nobody else even begins, callers who do not use the cache
//! notice little, and afterwards all is well.

use std::thread;
use std::time::{Duration, Instant};

use support::{Answer, Kamailio};

use super::watch::{
    Bystanders, SLACK, assert_all, assert_no_read_waits, on_all_workers, reads, row, wait_for_state,
};

/// Of one operation.
const TIMEOUT: Duration = Duration::from_millis(3000);

/// Time enough for all workers to begin before the first one is overdue, on a busy machine, too.
const STALL_LIMIT: Duration = Duration::from_millis(1000);

/// The stall limit, and two fifths of it for the second look.
const LOOKED: Duration = Duration::from_millis(1400);

const RETRY: Duration = Duration::from_millis(300);

/// The longest that a probe may take which was under way when the server came back: the kernel asks for its
/// connection again after a second, and the timeout is the end of it.
const PROBE: Duration = Duration::from_millis(2000);

/// How a server falls silent.
pub struct Silence<'a> {
    pub address: &'a str,
    pub begin: &'a dyn Fn(),
    /// Without an end it is silent for ever.
    pub end: Option<&'a dyn Fn()>,
}

/// Who asks it.
#[derive(Debug, Clone, Copy)]
pub struct Asking {
    pub workers: usize,
    /// Whether all of them have used the server before.
    pub connected: bool,
    /// What they do, and the word for it when the server answers.
    pub operation: (&'static str, &'static str),
    pub failover: i64,
}

impl Asking {
    /// Workers that read.
    pub fn reading(workers: usize, connected: bool) -> Asking {
        Asking {
            workers,
            connected,
            operation: ("$var(x) = $mct(k);", "miss"),
            failover: 0,
        }
    }

    /// Workers that write, and would do so elsewhere if there were another server.
    pub fn writing(workers: usize, connected: bool) -> Asking {
        Asking {
            operation: ("$mct(k) = 1;", "stored"),
            failover: 1,
            ..Asking::reading(workers, connected)
        }
    }
}

impl Silence<'_> {
    /// From its beginning to its end.
    #[track_caller]
    pub fn assert_costs_little(&self, asking: Asking) {
        let (statement, word) = asking.operation;
        let builder = Kamailio::builder()
            .param("servers", self.address)
            .param("timeout", TIMEOUT.as_millis() as i64)
            .param("stall_limit", STALL_LIMIT.as_millis() as i64)
            .param("retry_interval", 300)
            .param("failover", asking.failover)
            .children(asking.workers)
            .rpc()
            .script("get", statement, &["$mcst"]);
        let kamailio = reads(builder).start();
        if asking.connected {
            assert_all(&kamailio, word);
        }
        (self.begin)();
        self.assert_bearable(&kamailio, asking);
        let Some(end) = self.end else {
            assert_eq!(row(&kamailio, self.address).state, "inactive");
            assert_eq!(kamailio.module_lines().len(), 2, "trying, inactive");
            return;
        };
        end();
        let back = wait_for_state(&kamailio, self.address, "active");
        assert!(back < RETRY + PROBE + SLACK, "{asking:?}: {back:?}");
        assert_all(&kamailio, word);
        let said = kamailio.module_lines();
        assert_eq!(said.len(), 3, "trying, inactive, active: {said:#?}");
    }

    /// While it is silent.
    #[track_caller]
    fn assert_bearable(&self, kamailio: &Kamailio, asking: Asking) {
        let bystanders = Bystanders::start(kamailio);
        let answers = thread::scope(|scope| {
            let answers = scope.spawn(|| on_all_workers(kamailio));
            wait_for_state(kamailio, self.address, "trying");
            let stalled = row(kamailio, self.address);
            assert_eq!(stalled.reason, "timeout");
            if asking.workers > 1 {
                // Whoever would begin now is told to leave it at once.
                assert_no_read_waits(kamailio, "busy");
                let state = row(kamailio, self.address).state;
                assert_eq!(state, "trying", "all the while");
            }
            answers.join().expect("no panic")
        });
        assert_one_waits_on(answers, asking);
        let longest = bystanders.longest_wait();
        let most = if asking.workers == 1 { TIMEOUT } else { LOOKED };
        assert!(
            longest < most + SLACK,
            "{asking:?}: a bystander waited {longest:?}"
        );
        let failed = row(kamailio, self.address);
        assert_eq!(
            (&failed.state[..], &failed.reason[..]),
            ("inactive", "timeout")
        );
        assert_eq!((failed.in_flight, failed.failures), (0, 1));
        assert_no_read_waits(kamailio, "down");
        let begun = Instant::now();
        assert_all(kamailio, "down");
        let later = begun.elapsed();
        assert!(later < SLACK, "{asking:?}: {later:?}");
    }
}

/// One worker has waited until the deadline, the others no longer than the stall limit and the look; all
/// other requests have waited for a worker and no more.
#[track_caller]
fn assert_one_waits_on(answers: Vec<Answer>, asking: Asking) {
    let (mut begun, others): (Vec<Answer>, Vec<Answer>) = answers
        .into_iter()
        .partition(|answer| answer["$mcst"] == "timeout");
    begun.sort_by_key(Answer::elapsed);
    assert_eq!(begun.len(), asking.workers, "those that had begun");
    let held = begun.pop().expect("one or more").elapsed();
    assert!(held >= TIMEOUT && held < TIMEOUT + SLACK, "{held:?}");
    for elapsed in begun.iter().map(Answer::elapsed) {
        assert!(elapsed >= STALL_LIMIT, "{asking:?}: {elapsed:?}");
        assert!(elapsed < LOOKED + SLACK, "{asking:?}: {elapsed:?}");
    }
    // Those of a lone worker come after the outage has been noticed.
    let (word, most) = match asking.workers {
        1 => ("down", TIMEOUT),
        _ => ("busy", LOOKED),
    };
    for answer in others {
        assert_eq!(answer["$mcst"], word, "those that had not");
        let elapsed = answer.elapsed();
        assert!(elapsed < most + SLACK, "{asking:?}: {elapsed:?}");
    }
}
