use super::*;

const RULES: Rules = Rules {
    inactive_threshold: 2,
    probing_threshold: 2,
};
const DOWN: Status = Status::Down;

fn at(seconds: u64) -> Moment {
    Moment::from_nanos(seconds * 1_000_000_000)
}

/// The process of that number, with an operation that began so many seconds ago from 0 on.
fn origin(began: u64, process: u32) -> Origin {
    let began = at(began);
    Origin { process, began }
}

fn change(from: State, to: State, seconds: u64) -> Option<Change> {
    Some(Change {
        from,
        to,
        after: Duration::from_secs(seconds),
    })
}

#[test]
fn failures_in_a_row_take_a_server_out_and_good_probes_bring_it_back() {
    let health = Health::default();
    assert_eq!(health.failed(at(1), origin(1, 99), DOWN, RULES), None);
    assert_eq!(health.answered(|| at(2), || 99), None);
    assert_eq!(
        health.failed(at(3), origin(3, 99), DOWN, RULES),
        None,
        "the answer has ended the row"
    );
    assert_eq!(
        health.failed(at(4), origin(4, 99), DOWN, RULES),
        change(State::Active, State::Inactive, 4)
    );
    assert_eq!(health.failed(at(5), origin(5, 99), DOWN, RULES), None);
    assert_eq!(
        health.answered(|| at(5), || 99),
        None,
        "only the prober brings it back"
    );
    assert!(health.is_away());
    assert_eq!(
        health.probed(at(6), None, RULES),
        change(State::Inactive, State::Trying, 2)
    );
    assert_eq!(
        health.probed(at(7), Some(DOWN), RULES),
        change(State::Trying, State::Inactive, 1)
    );
    health.probed(at(8), None, RULES);
    assert_eq!(
        health.probed(at(9), None, RULES),
        change(State::Trying, State::Active, 1)
    );
    assert_eq!((health.state(), health.is_away()), (State::Active, false));
    assert_eq!(health.counts(), (0, 0, 4));
}

#[test]
fn one_worker_waits_on_and_the_others_give_up() {
    let health = Health::default();
    let mark = change(State::Active, State::Trying, 1).map(Overdue::WaitOn);
    assert_eq!(Some(health.overdue(at(1), origin(1, 11))), mark);
    assert_eq!(health.overdue(at(1), origin(1, 12)), Overdue::GiveUp);
    assert!(!health.is_away());
    assert_eq!(health.probed(at(2), None, RULES), None);
    assert_eq!(
        health.answered(|| at(3), || 99),
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
        change(State::Trying, State::Inactive, 5)
    );
    assert_eq!(health.reason(), Some(Status::Timeout));
}

#[test]
fn an_answer_that_ends_no_outage_ends_a_row_of_failures() {
    let health = Health::default();
    assert_eq!(health.failed(at(1), origin(1, 99), DOWN, RULES), None);
    health.pinged(at(2));
    assert_eq!(health.failed(at(3), origin(3, 99), DOWN, RULES), None);
    health.failed(at(4), origin(4, 99), DOWN, RULES);
    health.pinged(at(5));
    assert_eq!(health.state(), State::Inactive);
    health.probed(at(6), None, RULES);
    health.pinged(at(7));
    assert_eq!(health.state(), State::Trying);
}

#[test]
fn what_began_before_an_outage_is_counted_and_no_more() {
    let once = Rules {
        inactive_threshold: 1,
        probing_threshold: 1,
    };
    for back in [
        |health: &Health| health.probed(at(5), None, RULES).is_some(),
        |health: &Health| health.set(at(6), State::Active).is_some(),
    ] {
        let health = Health::default();
        health.failed(at(2), origin(1, 11), DOWN, once);
        back(&health);
        // Nor does it bring back a server that is on its way back.
        let state = health.state();
        assert_eq!(health.answered(|| at(6), || 12), None);
        assert_eq!(health.failed(at(6), origin(1, 12), DOWN, RULES), None);
        assert_eq!(health.state(), state);
        health.probed(at(6), None, RULES);
        assert_eq!(health.state(), State::Active);
        assert_eq!(health.overdue(at(7), origin(1, 13)), Overdue::GiveUp);
        assert_eq!(health.failed(at(7), origin(1, 14), DOWN, once), None);
        assert_eq!(health.state(), State::Active);
        assert_eq!(health.counts().2, 3);
        let fell = health.failed(at(9), origin(8, 11), DOWN, once);
        assert_eq!(fell.map(|change| change.to), Some(State::Inactive));
    }
}

