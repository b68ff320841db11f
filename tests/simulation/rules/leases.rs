//! Rule: who has the lease of an item was given it, and what it stores takes the place of nothing newer.
//!
//! A lease is given by a server's answer to this very request. What its holder stores is stored if nobody has
//! written, deleted or invalidated the item at that server since then, and nobody else has been given its lease.
//! It is sent on the same connection, because another process may be behind the next one.

use crate::history::{Answer, Operation, Served, What, number_of};
use crate::world::{SECOND, State};

/// What holders of leases have stored although they must not.
pub fn check(state: &State) -> Vec<String> {
    let operations = state.history.operations.iter().enumerate();
    let fulfilments = operations.filter(|(_, it)| it.what == What::Fulfil && it.stopped == 0);
    let found = fulfilments.filter_map(|(number, operation)| {
        let words = fault_of(state, number, operation)?;
        let key = &operation.key;
        Some(format!("Fulfil {key}: operation {number} {words}"))
    });
    found.collect()
}

fn fault_of(state: &State, number: usize, operation: &Operation) -> Option<String> {
    let served = &state.history.served;
    let is_stored = |it: &Served| it.has_stored() && number_of(it.command.value()) == Some(number);
    let stored_at = served.iter().position(is_stored)?;
    let stored = &served[stored_at];
    if stored.command.verb() != b"cas" {
        return Some("was stored without a condition".into());
    }
    let ended = lease_of(state, number)?.ended?;
    let of_key = |it: &Served| it.command.key() == operation.key.as_bytes();
    let version = stored.command.words().nth(5)?;
    // An earlier question of this process may be executed late, on a connection that it has given up.
    let is_giving = |it: &Served| {
        let is_told = it.version() == Some(version);
        it.at <= ended && it.flow == stored.flow && of_key(it) && is_told
    };
    let Some(given_at) = served.iter().rposition(is_giving) else {
        return Some("was sent on another connection than its lease came on".into());
    };
    let between = &served[given_at + 1..stored_at];
    // Who takes the server for one without meta commands, because it has refused one, has added the placeholder:
    // who asks by a meta command may be given its lease, too, and nothing is changed by that.
    let mut refusals = state.history.other_troubles.iter();
    let is_mistaken = served[given_at].command.verb() == b"gets"
        && refusals.any(|(.., server)| *server == stored.server);
    let mut changes = between.iter().filter(|it| {
        let is_change = it.has_changed() && !(is_mistaken && it.is_won());
        it.server == stored.server && of_key(it) && is_change
    });
    changes.next().map(|change| {
        let line = change.command.line().escape_ascii().to_string();
        format!("has taken the place of '{line}'")
    })
}

/// For how many times its time a lease is remembered.
const REMEMBERED: u64 = 4;

/// Whether what the holder of a lease was about to store was a plain write after all: while it began, the lease was
/// forgotten.
pub fn has_lapsed(state: &State, number: usize) -> bool {
    let operation = &state.history.operations[number];
    if operation.what != What::Fulfil {
        return false;
    }
    let time = REMEMBERED * state.setup.lease_time as u64 * SECOND;
    let ends = lease_of(state, number).map(|lease| lease.clock + time);
    let mut served = state.history.served.iter();
    let is_plain = |it: &Served| {
        let is_own = number_of(it.command.value()) == Some(number);
        is_own && it.command.verb() != b"cas"
    };
    let is_over = ends.is_some_and(|ends| ends <= state.clock());
    is_over && (operation.answer == Answer::Sent || served.any(is_plain))
}

/// The operation that has got the lease for the one of this number.
fn lease_of(state: &State, number: usize) -> Option<&Operation> {
    let fulfilment = &state.history.operations[number];
    let mut earlier = state.history.operations[..number].iter().rev();
    earlier.find(|it| {
        let is_given = matches!(it.answer, Answer::Leased(_));
        is_given && it.process == fulfilment.process && it.key == fulfilment.key
    })
}

/// The operation that has got the lease, if what was computed was sent to nobody.
pub fn lost(state: &State, number: usize) -> Option<&Operation> {
    let operation = &state.history.operations[number];
    if (operation.what, &operation.answer) != (What::Fulfil, &Answer::Miss) {
        return None;
    }
    let served = state.history.served.iter();
    let mut sent = served.filter(|it| number_of(it.command.value()) == Some(number));
    match sent.next() {
        Some(_) => None,
        None => lease_of(state, number),
    }
}

/// Whether a server's answer is the answer to an operation with a lease.
pub fn answers(served: &Served, operation: &Operation, number: usize) -> bool {
    let (verb, reply) = (served.command.verb(), &served.reply[..]);
    let is_own = number_of(served.command.value()) == Some(number);
    let is_addition = verb == b"add" && served.command.value().is_empty();
    let reads = matches!(verb, b"mg" | b"gets");
    match (operation.what, &operation.answer) {
        (What::Lease, Answer::Leased(value)) => {
            let is_added = is_addition && served.has_stored() && value.is_empty();
            is_added || served.is_won() && served.value() == Some(value)
        }
        (What::Lease, Answer::Stale(value)) => {
            served.is_stale() && !served.is_won() && served.value() == Some(value)
        }
        // One that comes over from elsewhere is only read there.
        (What::Lease, Answer::Hit(value)) => {
            (reads || verb == b"get")
                && !served.is_stale()
                && !served.is_won()
                && served.value() == Some(value)
        }
        (What::Lease, Answer::Miss) => reads && !served.is_won() && served.value() == Some(""),
        (What::Fulfil, Answer::Stored) => is_own && served.has_stored(),
        (What::Fulfil, Answer::NotStored) => is_own && reply == b"EXISTS\r\n",
        (What::Invalidate, Answer::Touched) => verb == b"md" && reply == b"HD\r\n",
        (What::Invalidate, Answer::Deleted) => verb == b"delete" && reply == b"DELETED\r\n",
        (What::Invalidate, Answer::Miss) => matches!(reply, b"NF\r\n" | b"NOT_FOUND\r\n"),
        _ => false,
    }
}
