use super::*;

mod races;
mod witnesses;

const RULES: Rules = Rules {
    inactive_threshold: 2,
    probing_threshold: 2,
};
const DOWN: Status = Status::Down;

fn at(seconds: u64) -> Moment {
    Moment::from_nanos(seconds * 1_000_000_000)
}

/// The process of that number, with an operation that began at that second in the first generation. It
/// may take ten seconds.
fn origin(began: u64, process: u32) -> Origin {
    Origin {
        process,
        generation: 0,
        began: at(began),
        is_kept_out: false,
        ends: at(began + 10),
    }
}

impl Origin {
    fn in_generation(self, generation: u16) -> Self {
        Self { generation, ..self }
    }
}

impl Health {
    /// The operation of `by` is answered, as a worker tells it.
    fn answer(&self, now: Moment, by: Origin) -> Option<Change> {
        match self.answered(by.generation, by.began) {
            true => None,
            false => self.clear(now, by),
        }
    }
}

fn change(from: State, to: State, seconds: u64) -> Option<Change> {
    let after = Duration::from_secs(seconds);
    Some(Change { from, to, after })
}

fn changed(from: State, to: State, seconds: u64) -> Judgement {
    let after = Duration::from_secs(seconds);
    Judgement::Changed(Change { from, to, after })
}

#[test]
fn failures_in_a_row_take_a_server_out_and_good_probes_bring_it_back() {
    let health = Health::default();
    assert_eq!(
        health.failed(at(1), origin(1, 99), DOWN, RULES),
        Judgement::Counted
    );
    assert_eq!(health.answer(at(2), origin(2, 99)), None);
    assert_eq!(
        health.failed(at(3), origin(3, 99), DOWN, RULES),
        Judgement::Counted,
        "the answer has ended the row"
    );
    assert_eq!(
        health.failed(at(4), origin(4, 99), DOWN, RULES),
        changed(State::Active, State::Inactive, 4)
    );
    assert_eq!(
        health.failed(at(5), origin(5, 99), DOWN, RULES),
        Judgement::Counted
    );
    assert_eq!(
        health.answer(at(5), origin(5, 99)),
        None,
        "only the prober brings it back"
    );
    assert!(health.is_away());
    assert_eq!(
        health.probed(at(6), origin(6, 1), None, RULES),
        change(State::Inactive, State::Trying, 2)
    );
    assert_eq!(
        health.probed(at(7), origin(7, 1), Some(DOWN), RULES),
        change(State::Trying, State::Inactive, 1)
    );
    health.probed(at(8), origin(8, 1), None, RULES);
    assert_eq!(
        health.probed(at(9), origin(9, 1), None, RULES),
        change(State::Trying, State::Active, 1)
    );
    assert_eq!((health.state(), health.is_away()), (State::Active, false));
    assert_eq!(health.generation(), 1);
    assert_eq!(health.counts(), (0, 0, 4));
}

#[test]
fn one_worker_waits_on_and_the_others_give_up() {
    let health = Health::default();
    let mark = change(State::Active, State::Trying, 1).map(Overdue::WaitOn);
    assert_eq!(Some(health.overdue(at(1), origin(1, 11))), mark);
    assert_eq!(health.overdue(at(1), origin(1, 12)), Overdue::GiveUp);
    assert!(!health.is_away());
    assert_eq!(health.probed(at(2), origin(2, 1), None, RULES), None);
    assert_eq!(
        health.answer(at(3), origin(3, 99)),
        change(State::Trying, State::Active, 2)
    );
}

#[test]
fn the_death_of_the_one_that_waits_frees_the_server() {
    let health = Health::default();
    health.overdue(at(1), origin(1, 11));
    assert_eq!(health.release(at(2), |_| true), None);
    assert_eq!(
        health.release(at(2), |pid| pid != 11),
        change(State::Trying, State::Active, 1)
    );
    assert_eq!(health.release(at(3), |_| false), None);
}

#[test]
fn a_failure_of_the_one_that_waits_is_a_failure_like_any() {
    let health = Health::default();
    let once = Rules {
        inactive_threshold: 1,
        ..RULES
    };
    health.overdue(at(1), origin(1, 11));
    assert_eq!(
        health.failed(at(6), origin(6, 11), Status::Timeout, once),
        changed(State::Trying, State::Inactive, 5)
    );
    assert_eq!(health.reason(), Some(Status::Timeout));
}

