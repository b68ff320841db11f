//! WaitBudget: how long an operation may wait for a server.
//!
//! If all workers waited for one silent server until their deadlines, the node would take no calls.
//! So an operation first waits until the stall limit. Then it asks whether it may go on. Only the one
//! worker that is allowed to waits until the deadline.

use std::cell::Cell;
use std::time::Duration;

use crate::clock::{Deadline, Moment};
use crate::error::{Error, Waiting};

/// The deadline of an operation, and the stall limit before it.
pub(crate) struct WaitBudget<'a> {
    deadline: &'a Deadline,
    /// How long nothing may arrive.
    stall_limit: Duration,
    /// The part of the time that connecting may use; `None` = all of it.
    connect: Option<Duration>,
    /// When the operation began, or bytes arrived or were sent last.
    progress: Cell<Moment>,
    may_wait_on: &'a dyn Fn(bool) -> bool,
    /// Whether it may go on waiting beyond the stall limit, once it has asked.
    answer: Cell<Option<bool>>,
}

/// How long a look on a fresh connection may take, with this stall limit.
pub(crate) fn look_limit(stall_limit: Duration) -> Duration {
    stall_limit * 2 / 5
}

impl<'a> WaitBudget<'a> {
    /// The budget lasts until `deadline`. When nothing has arrived for `stall_limit`, it lasts longer
    /// only if `may_wait_on` allows it; that is told whether the process is kept out: it has no
    /// connection, and its request for one gets no answer.
    /// `connect` limits how long connecting may take.
    pub(crate) fn new(
        deadline: &'a Deadline,
        stall_limit: Duration,
        connect: Option<Duration>,
        may_wait_on: &'a dyn Fn(bool) -> bool,
    ) -> Self {
        Self {
            deadline,
            stall_limit,
            connect,
            progress: Cell::new(deadline.start()),
            may_wait_on,
            answer: Cell::new(None),
        }
    }

