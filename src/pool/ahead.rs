//! Ahead: what a server was asked without anybody waiting for the answer.
//!
//! There are items that will be read soon, and writes whose answer does not matter to the script. The
//! connection owes the replies in the order of the requests. Whoever receives a reply gives it to the
//! request that it belongs to, so none of them ever gets to another operation.

use std::collections::VecDeque;

use crate::clock::Moment;
use crate::error::Error;
use crate::item::key::WireKey;
use crate::shared::near::Change;
use crate::sys;
use crate::wire::protocol::{Kind, Reply};

/// The most replies that are owed to deferred writes.
const MAX_OWED: usize = 64;

/// The most bytes of requests whose replies are owed, if the last one is a deferred write.
const MAX_BYTES: usize = 64 * 1024;

/// The SIP message for which an item was asked. No other one gets the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Message {
    /// Its number in its process.
    pub(crate) number: u32,
    /// The process that has received it.
    pub(crate) process: i32,
}

/// An item that was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) key: WireKey,
    pub(super) message: Message,
    /// When it was asked. The answer is used for `timeout` from then on.
    pub(super) since: Moment,
    /// Whether a stand-in of its owner was asked.
    pub(super) at_stand_in: bool,
}

/// A deferred write.
#[derive(Debug)]
pub(super) struct Deferred {
    pub(super) kind: Kind,
    pub(super) key: WireKey,
    /// When it was sent.
    pub(super) since: Moment,
    /// The near cache keeps nothing of the item before this is dropped.
    pub(super) change: Option<Change>,
    /// Whether other servers have got it, too.
    pub(super) has_copies: bool,
}

/// What a reply is for that a connection owes.
#[expect(clippy::large_enum_variant, reason = "most are writes")]
#[derive(Debug)]
pub(super) enum Owed {
    /// The items of one request.
    Items(Batch),
    /// A deferred write.
    Write(Deferred),
    /// A write to one of several copies. Its operation, which began then, is under way.
    Copy(Moment),
}

/// Items that were asked for in one request.
#[derive(Debug)]
pub(super) struct Batch {
    /// In the order of the request. `None` if the answer has come, or nobody wants it any more.
    pub(super) items: Vec<Option<Asked>>,
    /// When they were asked.
    pub(super) since: Moment,
}

/// An answer that has come.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) asked: Asked,
    pub(super) reply: Reply,
    pub(super) value: Vec<u8>,
}

/// What one connection was asked ahead.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// What the replies are for that the connection owes, in their order.
    owed: VecDeque<Owed>,
    /// The process that is to receive them.
    process: u32,
    /// How many bytes these requests have.
    bytes: usize,
    /// The answers that have come.
    answers: Vec<Answer>,
    /// The answer to the last write to a copy, if it has come.
    copied: Option<Result<Reply, Error>>,
    /// The keys of deferred writes that others have got, and that were not done here, or nobody knows.
    pub(super) undone: Vec<WireKey>,
    /// The value of the reply that is being received.
    pub(super) value: Vec<u8>,
    /// The generation of the server in which the requests were sent.
    pub(super) generation: u16,
}

impl Owed {
    /// When it was asked, or sent.
    pub(super) fn since(&self) -> Moment {
        match self {
            Self::Items(Batch { since, .. }) | Self::Write(Deferred { since, .. }) => *since,
            Self::Copy(since) => *since,
        }
    }

    fn items(&self) -> &[Option<Asked>] {
        match self {
            Self::Items(batch) => &batch.items,
            Self::Write(_) | Self::Copy(_) => &[],
        }
    }
}

impl Asked {
    fn is(&self, key: &WireKey, message: Message) -> bool {
        self.message == message && self.key == *key
    }
}

impl Ahead {
    /// A request of so many bytes was added.
    pub(super) fn push(&mut self, owed: Owed, bytes: usize) {
        if !self.owes() {
            self.leave_to_parent();
            self.process = sys::process();
        }
        self.owed.push_back(owed);
        self.bytes += bytes;
    }

    /// What the reply is for that is owed first.
    pub(super) fn pop(&mut self) -> Option<Owed> {
        let first = self.owed.pop_front();
        if self.owed.is_empty() {
            self.bytes = 0;
        }
        first
    }

    /// The item at that place of the request whose reply is owed first, if it is wanted and has not come.
    pub(super) fn take(&mut self, place: usize) -> Option<Asked> {
        match self.owed.front_mut()? {
            Owed::Items(batch) => batch.items.get_mut(place)?.take(),
            Owed::Write(_) | Owed::Copy(_) => None,
        }
    }

    /// The request that was added last could not be sent.
    pub(super) fn pop_last(&mut self) {
        self.owed.pop_back();
        if self.owed.is_empty() {
            self.bytes = 0;
        }
    }