#[test]
fn an_answer_that_ends_no_outage_ends_a_row_of_failures() {
    let health = Health::default();
    assert_eq!(
        health.failed(at(1), origin(1, 99), DOWN, RULES),
        Judgement::Counted
    );
    assert_eq!(health.probed(at(2), origin(2, 1), None, RULES), None);
    assert_eq!(
        health.failed(at(3), origin(3, 99), DOWN, RULES),
        Judgement::Counted
    );
    health.failed(at(4), origin(4, 99), DOWN, RULES);
    assert_eq!(health.answer(at(5), origin(5, 99)), None);
    assert_eq!(health.state(), State::Inactive);
    health.probed(at(6), origin(6, 1), None, RULES);
    assert_eq!(health.answer(at(7), origin(7, 99)), None);
    assert_eq!(health.state(), State::Trying);
}

#[test]
fn what_began_before_an_outage_is_counted_and_no_more() {
    let once = Rules {
        inactive_threshold: 1,
        probing_threshold: 1,
    };
    for back in [
        |health: &Health| health.probed(at(5), origin(5, 1), None, RULES).is_some(),
        |health: &Health| health.set(at(6), State::Active).is_some(),
    ] {
        let health = Health::default();
        health.failed(at(2), origin(1, 11), DOWN, once);
        back(&health);
        // Nor does it bring back a server that is on its way back.
        let state = health.state();
        assert_eq!(health.answer(at(6), origin(1, 12)), None);
        assert_eq!(
            health.failed(at(6), origin(1, 12), DOWN, RULES),
            Judgement::NoEvidence
        );
        assert_eq!(health.state(), state);
        health.probed(at(6), origin(6, 1), None, RULES);
        assert_eq!((health.state(), health.generation()), (State::Active, 1));
        // The moments are those of the new generation, but the operations are not of it.
        assert_eq!(health.overdue(at(7), origin(7, 13)), Overdue::GiveUp);
        assert_eq!(
            health.failed(at(7), origin(7, 14), DOWN, once),
            Judgement::NoEvidence
        );
        assert_eq!(
            health.probed(at(7), origin(7, 1), Some(DOWN), once),
            None,
            "a probe of the last outage"
        );
        assert_eq!(health.state(), State::Active);
        assert_eq!(health.counts().2, 3);
        let fell = health.failed(at(9), origin(8, 11).in_generation(1), DOWN, once);
        assert!(matches!(fell, Judgement::Changed(change) if change.to == State::Inactive));
    }
}

#[test]
fn an_operation_on_the_slots_last_server_is_not_held_against_the_next() {
    let health = Health::default();
    let once = Rules {
        inactive_threshold: 1,
        ..RULES
    };
    health.reset(at(2));
    assert_eq!(health.overdue(at(3), origin(1, 11)), Overdue::GiveUp);
    assert_eq!(
        health.failed(at(3), origin(1, 11), DOWN, once),
        Judgement::NoEvidence
    );
    assert_eq!(health.state(), State::Active);
}

#[test]
fn an_operator_has_the_last_word() {
    let health = Health::default();
    assert_eq!(
        health.set(at(1), State::Disabled),
        change(State::Active, State::Disabled, 1)
    );
    assert_eq!(health.answer(at(2), origin(2, 99)), None);
    assert_eq!(
        health.failed(at(2), origin(2, 99), DOWN, RULES),
        Judgement::NoEvidence
    );
    assert_eq!(health.overdue(at(2), origin(2, 11)), Overdue::GiveUp);
    assert!(health.is_away());
    assert_eq!(health.probed(at(2), origin(2, 1), None, RULES), None);
    assert_eq!(
        health.set(at(3), State::Active),
        change(State::Disabled, State::Active, 2)
    );
}

#[test]
fn the_prober_finds_an_idle_server_dead() {
    let health = Health::default();
    assert_eq!(health.probed(at(1), origin(1, 1), Some(DOWN), RULES), None);
    assert_eq!(
        health.probed(at(2), origin(2, 1), Some(DOWN), RULES),
        change(State::Active, State::Inactive, 2)
    );
}

