//! Owner: what the owner of an item does alone. It gets back what another copy, or a stand-in, has.

use super::super::Pool;
use super::super::lease::Fulfilment;
use super::super::route::{Exchange, Task, Wanted};
use super::Answer;
use crate::clock::Deadline;
use crate::error::{Down, Error};
use crate::wire::protocol::{Reply, Request};

impl Pool {
    /// Gets the answer of the owner of the key to a request, which no other copy and no stand-in gets.
    ///
    /// # Errors
    /// Those of [`Self::route`] with one server.
    #[cold]
    pub(crate) fn ask_owner(
        &mut self,
        deadline: &Deadline,
        wanted: Wanted<'_>,
        request: &Request<'_>,
        value: &mut Vec<u8>,
    ) -> Answer {
        let request = *request;
        self.owner_does(deadline, wanted, &mut Exchange { request, value })
    }

    /// Deletes an item at its owner once more, after all copies were deleted: the owner may have got it back from one
    /// before that was deleted. An owner that cannot do it has missed it.
    ///
    /// # Errors
    /// Those of [`Self::ask_owner`] that leave it undone.
    #[cold]
    pub(crate) fn delete_at_owner(&mut self, deadline: &Deadline, wanted: Wanted<'_>) -> Answer {
        let key = wanted.0;
        let answer = self.ask_owner(deadline, wanted, &Request::Delete { key }, &mut Vec::new());
        match answer {
            Err(error) if error.allows_stand_in(true) && !error.is_shortage() => {
                if let Some(owner) = self.owner_at(wanted) {
                    self.members[owner].note_missed(key, &self.settings);
                }
                Ok(Reply::Miss)
            }
            answer => answer,
        }
    }

    /// As [`Self::ask_owner`], for the holder of a lease that the owner has given; see [`Self::fulfil`].
    ///
    /// # Errors
    /// Those of [`Self::fulfil`].
    #[cold]
    pub(crate) fn fulfil_at_owner(
        &mut self,
        deadline: &Deadline,
        fulfilment: &mut Fulfilment<'_>,
        hash: Option<u32>,
    ) -> Answer {
        let wanted = (fulfilment.key, hash);
        self.owner_does(deadline, wanted, fulfilment)
    }

    fn owner_does(
        &mut self,
        deadline: &Deadline,
        wanted: Wanted<'_>,
        task: &mut dyn Task,
    ) -> Answer {
        let Some(owner) = self.owner_at(wanted) else {
            return Err(Error::Down(Down::OutOfService));
        };
        self.attempt_at(owner, deadline, self.settings.replicas > 1, task)
    }
}
