//! What others' answers, other generations, marks and missed writes change about a verdict.

use super::*;
use crate::health::mark::MARK_SLACK;

#[test]
fn an_answer_to_anybody_outweighs_failures_of_what_began_before_it() {
    let once = Rules {
        inactive_threshold: 1,
        ..RULES
    };
    let health = Health::default();
    assert!(health.answered(0, at(5)), "nothing follows");
    for began in [3, 5] {
        let by = origin(began, 11);
        assert_eq!(health.failed(at(6), by, DOWN, once), Judgement::NoEvidence);
        assert_eq!(health.overdue(at(6), by), Overdue::GiveUp);
        assert_eq!(health.probed(at(6), by, Some(DOWN), once), None);
    }
    assert_eq!((health.state(), health.counts().2), (State::Active, 2));
    let fell = health.failed(at(8), origin(6, 11), DOWN, once);
    assert_eq!(fell, changed(State::Active, State::Inactive, 8));
}

/// An operator's ping and the prober ask at the same time.
#[test]
fn a_probe_that_fails_late_says_nothing_after_a_later_one_was_answered() {
    let rules = Rules {
        inactive_threshold: 1,
        probing_threshold: 2,
    };
    let health = Health::default();
    health.failed(at(2), origin(1, 11), DOWN, rules);
    let (early, late) = (origin(3, 12), origin(4, 13));
    let back = health.probed(at(5), late, None, rules).unwrap();
    assert_eq!((back.from, back.to), (State::Inactive, State::Trying));
    assert_eq!(health.probed(at(6), early, Some(DOWN), rules), None);
    assert_eq!(health.state(), State::Trying);
    let worse = health.probed(at(8), origin(7, 12), Some(DOWN), rules);
    assert_eq!(worse.unwrap().to, State::Inactive);
}

#[test]
fn who_is_kept_out_is_outweighed_by_an_answer_before_it_began() {
    let once = Rules {
        inactive_threshold: 1,
        ..RULES
    };
    let health = Health::default();
    assert!(health.answered(0, at(5)));
    let kept_out = |began| Origin {
        is_kept_out: true,
        ..origin(began, 11)
    };
    let by = kept_out(15);
    assert_eq!(health.overdue(at(16), by), Overdue::GiveUp);
    assert_eq!(health.failed(at(16), by, DOWN, once), Judgement::NoEvidence);
    let by = kept_out(16);
    assert!(matches!(health.overdue(at(17), by), Overdue::WaitOn(_)));
    let fell = health.failed(at(17), by, DOWN, once);
    assert_eq!(fell, changed(State::Trying, State::Inactive, 0));
}

#[test]
fn who_is_kept_out_is_outweighed_by_what_has_ended_a_stall() {
    let health = Health::default();
    let waits = origin(10, 12);
    assert!(matches!(health.overdue(at(20), waits), Overdue::WaitOn(_)));
    // The server has answered, and only then it is active again.
    assert!(!health.answered(0, at(18)));
    let change = health.clear(at(21), waits).unwrap();
    assert_eq!((change.from, change.to), (State::Trying, State::Active));
    let by = Origin {
        is_kept_out: true,
        ..origin(15, 11)
    };
    assert_eq!(health.overdue(at(22), by), Overdue::GiveUp);
}

#[test]
fn who_is_kept_out_counts_in_a_row_of_failures() {
    let health = Health::default();
    assert!(health.answered(0, at(5)));
    let by = Origin {
        is_kept_out: true,
        ..origin(7, 11)
    };
    assert_eq!(health.failed(at(8), by, DOWN, RULES), Judgement::NoEvidence);
    let other = origin(7, 12);
    assert_eq!(health.failed(at(8), other, DOWN, RULES), Judgement::Counted);
    let fell = health.failed(at(8), by, DOWN, RULES);
    assert_eq!(fell, changed(State::Active, State::Inactive, 8));
}

#[test]
fn who_holds_the_mark_and_fails_after_others_were_answered_ends_the_stall() {
    let health = Health::default();
    health.overdue(at(1), origin(1, 11));
    // A question on a fresh connection, say, which is no answer to an operation.
    health.note_answer(at(2));
    assert_eq!(health.state(), State::Trying);
    assert_eq!(
        health.failed(at(3), origin(1, 11), DOWN, RULES),
        changed(State::Trying, State::Active, 2)
    );
}

#[test]
fn the_moment_of_the_last_answer_is_written_once_in_four_milliseconds() {
    let health = Health::default();
    let millis = |millis| at(7) + Duration::from_millis(millis);
    health.note_answer(at(7));
    health.note_answer(millis(4));
    assert!(health.has_answered_since(at(7)));
    assert!(!health.has_answered_since(millis(1)));
    health.note_answer(millis(5));
    assert!(health.has_answered_since(millis(5)));
    health.note_answer(millis(2));
    assert!(health.has_answered_since(millis(5)), "not set back");
}

#[test]
fn a_late_answer_does_not_hide_a_newer_one() {
    let health = Health::default();
    health.note_answer(at(9));
    // The worker that holds the mark had waited for eight seconds.
    health.note_answer(at(1));
    assert!(health.has_answered_since(at(9)));
}

#[test]
fn a_mark_ends_with_the_deadline_of_a_worker_that_was_stopped() {
    let health = Health::default();
    let slack = at(11) + MARK_SLACK;
    health.overdue(at(1), origin(1, 11));
    assert_eq!(health.release(slack, |_| true), None);
    assert_eq!(
        health.release(slack + Duration::from_nanos(1), |_| true),
        Some(Change {
            from: State::Trying,
            to: State::Active,
            after: slack.since(at(1)) + Duration::from_nanos(1),
        })
    );
}