    /// The same without going on beyond the stall limit.
    pub(crate) fn impatient(&self) -> WaitBudget<'a> {
        WaitBudget {
            may_wait_on: &|_| false,
            progress: self.progress.clone(),
            answer: self.answer.clone(),
            ..*self
        }
    }

    /// The budget lasts until `deadline`, without a stall limit.
    #[cfg(test)]
    pub(crate) fn until(deadline: &'a Deadline) -> Self {
        Self::new(deadline, deadline.limit(), None, &|_| true)
    }

    /// When the operation began.
    pub(crate) fn start(&self) -> Moment {
        self.deadline.start()
    }

    /// How long the first wait of the operation may be.
    #[inline(always)]
    pub(crate) fn first_wait(&self) -> Duration {
        self.stall_limit.min(self.deadline.limit())
    }

    /// How long a look on a fresh connection may take: at most one worker waits longer than the stall
    /// limit and this.
    pub(crate) fn look_limit(&self) -> Duration {
        look_limit(self.stall_limit)
    }

    /// Bytes have arrived just now, or some of many were sent: that is no stall.
    #[cold]
    pub(crate) fn note_progress(&self) {
        self.progress.set(Moment::now());
    }

    /// Whether bytes have arrived after the deadline.
    pub(crate) fn has_overrun(&self) -> bool {
        self.progress.get() > self.deadline.end()
    }

    /// Whether it has asked if it may go on waiting.
    pub(crate) fn had_to_ask(&self) -> bool {
        self.answer.get().is_some()
    }

    /// Whether it was not allowed to go on waiting.
    pub(crate) fn gave_up(&self) -> bool {
        self.answer.get() == Some(false)
    }

    /// Whether the operation may go on waiting beyond the stall limit.
    pub(crate) fn may_wait_on(&self, is_kept_out: bool) -> bool {
        let ask = || (self.may_wait_on)(is_kept_out);
        let answer = self.answer.get().unwrap_or_else(ask);
        self.answer.set(Some(answer));
        answer
    }

    /// What is left until the deadline.
    pub(crate) fn until_deadline(&self) -> Option<Duration> {
        self.deadline.remaining()
    }

    /// What is left until the stall limit, if that comes before the deadline and nobody has asked yet
    /// whether the operation may go on; `Some` of nothing when the limit has passed.
    fn until_stall(&self) -> Option<Duration> {
        let stall = Deadline::new(self.progress.get(), self.stall_limit);
        let comes_first = stall.end() < self.deadline.end() && !self.had_to_ask();
        comes_first.then(|| stall.remaining().unwrap_or_default())
    }

    /// True when nothing has arrived for the stall limit, but there is time until the deadline.
    pub(crate) fn is_stalled(&self) -> bool {
        self.until_stall().is_some_and(|left| left.is_zero()) && self.until_deadline().is_some()
    }

    /// How long the operation may wait from now on. At the stall limit, an operation that waits for a
    /// fresh connection asks whether it may go on.
    ///
    /// # Errors
    /// [`Error::Timeout`] while `waiting`, when its time is up, or the stall limit has passed.
    #[cold]
    pub(crate) fn left(&self, waiting: Waiting) -> Result<Duration, Error> {
        let late = Error::Timeout(waiting);
        let connects = matches!(waiting, Waiting::Connect | Waiting::Agreement);
        let left = match self.until_stall() {
            Some(left) if !left.is_zero() => left,
            Some(_) if !connects || !self.may_wait_on(waiting == Waiting::Connect) => {
                return Err(late);
            }
            _ if self.gave_up() => return Err(late),
            _ => self.deadline.remaining().ok_or(Error::Timeout(waiting))?,
        };
        match self.connect {
            Some(limit) if connects => {
                let connecting = Deadline::new(self.start(), limit).remaining();
                connecting.map(|time| time.min(left)).ok_or(late)
            }
            _ => Ok(left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A budget of a minute whose operation began some time ago, and how often it has asked.
    struct Case {
        deadline: Deadline,
        stall: Duration,
        grant: bool,
        asked: Cell<u32>,
    }

    impl Case {
        fn new(passed: Duration, stall: Duration, grant: bool) -> Self {
            let start = Moment::from_nanos(Moment::now().nanos() - passed.as_nanos() as u64);
            Self {
                deadline: Deadline::new(start, 60 * SECOND),
                stall,
                grant,
                asked: Cell::new(0),
            }
        }

        /// What `body` makes of the budget, and how often that has asked.
        fn run<R>(&self, body: impl FnOnce(&WaitBudget<'_>) -> R) -> (R, u32) {
            let may_wait_on = |_| {
                self.asked.set(self.asked.get() + 1);
                self.grant
            };
            let budget = WaitBudget::new(&self.deadline, self.stall, None, &may_wait_on);
            (body(&budget), self.asked.get())
        }
    }

    /// What is left to an operation that has looked twice, and how often it has asked.
    fn left(
        waiting: Waiting,
        passed: Duration,
        stall: Duration,
        grant: bool,
    ) -> (Option<Duration>, u32) {
        Case::new(passed, stall, grant).run(|budget| {
            let _ = budget.left(waiting);
            budget.left(waiting).ok()
        })
    }

    #[test]
    fn before_the_mark_nobody_is_asked() {
        for waiting in [Waiting::Connect, Waiting::Send, Waiting::Receive] {
            let (left, asked) = left(waiting, SECOND, 30 * SECOND, false);
            assert!(left.unwrap() <= 29 * SECOND);
            assert_eq!(asked, 0);
        }
    }

    #[test]
    fn at_the_mark_who_connects_asks_and_goes_on_or_gives_up() {
        let (granted, asked) = left(Waiting::Connect, 10 * SECOND, 5 * SECOND, true);
        assert!(granted.unwrap() > 40 * SECOND);
        assert_eq!(asked, 1, "once is enough");
        let (refused, asked) = left(Waiting::Connect, 10 * SECOND, 5 * SECOND, false);
        assert_eq!((refused, asked), (None, 1));
    }

    /// There is a look on a fresh connection first.
    #[test]
    fn at_the_mark_who_waits_for_the_server_does_not_ask_yet() {
        for waiting in [Waiting::Send, Waiting::Receive] {
            let late = left(waiting, 10 * SECOND, 5 * SECOND, true);
            assert_eq!(late, (None, 0));
        }
    }

    #[test]
    fn who_was_allowed_to_waits_until_the_deadline_for_anything() {
        let case = Case::new(10 * SECOND, 5 * SECOND, true);
        let (left, asked) = case.run(|budget| {
            assert!(budget.is_stalled() && !budget.had_to_ask());
            assert!(budget.may_wait_on(false) && budget.may_wait_on(false));
            assert!(budget.had_to_ask() && !budget.gave_up() && !budget.is_stalled());
            budget.left(Waiting::Receive).unwrap()
        });
        assert!(left > 40 * SECOND);
        assert_eq!(asked, 1);
        let case = Case::new(10 * SECOND, 5 * SECOND, false);
        let (late, asked) = case.run(|budget| {
            assert!(!budget.may_wait_on(false) && budget.gave_up());
            budget.left(Waiting::Receive).is_err() && budget.left(Waiting::Connect).is_err()
        });
        assert!(late);
        assert_eq!(asked, 1);
    }

    #[test]
    fn a_stall_is_counted_from_the_last_byte() {
        let case = Case::new(10 * SECOND, 5 * SECOND, false);
        let (left, asked) = case.run(|budget| {
            assert!(budget.is_stalled());
            budget.note_progress();
            assert!(!budget.is_stalled());
            budget.left(Waiting::Receive).unwrap()
        });
        assert!(left > 4 * SECOND && left <= 5 * SECOND, "{left:?}");
        assert_eq!(asked, 0);
        // The deadline does not move.
        let case = Case::new(58 * SECOND, 5 * SECOND, false);
        let (left, _) = case.run(|budget| {
            budget.note_progress();
            budget.left(Waiting::Receive).unwrap()
        });
        assert!(left <= 2 * SECOND, "{left:?}");
    }

    #[test]
    fn a_look_takes_a_part_of_the_stall_limit() {
        let case = Case::new(Duration::ZERO, 5 * SECOND, false);
        let (limits, _) = case.run(|budget| (budget.first_wait(), budget.look_limit()));
        assert_eq!(limits, (5 * SECOND, 2 * SECOND));
        let case = Case::new(Duration::ZERO, 90 * SECOND, false);
        let (first, _) = case.run(|budget| budget.first_wait());
        assert_eq!(first, 60 * SECOND);
    }

    #[test]
    fn connecting_may_have_less_time() {
        let deadline = Deadline::new(Moment::now(), 60 * SECOND);
        let budget = WaitBudget::new(&deadline, 90 * SECOND, Some(SECOND), &|_| true);
        assert!(budget.left(Waiting::Connect).unwrap() <= SECOND);
        assert!(budget.left(Waiting::Receive).unwrap() > SECOND);
        let none = WaitBudget::new(&deadline, 90 * SECOND, Some(Duration::ZERO), &|_| true);
        assert!(none.left(Waiting::Connect).is_err());
    }

    #[test]
    fn a_mark_behind_the_deadline_is_none() {
        let waiting = Waiting::Connect;
        let (within, asked) = left(waiting, 10 * SECOND, 90 * SECOND, false);
        assert!(within.is_some());
        assert_eq!(asked, 0);
        let (late, asked) = left(waiting, 61 * SECOND, 90 * SECOND, true);
        assert_eq!((late, asked), (None, 0));
        let case = Case::new(61 * SECOND, 5 * SECOND, true);
        assert!(
            !case.run(|budget| budget.is_stalled()).0,
            "no time for a look"
        );
    }
}
