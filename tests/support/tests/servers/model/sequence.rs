//! Sequences of batches that both get, and the smallest that shows a difference.

use super::commands::{Batch, Kind};
use super::pair::{Outcome, Pair};

/// One batch, and how it is sent.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    /// The index of the connection.
    pub(super) connection: usize,
    /// The connection is opened anew.
    pub(super) anew: bool,
    pub(super) requests: Batch,
    /// It is sent in two parts.
    pub(super) in_parts: bool,
}

impl Sent {
    pub(super) fn send(&self, pair: &mut Pair) -> Outcome {
        if self.anew {
            pair.reconnect(self.connection);
        }
        let bytes = self.requests.concat();
        let cut = self.in_parts.then_some(bytes.len() / 2);
        pair.send(self.connection, &bytes, cut)
    }

    /// The same, each request by itself.
    fn single(&self) -> impl Iterator<Item = Sent> {
        let requests = self.requests.iter().enumerate();
        requests.map(|(at, request)| Sent {
            anew: self.anew && at == 0,
            requests: vec![request.clone()],
            ..self.clone()
        })
    }
}

/// Sends all of them to a fresh pair, again if the clock interrupts that. Returns the first difference.
pub(super) fn replay(pair: &mut Pair, sequence: &[Sent]) -> Option<Outcome> {
    'again: for _ in 0..5 {
        pair.restart();
        for sent in sequence {
            pair.wait_for_quiet();
            match sent.send(pair) {
                Outcome::Same => {}
                Outcome::Interrupted => continue 'again,
                different => return Some(different),
            }
        }
        return None;
    }
    None
}

/// Panics with the smallest part of `sequence` that shows a difference.
pub(super) fn fail(
    pair: &mut Pair,
    kind: Kind,
    seed: u64,
    sequence: &[Sent],
    difference: Outcome,
) -> ! {
    let mut differs = |part: &[Sent]| replay(pair, part).is_some();
    let ends = [1, 4, 16, 64, 256, sequence.len()];
    let mut ends = ends
        .iter()
        .map(|&size| &sequence[sequence.len().saturating_sub(size)..]);
    let Some(end) = ends.find(|end| differs(end)) else {
        let last = sequence.last();
        panic!("{kind:?}, seed {seed}, seen once: {difference:#?}\nafter {last:?}");
    };
    let mut smallest = shrink(end.to_vec(), &mut differs);
    let single: Vec<_> = smallest.iter().flat_map(Sent::single).collect();
    if differs(&single) {
        smallest = shrink(single, &mut differs);
    }
    let difference = replay(pair, &smallest);
    let requests = smallest.iter().map(|sent| {
        let bytes = sent.requests.concat();
        format!("  {}: {}\n", sent.connection, bytes.escape_ascii())
    });
    let requests: String = requests.collect();
    panic!("{kind:?}, seed {seed}: {difference:#?}\nafter\n{requests}");
}

/// Leaves out halves, quarters and so on as long as `differs` says that they are not needed.
fn shrink<T: Clone>(mut list: Vec<T>, mut differs: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut size = list.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < list.len() {
            let end = (at + size).min(list.len());
            let less = [&list[..at], &list[end..]].concat();
            if differs(&less) {
                list = less;
            } else {
                at = end;
            }
        }
        size /= 2;
    }
    list
}

#[test]
fn what_is_not_needed_for_a_difference_is_left_out() {
    let differs = |list: &[u32]| list.contains(&17) && list.contains(&60);
    assert_eq!(shrink((0..100).collect(), differs), [17, 60]);
    assert_eq!(shrink(vec![17, 60], differs), [17, 60]);
}