#[test]
fn who_has_waited_on_since_before_an_outage_leaves_no_mark() {
    let health = Health::default();
    health.overdue(at(1), origin(1, 11));
    for _ in 0..2 {
        health.failed(at(2), origin(1, 12), DOWN, RULES);
    }
    health.set(at(3), State::Active);
    // Its mark stays, so another one that is overdue gives up; both are heard no more.
    assert_eq!(health.overdue(at(5), origin(4, 12)), Overdue::GiveUp);
    assert_eq!(health.state(), State::Trying);
    assert_eq!(
        health.failed(at(6), origin(1, 11), DOWN, RULES),
        change(State::Trying, State::Active, 1)
    );
    assert!(matches!(
        health.overdue(at(8), origin(7, 12)),
        Overdue::WaitOn(_)
    ));
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
    assert_eq!(health.failed(at(3), origin(1, 11), DOWN, once), None);
    assert_eq!(health.state(), State::Active);
}

#[test]
fn an_operator_has_the_last_word() {
    let health = Health::default();
    assert_eq!(
        health.set(at(1), State::Disabled),
        change(State::Active, State::Disabled, 1)
    );
    assert_eq!(health.answered(|| at(2), || 99), None);
    assert_eq!(health.failed(at(2), origin(2, 99), DOWN, RULES), None);
    assert_eq!(health.overdue(at(2), origin(2, 11)), Overdue::GiveUp);
    assert!(health.is_away());
    assert_eq!(health.probed(at(2), None, RULES), None);
    assert_eq!(
        health.set(at(3), State::Active),
        change(State::Disabled, State::Active, 2)
    );
}

#[test]
fn the_prober_finds_an_idle_server_dead() {
    let health = Health::default();
    assert_eq!(health.probed(at(1), Some(DOWN), RULES), None);
    assert_eq!(
        health.probed(at(2), Some(DOWN), RULES),
        change(State::Active, State::Inactive, 2)
    );
}

/// Every verdict that can be reached stays within what the states allow, whatever happens next.
#[test]
fn every_reachable_verdict_is_a_legal_one() {
    type Event = fn(&Health);
    let events: [Event; 10] = [
        |health| {
            health.answered(|| at(1), || 99);
        },
        |health| {
            health.failed(at(1), origin(1, 99), DOWN, RULES);
        },
        |health| {
            health.failed(at(1), origin(0, 99), DOWN, RULES);
        },
        |health| {
            health.overdue(at(1), origin(1, 7));
        },
        |health| {
            health.release(at(1), |_| false);
        },
        |health| {
            health.release(at(1), |_| true);
        },
        |health| {
            health.probed(at(1), None, RULES);
        },
        |health| {
            health.probed(at(1), Some(DOWN), RULES);
        },
        |health| {
            health.set(at(1), State::Active);
        },
        |health| {
            health.set(at(1), State::Disabled);
        },
    ];
    let (mut known, mut fresh) = (vec![0], vec![0]);
    while let Some(word) = fresh.pop() {
        for event in events {
            let health = Health {
                word: AtomicU64::new(word),
                returned: AtomicU64::new(at(1).nanos()),
                ..Health::default()
            };
            event(&health);
            let next = health.word.load(Ordering::Relaxed);
            let verdict = Verdict::of(next);
            assert_eq!(verdict.word(), next, "a verdict is its word");
            assert!(
                verdict.probes == 0 || verdict.state == State::Trying,
                "{verdict:?}"
            );
            let row = verdict.failures < RULES.inactive_threshold;
            assert!(row || verdict.state == State::Inactive, "{verdict:?}");
            if !known.contains(&next) {
                known.push(next);
                fresh.push(next);
            }
        }
    }
    assert!(known.len() > 5, "{} verdicts were reached", known.len());
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
            let workers = [0; 4]
                .map(|_| scope.spawn(|| health.failed(at(1), origin(1, 99), DOWN, once).is_some()));
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
