//! WaitBudget: how long an operation waits before it asks whether it may wait on.
//!
//! Many workers that all wait for one silent server until their deadlines are a host that takes
//! no calls. So every wait is first bounded by the stall limit; whoever reaches it asks, and only
//! who may goes on until the deadline.

use std::cell::Cell;
use std::time::Duration;

use crate::clock::{Deadline, Moment};
use crate::error::{Error, Waiting};

/// An operation's deadline, with the mark before it at which to ask.
pub(crate) struct WaitBudget<'a> {
    deadline: &'a Deadline,
    /// Time until the mark, or until the deadline if there is none before it.
    first: Duration,
    /// The part of the time that connecting may use.
    connect: Option<Duration>,
    may_wait_on: &'a dyn Fn() -> bool,
    /// What the answer was, once that has been asked.
    answer: Cell<Option<bool>>,
}

impl<'a> WaitBudget<'a> {
    /// Waits until `deadline`, but longer than `limit` only if `may_wait_on` says so, and for
    /// a connection no longer than `connect`.
    pub(crate) fn new(
        deadline: &'a Deadline,
        limit: Duration,
        connect: Option<Duration>,
        may_wait_on: &'a dyn Fn() -> bool,
    ) -> Self {
        Self {
            deadline,
            first: limit.min(deadline.limit()),
            connect,
            may_wait_on,
            answer: Cell::new(None),
        }
    }

    /// Waits until `deadline`.
    #[cfg(test)]
    pub(crate) fn until(deadline: &'a Deadline) -> Self {
        Self::new(deadline, deadline.limit(), None, &|| true)
    }

    /// When the operation began.
    pub(crate) fn start(&self) -> Moment {
        self.deadline.start()
    }

    /// How long its first wait may be.
    pub(crate) fn first_wait(&self) -> Duration {
        self.first
    }

    /// Whether it has waited so long that it had to ask.
    pub(crate) fn had_to_ask(&self) -> bool {
        self.answer.get().is_some()
    }

    /// Whether it was not allowed to wait on.
    pub(crate) fn gave_up(&self) -> bool {
        self.answer.get() == Some(false)
    }

    /// How long it may wait from now on.
    ///
    /// # Errors
    /// [`Error::Timeout`] while `waiting`, when its time is up.
    #[cold]
    pub(crate) fn left(&self, waiting: Waiting) -> Result<Duration, Error> {
        let left = self.left_in_all(waiting)?;
        match self.connect {
            Some(limit) if waiting == Waiting::Connect => {
                let connecting = Deadline::new(self.start(), limit).remaining();
                connecting
                    .map(|time| time.min(left))
                    .ok_or(Error::Timeout(waiting))
            }
            _ => Ok(left),
        }
    }

    fn left_in_all(&self, waiting: Waiting) -> Result<Duration, Error> {
        if self.first < self.deadline.limit() && !self.had_to_ask() {
            if let Some(left) = Deadline::new(self.start(), self.first).remaining() {
                return Ok(left);
            }
            self.answer.set(Some((self.may_wait_on)()));
        }
        if self.gave_up() {
            return Err(Error::Timeout(waiting));
        }
        self.deadline.remaining().ok_or(Error::Timeout(waiting))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn left(passed: Duration, limit: Duration, grant: bool) -> (Option<Duration>, u32) {
        let start = Moment::from_nanos(Moment::now().nanos() - passed.as_nanos() as u64);
        let deadline = Deadline::new(start, 60 * SECOND);
        let asked = Cell::new(0);
        let may_wait_on = || {
            asked.set(asked.get() + 1);
            grant
        };
        let budget = WaitBudget::new(&deadline, limit, None, &may_wait_on);
        let _ = budget.left(Waiting::Receive);
        (budget.left(Waiting::Receive).ok(), asked.get())
    }

    #[test]
    fn before_the_mark_nobody_is_asked() {
        let (left, asked) = left(SECOND, 30 * SECOND, false);
        assert!(left.unwrap() <= 29 * SECOND);
        assert_eq!(asked, 0);
    }

    #[test]
    fn at_the_mark_it_asks_and_goes_on_or_gives_up() {
        let (granted, asked) = left(10 * SECOND, 5 * SECOND, true);
        assert!(granted.unwrap() > 40 * SECOND);
        assert_eq!(asked, 1, "once is enough");
        let (refused, _) = left(10 * SECOND, 5 * SECOND, false);
        assert_eq!(refused, None);
    }

    #[test]
    fn connecting_may_have_less_time() {
        let deadline = Deadline::new(Moment::now(), 60 * SECOND);
        let budget = WaitBudget::new(&deadline, 90 * SECOND, Some(SECOND), &|| true);
        assert!(budget.left(Waiting::Connect).unwrap() <= SECOND);
        assert!(budget.left(Waiting::Receive).unwrap() > SECOND);
        let none = WaitBudget::new(&deadline, 90 * SECOND, Some(Duration::ZERO), &|| true);
        assert!(none.left(Waiting::Connect).is_err());
    }

    #[test]
    fn a_mark_behind_the_deadline_is_none() {
        let (within, asked) = left(10 * SECOND, 90 * SECOND, false);
        assert!(within.is_some());
        assert_eq!(asked, 0);
        assert_eq!(left(61 * SECOND, 90 * SECOND, true).0, None);
    }
}
