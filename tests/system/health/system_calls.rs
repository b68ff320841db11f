//! System calls of the module that fail: any of them, with any error, once, the second time or always.
//! Such a failure costs the process that has it, and nobody else. What this process lacks is no evidence
//! against the server.

use std::time::Duration;

use libc::{
    EACCES, EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN, ECONNREFUSED, ECONNRESET, EHOSTUNREACH, EINTR,
    EINVAL, EMFILE, ENETUNREACH, ENFILE, ENOBUFS, ENOMEM, EPERM, EPIPE, ETIMEDOUT,
};
use support::{Builder, Call, Faults, Kamailio, Memcached, Pid, Times, Who, wait};

use super::callers::{call, leave_idle, pass, read_during, scripts, words};
use super::watch::{SLACK, assert_never_out, row, wait_for_state};

const TIMEOUT: Duration = Duration::from_millis(600);

/// How long a worker leaves a server alone that gives it no connection.
const RETRY: Duration = Duration::from_millis(100);

/// Every call of the module on sockets, and the errors with which it may end.
const CALLS: [(Call, &[i32]); 11] = [
    (
        Call::Socket,
        &[EMFILE, ENFILE, ENOMEM, ENOBUFS, EACCES, EAFNOSUPPORT],
    ),
    (Call::SetSockOpt, &[ENOMEM, ENOBUFS, EINVAL, EPERM]),
    (Call::GetSockOpt, &[ENOMEM, ENOBUFS, EINVAL]),
    (Call::Fcntl, &[ENOMEM, EINVAL, EPERM]),
    (Call::Connect, &[ENOMEM, ENOBUFS, EADDRNOTAVAIL, EINTR]),
    (Call::Connect, REMOTE),
    (Call::Send, &[ENOMEM, ENOBUFS, EINTR, EAGAIN]),
    (Call::Send, REMOTE),
    (Call::Recv, &[ENOMEM, ENOBUFS, EINTR, EAGAIN]),
    (Call::Recv, REMOTE),
    (Call::Poll, &[ENOMEM, EINTR, EINVAL, EAGAIN]),
];

/// What the server or the network may be the reason of.
const REMOTE: &[i32] = &[
    ECONNREFUSED,
    ECONNRESET,
    EPIPE,
    ETIMEDOUT,
    ENETUNREACH,
    EHOSTUNREACH,
    EPERM,
];

/// True if the call says with this error that the process lacks something.
fn is_shortage((call, error): (Call, i32)) -> bool {
    match call {
        Call::Connect | Call::Send | Call::Recv => {
            [ENOMEM, ENOBUFS, EADDRNOTAVAIL].contains(&error)
        }
        _ => ![EINTR, EAGAIN].contains(&error),
    }
}