#[test]
fn who_is_refused_the_mark_does_not_shorten_it() {
    let health = Health::default();
    assert_ne!(health.overdue(at(5), origin(5, 11)), Overdue::GiveUp);
    // Bytes have arrived for this one for long, so its deadline is near.
    assert_eq!(health.overdue(at(6), origin(0, 12)), Overdue::GiveUp);
    assert_eq!(health.release(at(12), |_| true), None);
}

#[test]
fn a_fresh_mark_is_not_taken_for_the_one_that_was_over() {
    let health = Health::default();
    health.overdue(at(1), origin(1, 11));
    let swapped = Cell::new(false);
    let lives = |_| {
        if !swapped.replace(true) {
            health.give_back_mark(at(20), 11);
            health.overdue(at(20), origin(20, 12));
        }
        true
    };
    assert_eq!(health.release(at(20), lives), None);
    assert_eq!(health.state(), State::Trying);
}

#[test]
fn a_server_that_has_missed_writes_is_not_asked_until_it_has_made_up_for_them() {
    let health = Health::default();
    assert_eq!((health.admit(), health.diverted()), (Some(0), 0));
    health.divert(at(1));
    assert_eq!((health.admit(), health.state()), (None, State::Active));
    let seen = health.diverted();
    health.divert(at(2));
    assert!(
        !health.settle(at(3), 0, seen),
        "one more has come in between"
    );
    assert!(health.settle(at(3), 0, health.diverted()));
    assert_eq!((health.admit(), health.diverted()), (Some(0), 0));
    assert!(health.settle(at(4), 0, 0), "nothing to make up for");
    health.divert(at(5));
    assert!(
        !health.settle(at(6), 1, health.diverted()),
        "of another time"
    );
}

#[test]
fn a_write_during_an_outage_needs_no_note() {
    let health = Health::default();
    health.set(at(1), State::Disabled);
    health.divert(at(2));
    assert_eq!(health.diverted(), 0);
    health.set(at(3), State::Active);
    // What was missed before an outage stays missed over it.
    health.divert(at(4));
    health.set(at(5), State::Disabled);
    health.set(at(6), State::Active);
    assert_eq!((health.diverted(), health.admit()), (1, None));
}

/// The word that a slow process has looked at never comes back.
#[test]
fn each_return_begins_another_generation() {
    let health = Health::default();
    let once = Rules {
        inactive_threshold: 1,
        probing_threshold: 1,
    };
    for generation in 0..5 {
        let seconds = 10 * u64::from(generation);
        let by = origin(seconds + 8, 11).in_generation(generation);
        assert_eq!(health.admit(), Some(generation));
        let failed = health.failed(at(seconds + 8), by, DOWN, once);
        assert!(matches!(failed, Judgement::Changed(_)));
        assert_eq!((health.admit(), health.generation()), (None, generation));
        assert_eq!(health.answer(at(seconds + 9), by), None);
        assert!(health.set(at(seconds + 9), State::Active).is_some());
    }
    assert_eq!(health.set(at(60), State::Active), None, "no return");
    assert_eq!(health.generation(), 5);
}

#[test]
fn who_has_waited_on_since_before_an_outage_leaves_no_mark() {
    let health = Health::default();
    health.overdue(at(1), origin(1, 11));
    for _ in 0..2 {
        health.failed(at(2), origin(1, 12), DOWN, RULES);
    }
    health.set(at(3), State::Active);
    // Its mark stays, so another one that is overdue gives up.
    let second = |began, process| origin(began, process).in_generation(1);
    assert_eq!(health.overdue(at(5), second(4, 12)), Overdue::GiveUp);
    assert_eq!(health.state(), State::Active);
    assert_eq!(
        health.failed(at(6), origin(1, 11), DOWN, RULES),
        Judgement::NoEvidence
    );
    assert!(matches!(
        health.overdue(at(8), second(7, 12)),
        Overdue::WaitOn(_)
    ));
}

/// `timeout` may be lowered meanwhile: the operation that has begun lasts as long as it was allowed to.
#[test]
fn a_mark_lasts_as_long_as_the_operation_that_holds_it() {
    let health = Health::default();
    health.overdue(at(2), origin(1, 11));
    health.void_moments(at(2));
    let end = at(11) + MARK_SLACK;
    assert_eq!(health.release(end, |_| true), None);
    let later = end + Duration::from_nanos(1);
    assert!(health.release(later, |_| true).is_some());
}

/// A machine is restored from a state of an hour before, and its clock with it.
#[test]
fn what_was_noted_before_the_clock_jumped_back_silences_nothing() {
    let health = Health::default();
    let hour = Duration::from_secs(3600);
    health.note_answer(at(1) + hour);
    health.overdue(at(2) + hour, origin(3602, 11));
    let began = at(2);
    assert!(health.has_answered_since(began));
    health.void_moments(at(2));
    assert!(!health.has_answered_since(at(3)));
    assert_eq!(health.since(), at(2));
    // The mark ends as late as one that was taken now.
    let end = at(12) + MARK_SLACK;
    assert_eq!(health.release(end, |_| true), None);
    assert!(
        health
            .release(end + Duration::from_nanos(1), |_| true)
            .is_some()
    );
    // Moments of other processes, a little later, are left alone.
    health.note_answer(at(9));
    health.void_moments(at(8));
    assert!(health.has_answered_since(at(9)));
}