    /// True while the connection owes a reply. What was asked before a fork is owed to the process that has asked.
    pub(super) fn owes(&self) -> bool {
        !self.owed.is_empty() && self.process == sys::process()
    }

    /// What another process has asked before a fork is its own affair: it also says when its changes are over.
    pub(super) fn leave_to_parent(&mut self) {
        for owed in self.owed.drain(..) {
            if let Owed::Write(Deferred { change, .. }) = owed {
                std::mem::forget(change);
            }
        }
        (self.bytes, self.value) = (0, Vec::new());
    }

    /// What the replies are for that are owed to this process.
    fn own(&self) -> impl Iterator<Item = &Owed> {
        let own = if self.owes() { self.owed.len() } else { 0 };
        self.owed.iter().take(own)
    }

    /// True if no further request is to be sent until owed replies were received.
    pub(super) fn is_full(&self) -> bool {
        self.owes() && (self.owed.len() >= MAX_OWED || self.bytes >= MAX_BYTES)
    }

    /// Keeps the answer to a question.
    pub(super) fn keep(&mut self, answer: Answer) {
        self.answers.push(answer);
    }

    /// Keeps the answer to a write to a copy.
    pub(super) fn keep_copied(&mut self, answer: Result<Reply, Error>) {
        self.copied = Some(answer);
    }

    /// The answer to the write to a copy, if it has come.
    pub(super) fn take_copied(&mut self) -> Option<Result<Reply, Error>> {
        self.copied.take()
    }

    /// True while a write to a copy has no answer yet.
    pub(super) fn owes_copy(&self) -> bool {
        self.own().any(|owed| matches!(owed, Owed::Copy(_)))
    }

    /// How many items are expected or have come.
    pub(super) fn items(&self) -> usize {
        self.expected().count() + self.answers.len()
    }

    /// The items whose answers are still to come.
    fn expected(&self) -> impl Iterator<Item = &Asked> {
        self.own().flat_map(Owed::items).flatten()
    }

    /// How many deferred writes have no answer yet.
    #[cfg(feature = "simulation")]
    pub(super) fn writes(&self) -> usize {
        let writes = |owed: &&Owed| matches!(owed, Owed::Write(_));
        self.own().filter(writes).count()
    }

    /// True while the answer for this message is still to come.
    pub(super) fn owes_item(&self, key: &WireKey, message: Message) -> bool {
        self.expected().any(|asked| asked.is(key, message))
    }

    /// True while any answer for this message is still to come.
    pub(super) fn owes_items(&self, message: Message) -> bool {
        self.expected().any(|asked| asked.message == message)
    }

    /// The answer for this message, if it has come.
    pub(super) fn answer(&self, key: &WireKey, message: Message) -> Option<&Answer> {
        let mut answers = self.answers.iter();
        answers.find(|answer| answer.asked.is(key, message))
    }

    /// What was asked for this message, whether the answer has come or not.
    pub(super) fn asked(&self, key: &WireKey, message: Message) -> Option<&Asked> {
        let answered = self.answers.iter().map(|answer| &answer.asked);
        let mut asked = self.expected().chain(answered);
        asked.find(|asked| asked.is(key, message))
    }

    /// Nobody wants the items any more for which `is_over` is true. The replies that are owed for them will
    /// be read and thrown away.
    pub(super) fn forget(&mut self, is_over: impl Fn(&Asked) -> bool) {
        self.answers.retain(|answer| !is_over(&answer.asked));
        if sys::planted("forgotten questions are not owed") {
            self.owed
                .retain(|owed| !owed.items().iter().flatten().any(&is_over));
        }
        for owed in &mut self.owed {
            if let Owed::Items(batch) = owed {
                let items = batch.items.iter_mut();
                let over = items.filter(|item| item.as_ref().is_some_and(&is_over));
                over.for_each(|item| *item = None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_before_a_fork_is_owed_to_the_parent() {
        let mut ahead = Ahead::default();
        let now = Moment::now();
        ahead.push(Owed::Copy(now), 100);
        ahead.process = ahead.process.wrapping_add(1);
        assert!(!ahead.owes() && !ahead.owes_copy());
        ahead.push(Owed::Copy(now), 10);
        assert!(ahead.owes());
        assert!(ahead.pop().is_some());
        assert!(!ahead.owes(), "and nothing else");
    }

    #[test]
    fn what_could_not_be_sent_takes_no_room() {
        let mut ahead = Ahead::default();
        ahead.push(Owed::Copy(Moment::now()), MAX_BYTES);
        assert!(ahead.is_full());
        ahead.pop_last();
        assert!(!ahead.is_full());
    }
}
