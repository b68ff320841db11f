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
    /// Time until the stall limit, or until the deadline if that comes first.
    first: Duration,
    /// The part of the time that connecting may use; `None` = all of it.
    connect: Option<Duration>,
    may_wait_on: &'a dyn Fn() -> bool,
    /// Whether it may go on waiting, once it has asked.
    answer: Cell<Option<bool>>,
}

impl<'a> WaitBudget<'a> {
    /// The budget lasts until `deadline`. Beyond the stall limit `limit` it lasts only if `may_wait_on`
    /// allows it. `connect` limits how long connecting may take.
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

    /// The budget lasts until `deadline`, without a stall limit.
    #[cfg(test)]
    pub(crate) fn until(deadline: &'a Deadline) -> Self {
        Self::new(deadline, deadline.limit(), None, &|| true)
    }

    /// When the operation began.
    pub(crate) fn start(&self) -> Moment {
        self.deadline.start()
    }

    /// How long the first wait of the operation may be.
    pub(crate) fn first_wait(&self) -> Duration {
        self.first
    }

    /// Whether it has reached the stall limit.
    pub(crate) fn had_to_ask(&self) -> bool {
        self.answer.get().is_some()
    }

    /// Whether it has reached the stall limit and was not allowed to go on.
    pub(crate) fn gave_up(&self) -> bool {
        self.answer.get() == Some(false)
    }

    /// How long the operation may wait from now on.
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
