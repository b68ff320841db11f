//! Queue: the names that are to be looked up, and those being looked up, in the order in which they
//! were asked for.
//!
//! It decides what a thread does next; it starts none, waits for nothing, and is told the time. A
//! name is in it once, however many servers ask for it. A lookup that has taken longer than
//! [`LOST_AFTER`] counts as lost: its thread may never come back, so its place is given to another
//! lookup, and its name may be asked for anew. If the thread does come back, its answer is used
//! like any other.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Moment;

/// How many lookups are made at a time.
pub(super) const MAX_LOOKUPS: usize = 8;

/// How long a lookup takes at most, unless it is lost.
pub(super) const LOST_AFTER: Duration = Duration::from_secs(30);

/// How many threads there are at most, those of lost lookups included.
pub(super) const MAX_THREADS: usize = 64;

/// Lookups for askers of type `A`, which want their answers given to an `F`.
#[derive(Debug)]
pub(super) struct Queue<A, F> {
    waiting: VecDeque<Lookup<A, F>>,
    under_way: Vec<UnderWay<A, F>>,
    /// How many lookups were begun.
    begun: u64,
}

#[derive(Debug)]
struct Lookup<A, F> {
    name: String,
    askers: Vec<(A, F)>,
}

#[derive(Debug)]
struct UnderWay<A, F> {
    number: u64,
    since: Moment,
    lookup: Lookup<A, F>,
}

/// A lookup that a thread is to make.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Begun {
    /// What tells it from all others.
    pub(super) number: u64,
    pub(super) name: String,
}

/// What a thread does next that has the answer to its lookup.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<F> {
    /// Give the answer to these, and ask again what to do.
    Answer(Vec<F>),
    /// Its lookup is over; make this one.
    Begin(Begun),
    /// Its lookup is over and there is no other; end.
    End,
}

impl<A, F> Default for Queue<A, F> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            under_way: Vec::new(),
            begun: 0,
        }
    }
}

impl<A: PartialEq, F> Queue<A, F> {
    /// `asker` wants `name` looked up and the answer given to `found`. If the name is in the queue
    /// already, that lookup answers this asker, too; what the same asker gave before is replaced.
    pub(super) fn add(&mut self, name: &str, asker: A, found: F, now: Moment) {
        let waiting = self.waiting.iter_mut();
        let under_way = self.under_way.iter_mut().filter(|it| !it.is_lost(now));
        let mut all = waiting.chain(under_way.map(|it| &mut it.lookup));
        match all.find(|lookup| lookup.name == name) {
            Some(Lookup { askers, .. }) => {
                askers.retain(|(known, _)| *known != asker);
                askers.push((asker, found));
            }
            None => self.waiting.push_back(Lookup {
                name: name.to_owned(),
                askers: vec![(asker, found)],
            }),
        }
    }

    /// The next lookup, which is then under way; `None` if no name waits or too many lookups are
    /// under way.
    pub(super) fn begin(&mut self, now: Moment) -> Option<Begun> {
        let lookups = self.under_way.iter().filter(|it| !it.is_lost(now)).count();
        if lookups >= MAX_LOOKUPS || self.under_way.len() >= MAX_THREADS {
            return None;
        }
        let lookup = self.waiting.pop_front()?;
        let (name, number) = (lookup.name.clone(), self.begun);
        self.begun += 1;
        self.under_way.push(UnderWay {
            number,
            since: now,
            lookup,
        });
        Some(Begun { number, name })
    }

    /// The thread for that lookup could not be started: the lookup is the next one again.
    pub(super) fn put_back(&mut self, number: u64) {
        if let Some(it) = self.remove(number) {
            self.waiting.push_front(it.lookup);
        }
    }

    /// The thread of that lookup has the answer: what it does next.
    pub(super) fn go_on(&mut self, number: u64, now: Moment) -> Step<F> {
        let this = self.under_way.iter_mut().find(|it| it.number == number);
        let askers = this.map(|it| std::mem::take(&mut it.lookup.askers));
        match askers {
            Some(askers) if !askers.is_empty() => {
                Step::Answer(askers.into_iter().map(|(_, found)| found).collect())
            }
            _ => {
                self.remove(number);
                self.begin(now).map_or(Step::End, Step::Begin)
            }
        }
    }

    /// That lookup is over, if it is still under way.
    pub(super) fn end(&mut self, number: u64) {
        self.remove(number);
    }

    /// True while a lookup is under way that may still be answered soon. What waits is begun before
    /// the last one ends.
    pub(super) fn is_busy(&self, now: Moment) -> bool {
        self.under_way.iter().any(|it| !it.is_lost(now))
    }

    fn remove(&mut self, number: u64) -> Option<UnderWay<A, F>> {
        let at = self.under_way.iter().position(|it| it.number == number)?;
        Some(self.under_way.swap_remove(at))
    }
}

