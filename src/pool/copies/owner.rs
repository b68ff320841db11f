//! Owner: what the owner of an item does alone. It gets back what another copy, or a stand-in, has.

use super::super::Pool;
use super::super::lease::Fulfilment;
use super::super::route::{Exchange, Task, Wanted};
use super::Answer;
use crate::clock::Deadline;
use crate::error::{Down, Error};
use crate::wire::protocol::Request;

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
