//! What another process sees at once of a change, in whatever order its memory is written. Miri runs these with many
//! seeds: it shows old values of memory where the order allows that.

use std::thread;

use super::*;

const ONCE: Rules = Rules {
    inactive_threshold: 1,
    probing_threshold: 1,
};
const ROUNDS: u32 = if cfg!(miri) { 3 } else { 2000 };

/// One thread makes the change, another one waits until it sees that and then looks.
fn race(
    change: impl Fn(&Health) + Sync,
    is_seen: impl Fn(&Health) -> bool,
    look: impl Fn(&Health),
) {
    for _ in 0..ROUNDS {
        let health = Health::default();
        thread::scope(|scope| {
            scope.spawn(|| change(&health));
            while !is_seen(&health) {
                thread::yield_now();
            }
            look(&health);
        });
    }
}

fn fail(health: &Health) {
    health.failed(at(5), origin(5, 1), DOWN, ONCE);
}

#[test]
fn who_sees_an_outage_sees_when_it_began() {
    race(fail, Health::is_away, |health| {
        assert_eq!(health.away_since(), at(5));
    });
}

#[test]
fn who_sees_a_return_sees_when_it_was() {
    let fail_and_return = |health: &Health| {
        fail(health);
        health.probed(at(9), origin(9, 2), None, ONCE);
    };
    let has_returned = |health: &Health| health.generation() == 1;
    race(fail_and_return, has_returned, |health| {
        assert_eq!(health.returned(), Some(at(9)));
    });
}

#[test]
fn who_sees_that_a_worker_waits_on_knows_for_how_long() {
    let wait_on = |health: &Health| _ = health.overdue(at(5), origin(5, 1));
    let is_trying = |health: &Health| health.state() == State::Trying;
    race(wait_on, is_trying, |health| {
        assert_eq!(
            health.release(at(15), |_| true),
            None,
            "it may wait that long"
        );
        assert!(health.release(at(16), |_| true).is_some());
    });
}

#[test]
fn the_answer_to_what_began_last_stays_whoever_notes_it_first() {
    for _ in 0..ROUNDS {
        let health = Health::default();
        thread::scope(|scope| {
            for began in 1..=3 {
                let health = &health;
                scope.spawn(move || health.note_answer(at(began)));
            }
        });
        assert!(health.has_answered_since(at(3)));
    }
}

/// A process that was stopped as it was about to take the server out of service goes on.
#[test]
fn an_outage_is_not_taken_for_longer_than_it_is() {
    let health = Health::default();
    let rules = Rules {
        inactive_threshold: 1,
        ..RULES
    };
    health.failed(at(5), origin(5, 99), DOWN, rules);
    health.set(at(6), State::Active);
    let by = origin(3, 98).in_generation(1);
    assert!(matches!(
        health.failed(at(3), by, DOWN, rules),
        Judgement::Changed(_)
    ));
    assert_eq!(health.away_since(), at(5));
}