/// Every verdict that can be reached stays within what the states allow, whatever happens next.
#[test]
#[cfg_attr(miri, ignore = "takes minutes, and is arithmetic")]
fn every_reachable_verdict_is_a_legal_one() {
    type Event = fn(&Health, Origin);
    let events: [Event; 14] = [
        |health, by| {
            health.answer(at(1), by);
        },
        |health, by| {
            health.failed(at(1), by, DOWN, RULES);
        },
        |health, by| {
            health.note_answer(at(1));
            health.failed(at(1), by, DOWN, RULES);
        },
        |health, by| {
            health.failed(at(1), by.in_generation(9), DOWN, RULES);
        },
        |health, by| {
            health.overdue(at(1), by);
        },
        |health, _| {
            health.release(at(1), |_| false);
        },
        |health, _| {
            health.release(at(1), |_| true);
        },
        |health, by| {
            health.probed(at(1), by, None, RULES);
        },
        |health, by| {
            health.probed(at(1), by, Some(DOWN), RULES);
        },
        |health, by| {
            health.probed(at(1), by.in_generation(9), None, RULES);
        },
        |health, _| {
            health.set(at(1), State::Active);
        },
        |health, _| {
            health.set(at(1), State::Disabled);
        },
        |health, _| {
            health.divert(at(1));
        },
        |health, _| {
            health.settle(at(1), health.generation(), health.diverted());
        },
    ];
    let (mut known, mut fresh) = (std::collections::BTreeSet::from([0]), vec![0]);
    while let Some(word) = fresh.pop() {
        for (number, event) in events.iter().enumerate() {
            let before = Verdict::of(word);
            let health = Health {
                word: AtomicU64::new(word),
                ..Health::default()
            };
            event(&health, origin(1, 7).in_generation(before.generation));
            let next = health.word.load(Ordering::Relaxed);
            let verdict = Verdict::of(next);
            assert_eq!(verdict.word(), next, "a verdict is its word");
            assert!(
                verdict.probes == 0 || verdict.state == State::Trying,
                "{verdict:?}"
            );
            let row = verdict.failures < RULES.inactive_threshold;
            assert!(row || verdict.state == State::Inactive, "{verdict:?}");
            let returned = before.is_away() && !verdict.is_away();
            let steps = verdict.generation.wrapping_sub(before.generation);
            assert_eq!(steps, u16::from(returned), "{before:?} {verdict:?}");
            let moved = verdict.diverted != before.diverted;
            assert!(!moved || number >= 12, "{before:?} {verdict:?}");
            // Which generation it is makes no difference.
            let next = Verdict {
                generation: 0,
                ..verdict
            };
            if known.insert(next.word()) {
                fresh.push(next.word());
            }
        }
    }
    assert!(known.len() > 500, "{} verdicts were reached", known.len());
}

/// Of many processes that see a failure at once one makes the change.
#[test]
fn a_change_is_made_once() {
    for _ in 0..200 {
        let health = Health::default();
        let once = Rules {
            inactive_threshold: 1,
            probing_threshold: 1,
        };
        let changes: usize = std::thread::scope(|scope| {
            let workers = [0; 4].map(|_| {
                scope.spawn(|| {
                    matches!(
                        health.failed(at(1), origin(1, 99), DOWN, once),
                        Judgement::Changed(_)
                    )
                })
            });
            workers
                .map(|worker| usize::from(worker.join().unwrap()))
                .iter()
                .sum()
        });
        assert_eq!(changes, 1);
    }
}

#[test]
fn a_mark_that_is_given_back_leaves_the_server_in_service() {
    let health = Health::default();
    let mark = change(State::Active, State::Trying, 1).map(Overdue::WaitOn);
    assert_eq!(Some(health.overdue(at(1), origin(1, 11))), mark);
    assert_eq!(health.give_back_mark(at(2), 12), None, "not its own");
    assert_eq!(
        health.give_back_mark(at(2), 11),
        change(State::Trying, State::Active, 1)
    );
    assert_eq!(health.give_back_mark(at(3), 11), None);
}

#[test]
fn a_return_is_the_moment_from_which_on_workers_may_ask_again() {
    let health = Health::default();
    assert_eq!(health.returned(), None, "it was never out");
    health.failed(at(1), origin(1, 1), DOWN, RULES);
    assert_eq!(health.returned(), None, "one failure is no outage");
    health.failed(at(2), origin(2, 1), DOWN, RULES);
    health.probed(at(3), origin(3, 9), None, RULES);
    assert_eq!(health.returned(), None, "it is not trusted yet");
    health.probed(at(4), origin(4, 9), None, RULES);
    assert_eq!(health.returned(), Some(at(4)));
    let by = origin(5, 1).in_generation(1);
    assert!(matches!(health.overdue(at(6), by), Overdue::WaitOn(_)));
    health.clear(at(7), by);
    assert_eq!(health.returned(), Some(at(7)), "one worker has waited");
    health.divert(at(8));
    assert!(health.settle(at(9), 1, health.diverted()));
    assert_eq!(health.returned(), Some(at(9)), "it has missed writes");
    health.set(at(10), State::Disabled);
    health.set(at(11), State::Active);
    assert_eq!(health.returned(), Some(at(11)));
    health.void_moments(at(5));
    assert_eq!(health.returned(), Some(at(5)), "the clock has jumped back");
    health.reset(at(12));
    assert_eq!(health.returned(), None);
}