/// All calls with all errors.
fn all() -> impl Iterator<Item = (Call, i32)> {
    let errors =
        |(call, errors): (Call, &'static [i32])| errors.iter().map(move |&error| (call, error));
    CALLS.into_iter().flat_map(errors)
}

fn builder(memcached: &Memcached, faults: &Faults) -> Builder {
    let builder = scripts(Kamailio::on(memcached))
        .param("timeout", TIMEOUT.as_millis() as i64)
        .param("stall_limit", 200)
        .param("retry_interval", RETRY.as_millis() as i64)
        .rpc();
    faults.obeyed_by(builder)
}

/// Asks until that worker has answered, and `is_enough` says that it was often enough. Returns the words
/// of its answers.
fn answers_of(kamailio: &Kamailio, worker: Pid, is_enough: impl Fn(usize) -> bool) -> Vec<String> {
    let mut words = Vec::new();
    wait::until("answers of a worker", wait::WAIT_LIMIT, || {
        let call = call(kamailio, "get", "a");
        if call.process == worker {
            words.push(call.word);
        }
        !words.is_empty() && is_enough(words.len())
    });
    words
}

/// The next answer of that worker.
fn next_answer(kamailio: &Kamailio, worker: Pid) -> String {
    answers_of(kamailio, worker, |_| true).remove(0)
}

#[test]
fn a_call_that_fails_in_one_worker_costs_the_others_nothing() {
    let Some(faults) = Faults::new() else { return };
    let memcached = Memcached::start();
    memcached.put("a", 1, 0, "one");
    let kamailio = builder(&memcached, &faults).children(3).start();
    let processes = kamailio.processes();
    let [poor, ..] = kamailio.workers()[..] else {
        panic!("three workers");
    };
    let mut served = 0;
    for case in all() {
        let is_remote = REMOTE.contains(&case.1) && !is_shortage(case);
        for times in Times::ALL {
            let what = format!("{case:?} {times:?}");
            faults.close_idle(poor);
            let (said, calls) = read_during(&kamailio, 2, &["a".into()], || {
                faults.order(case.0, case.1, times, Who::Only(poor));
                let has_failed = |_| faults.hits() > 0;
                let said = answers_of(&kamailio, poor, has_failed);
                faults.clear();
                said
            });
            let of_others: Vec<_> = calls
                .into_iter()
                .filter(|call| call.process != poor)
                .collect();
            let words = words(&of_others);
            served += of_others.len();
            let row = row(&kamailio, memcached.address());
            if is_remote {
                // One worker that cannot connect is evidence enough.
                wait_for_state(&kamailio, memcached.address(), "active");
            } else {
                assert!(
                    words.keys().all(|word| *word == "hit"),
                    "{what}: {words:?}\n{}",
                    kamailio.log()
                );
                assert_eq!(row.state, "active", "{what}: {said:?}");
            }
            let first = next_answer(&kamailio, poor);
            if first != "hit" {
                assert!(!is_shortage(case), "{what}: {said:?}, then {first}");
                // The worker leaves a server alone for a moment that it could not reach.
                pass(RETRY);
                assert_eq!(next_answer(&kamailio, poor), "hit", "{what}");
            }
        }
    }
    assert!(served > 100, "{served}");
    assert_eq!(kamailio.processes(), processes);
}

/// Nobody else vouches for the server.
#[test]
fn what_the_only_worker_lacks_is_no_evidence_against_the_server() {
    let Some(faults) = Faults::new() else { return };
    let memcached = Memcached::start();
    memcached.put("a", 1, 0, "one");
    let kamailio = builder(&memcached, &faults).start();
    let [worker] = kamailio.workers()[..] else {
        panic!("one worker");
    };
    for case in all().filter(|&case| is_shortage(case)) {
        for times in Times::ALL {
            let what = format!("{case:?} {times:?}");
            faults.close_idle(worker);
            faults.order(case.0, case.1, times, Who::Only(worker));
            let said: Vec<String> = (0..3)
                .map(|_| {
                    leave_idle();
                    call(&kamailio, "get", "a").word
                })
                .collect();
            assert!(faults.clear() > 0, "{what} did not happen: {said:?}");
            assert!(
                said.iter()
                    .all(|word| ["hit", "down", "timeout"].contains(&&word[..])),
                "{what}: {said:?}"
            );
            let row = row(&kamailio, memcached.address());
            assert_eq!(row.state, "active", "{what}: {said:?}\n{}", kamailio.log());
            assert_eq!(call(&kamailio, "get", "a").word, "hit", "{what}");
        }
    }
    let lines = kamailio.module_lines();
    assert!(
        lines.iter().all(|line| line.contains("this process")),
        "{lines:#?}"
    );
}

/// The prober can ask nobody: a server in service stays so, and one that is out comes back afterwards.
#[test]
fn what_the_prober_lacks_is_no_evidence_against_a_server() {
    let Some(faults) = Faults::new() else { return };
    let memcached = Memcached::start();
    let kamailio = builder(&memcached, &faults)
        .param("ping_interval", 1)
        .start();
    let [worker] = kamailio.workers()[..] else {
        panic!("one worker");
    };
    let cases = [
        (Call::Socket, EMFILE),
        (Call::SetSockOpt, ENOBUFS),
        (Call::GetSockOpt, ENOBUFS),
        (Call::Connect, ENOMEM),
        (Call::Send, ENOBUFS),
        (Call::Recv, ENOMEM),
        (Call::Poll, ENOMEM),
    ];
    for (failing, error) in cases {
        faults.order(failing, error, Times::Always, Who::AllBut(worker));
        wait::until("two probes that fail", wait::WAIT_LIMIT, || {
            faults.hits() > 4
        });
        pass(Duration::from_millis(1000));
        faults.clear();
        let row = row(&kamailio, memcached.address());
        assert_eq!(row.state, "active", "{failing:?}\n{}", kamailio.log());
    }
    assert_never_out(&kamailio);
    memcached.pause();
    wait_for_state(&kamailio, memcached.address(), "inactive");
    faults.order(Call::Socket, EMFILE, Times::Always, Who::AllBut(worker));
    memcached.resume();
    wait::until("probes that fail", wait::WAIT_LIMIT, || faults.hits() > 2);
    faults.clear();
    wait_for_state(&kamailio, memcached.address(), "active");
}

/// A signal ends the wait for a unix socket's other side, and the operation goes on waiting.
#[test]
fn a_signal_while_connecting_a_unix_socket_costs_nothing() {
    let Some(faults) = Faults::new() else { return };
    let memcached = Memcached::unix();
    memcached.put("a", 1, 0, "one");
    let kamailio = builder(&memcached, &faults).start();
    for times in [Times::Once, Times::Second] {
        for worker in kamailio.workers() {
            faults.close_idle(worker);
            faults.order(Call::Connect, EINTR, times, Who::Only(worker));
            wait::until("a connect that fails", wait::WAIT_LIMIT, || {
                leave_idle();
                assert_eq!(call(&kamailio, "get", "a").word, "hit", "{times:?}");
                faults.hits() > 0
            });
            faults.clear();
        }
    }
    kamailio.assert_nothing_logged();
}

/// Signals without end: the deadline of the operation is looked at in between.
#[test]
fn no_signal_makes_an_operation_longer() {
    let Some(faults) = Faults::new() else { return };
    let memcached = Memcached::unix();
    memcached.put("a", 1, 0, "one");
    let kamailio = builder(&memcached, &faults).without_verdicts().start();
    assert_eq!(call(&kamailio, "get", "a").word, "hit");
    let [worker] = kamailio.workers()[..] else {
        panic!("one worker");
    };
    for failing in [Call::Connect, Call::Send, Call::Recv, Call::Poll] {
        if failing != Call::Send {
            leave_idle();
            faults.close_idle(worker);
        }
        faults.order(failing, EINTR, Times::Always, Who::Only(worker));
        let call_of = call(&kamailio, "get", "a");
        assert!(
            ["hit", "timeout"].contains(&&call_of.word[..]),
            "{failing:?} {call_of:?}"
        );
        assert!(call_of.took < TIMEOUT + SLACK, "{failing:?} {call_of:?}");
        assert!(faults.hits() > 0 || failing == Call::Poll, "{failing:?}");
        faults.clear();
        // A worker that got no connection leaves the server alone for a moment.
        pass(RETRY);
        assert_eq!(call(&kamailio, "get", "a").word, "hit", "{failing:?}");
    }
}
