//! Rule: an answer is the answer to this very request.
//!
//! For each operation that was answered, some server has executed its command, for this process, between
//! its beginning and its end, and has answered just that. An item that was asked ahead may have been answered
//! since then, unless its message has ended, or this process has written it.

use crate::history::{Answer, Operation, Served, What, number_of};
use crate::world::State;

use super::{leases, near};

/// Operations with another answer.
pub fn check(state: &State) -> Vec<String> {
    let history = &state.history;
    let mut found = Vec::new();
    for (number, operation) in history.operations.iter().enumerate() {
        let Some(ended) = operation.ended else {
            continue;
        };
        // If the connection on which a lease was given is lost, what was computed is sent to nobody.
        let is_lost = operation.what == What::Fulfil && operation.answer == Answer::Miss;
        let is_near = near::has_answered(operation);
        let is_known = !matches!(
            operation.answer,
            Answer::Failed(_) | Answer::Open | Answer::Sent
        );
        if is_lost || is_near || !is_known || matches!(operation.what, What::Many(_)) {
            continue;
        }
        let served = &history.served;
        let first = served.partition_point(|served| served.at < operation.from);
        let mut during = history.served[first..]
            .iter()
            .take_while(|served| served.at <= ended);
        if !during.any(|served| answers(served, operation, number)) {
            let Operation {
                what, key, answer, ..
            } = operation;
            found.push(format!(
                "{what:?} {key}: no server has answered {answer:?} to operation {number}"
            ));
        }
    }
    found
}

fn answers(served: &Served, operation: &Operation, number: usize) -> bool {
    let command = &served.command;
    if served.process != operation.process || command.key() != operation.key.as_bytes() {
        return false;
    }
    let stores = matches!(command.verb(), b"set" | b"add");
    let reply = &served.reply[..];
    if matches!(
        operation.what,
        What::Lease | What::Fulfil | What::Invalidate
    ) {
        return leases::answers(served, operation, number);
    }
    match (operation.what, &operation.answer) {
        (What::Get, Answer::Miss) => matches!(command.verb(), b"get" | b"mg") && is_miss(served),
        (What::Gets, Answer::Miss) => command.verb() == b"gets" && is_miss(served),
        (What::Get | What::Gets, Answer::Hit(value)) => {
            let is_asked = match operation.what {
                What::Get => matches!(command.verb(), b"get" | b"mg"),
                _ => command.verb() == b"gets",
            };
            is_asked && served.value().map(str::trim_end) == Some(value)
        }
        (What::Set, Answer::Stored) => {
            stores && reply == b"STORED\r\n" && number_of(command.value()) == Some(number)
        }
        (What::Set, Answer::NotStored) => {
            stores && reply == b"NOT_STORED\r\n" && number_of(command.value()) == Some(number)
        }
        (What::Cas, Answer::Stored) => {
            command.verb() == b"cas"
                && reply == b"STORED\r\n"
                && number_of(command.value()) == Some(number)
        }
        (What::Cas, Answer::NotStored) => command.verb() == b"cas" && reply == b"EXISTS\r\n",
        (What::Cas, Answer::Miss) => command.verb() == b"cas" && reply == b"NOT_FOUND\r\n",
        (What::Create(by), Answer::Counted(count)) => match command.verb() {
            b"ma" => {
                let text = String::from_utf8_lossy(reply);
                let counted = text.split_once("\r\n").map(|(_, number)| number.trim_end());
                command.number() == by && counted == Some(&*count.to_string())
            }
            b"add" => {
                let is_initial = command.value() == by.to_string().as_bytes();
                *count == by && is_initial && reply == b"STORED\r\n"
            }
            _ => command.number() == by && reply == format!("{count}\r\n").as_bytes(),
        },
        (What::Zero, Answer::Stored) => stores && reply == b"STORED\r\n",
        (What::Zero, Answer::NotStored) => stores && reply == b"NOT_STORED\r\n",
        (What::Delete, Answer::Deleted) => command.verb() == b"delete" && reply == b"DELETED\r\n",
        (What::Delete, Answer::Miss) => command.verb() == b"delete" && reply == b"NOT_FOUND\r\n",
        (What::Touch, Answer::Touched) => command.verb() == b"touch" && reply == b"TOUCHED\r\n",
        (What::Touch, Answer::Miss) => command.verb() == b"touch" && reply == b"NOT_FOUND\r\n",
        (What::Count(by), Answer::Counted(count)) => {
            command.number() == by && reply == format!("{count}\r\n").as_bytes()
        }
        (What::Count(by), Answer::Miss) => command.number() == by && reply == b"NOT_FOUND\r\n",
        _ => false,
    }
}

/// Whether it tells that there is nothing, or a lease that somebody else has.
fn is_miss(served: &Served) -> bool {
    served.reply.starts_with(b"EN") || served.value() == Some("")
}