impl<A, F> UnderWay<A, F> {
    fn is_lost(&self, now: Moment) -> bool {
        now.passed_since(self.since) > LOST_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment::from_nanos(1_000_000_000_000);

    /// Askers are numbers; what they want done is a word.
    type Words = Queue<u32, &'static str>;

    fn ask(queue: &mut Words, names: &[&str]) {
        for name in names {
            queue.add(name, 1, "found", START);
        }
    }

    /// The names of the lookups that can be begun now.
    fn begin_all(queue: &mut Words, now: Moment) -> Vec<String> {
        std::iter::from_fn(|| queue.begin(now))
            .map(|begun| begun.name)
            .collect()
    }

    #[test]
    fn at_most_so_many_lookups_are_under_way_and_each_name_is_looked_up_once() {
        let (mut queue, mut seen) = (Words::default(), Vec::new());
        let names: Vec<String> = (0..100).map(|number| format!("n{number}")).collect();
        for name in names.iter().chain(&names) {
            queue.add(name, 1, "found", START);
        }
        let mut under_way: Vec<Begun> = std::iter::from_fn(|| queue.begin(START)).collect();
        assert_eq!(under_way.len(), MAX_LOOKUPS);
        while let Some(begun) = under_way.pop() {
            assert!(queue.is_busy(START));
            assert_eq!(
                queue.go_on(begun.number, START),
                Step::Answer(vec!["found"])
            );
            if let Step::Begin(next) = queue.go_on(begun.number, START) {
                under_way.insert(0, next);
            }
            assert_eq!(queue.begin(START), None, "a thread goes on with the next");
            seen.push(begun.name);
        }
        assert!(!queue.is_busy(START));
        seen.sort_by_key(|name| name[1..].parse::<u32>().unwrap());
        assert_eq!(seen, names);
    }

    #[test]
    fn all_who_ask_for_a_name_are_answered_by_one_lookup() {
        let mut queue = Words::default();
        queue.add("a", 1, "early", START);
        queue.add("a", 1, "late", START);
        queue.add("a", 2, "other", START);
        let begun = queue.begin(START).unwrap();
        queue.add("a", 3, "under way", START);
        let all = vec!["late", "other", "under way"];
        assert_eq!(queue.go_on(begun.number, START), Step::Answer(all));
        queue.add("a", 4, "last", START);
        assert_eq!(queue.go_on(begun.number, START), Step::Answer(vec!["last"]));
        assert_eq!(queue.go_on(begun.number, START), Step::End);
        queue.add("a", 1, "again", START);
        assert_eq!(begin_all(&mut queue, START), ["a"]);
    }

    #[test]
    fn a_lost_lookup_leaves_its_place_and_its_name() {
        let mut queue = Words::default();
        ask(&mut queue, &["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
        let lost = queue.begin(START).unwrap();
        assert_eq!(begin_all(&mut queue, START).len(), MAX_LOOKUPS - 1);
        let at_most = START + LOST_AFTER;
        queue.add("a", 1, "joins", at_most);
        assert_eq!(begin_all(&mut queue, at_most), [""; 0]);
        assert!(queue.is_busy(at_most));
        let late = at_most + Duration::from_nanos(1);
        assert!(!queue.is_busy(late));
        queue.add("a", 1, "anew", late);
        assert_eq!(begin_all(&mut queue, late), ["i", "a"]);
        assert!(queue.is_busy(late));
        // The thread comes back after all.
        assert_eq!(queue.go_on(lost.number, late), Step::Answer(vec!["joins"]));
        assert_eq!(queue.go_on(lost.number, late), Step::End);
    }

    #[test]
    fn lost_lookups_cannot_fill_the_process_with_threads() {
        let (mut queue, mut now) = (Words::default(), START);
        let mut lost = Vec::new();
        for round in 0..100 {
            queue.add(&format!("n{round}"), 1, "found", now);
            lost.extend(queue.begin(now));
            now = now + LOST_AFTER + LOST_AFTER;
        }
        assert_eq!(lost.len(), MAX_THREADS);
        let step = queue.go_on(lost[0].number, now);
        assert_eq!(step, Step::Answer(vec!["found"]));
        assert!(matches!(queue.go_on(lost[0].number, now), Step::Begin(_)));
    }

    #[test]
    fn a_lookup_without_a_thread_is_the_next_one_again() {
        let mut queue = Words::default();
        ask(&mut queue, &["a", "b"]);
        let begun = queue.begin(START).unwrap();
        queue.put_back(begun.number);
        assert!(!queue.is_busy(START), "nobody works on it");
        assert_eq!(begin_all(&mut queue, START), ["a", "b"]);
    }

    #[test]
    fn a_lookup_whose_thread_has_died_is_forgotten() {
        let mut queue = Words::default();
        ask(&mut queue, &["a"]);
        let begun = queue.begin(START).unwrap();
        queue.end(begun.number);
        assert!(!queue.is_busy(START));
        ask(&mut queue, &["a"]);
        assert_eq!(begin_all(&mut queue, START), ["a"]);
    }
}
