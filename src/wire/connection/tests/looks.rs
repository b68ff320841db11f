//! Second looks: what comes on the first connection, what on the fresh one, and in which order.

use std::sync::LazyLock;

use support::Port;

use super::stage::Step::{Accept, Await, Close, Drip, Hear, Say};
use super::stage::{End, LIMIT, Play, STALL, Step, get, incr};
use super::*;

fn port_of_nobody() -> Target {
    static PORT: LazyLock<Port> = LazyLock::new(Port::free);
    Target::Tcp(PORT.v4())
}

#[test]
fn the_first_connection_may_answer_after_all() {
    let end = get().run(&[
        Accept,
        Hear(0),
        Accept,
        Hear(1),
        Say(0, "VALUE k 7 1\r\nx\r\nEND\r\n"),
    ]);
    assert!(matches!(end.reply, Ok(Reply::Item(_))), "{:?}", end.reply);
    assert_eq!((&*end.value, end.client.road.answers.get()), ("x", 0));
    assert!(end.client.connection.open.is_some(), "it is used again");
}

#[test]
fn the_fresh_connection_may_answer_and_is_the_one_from_then_on() {
    let mut end = get().run(&[
        Accept,
        Hear(0),
        Accept,
        Hear(1),
        Hear(1),
        Say(1, "END\r\nVALUE k 7 1\r\nx\r\nEND\r\n"),
        Hear(1),
        Say(1, "5\r\n"),
    ]);
    assert!(matches!(end.reply, Ok(Reply::Item(_))), "{:?}", end.reply);
    let road = &end.client.road;
    assert_eq!((road.answers.get(), road.prepared.get()), (1, 2));
    let said = [(0, "get k\r\n"), (1, "get q1\r\n"), (1, "get k\r\n")];
    assert_eq!(end.lines, said.map(|(at, line)| (at, line.into())));
    assert_eq!(end.value, "x");
    assert_eq!(count(&mut end.client).unwrap(), Reply::Counted(5));
}

#[test]
fn a_server_that_answers_the_question_alone_is_not_to_blame() {
    let end = get().run(&[Accept, Hear(0), Accept, Hear(1), Hear(1), Say(1, "END\r\n")]);
    assert_eq!((end.asked, end.client.road.answers.get()), (0, 1));
    assert!(end.took < LIMIT, "{:?}", end.took);
    assert!(end.client.connection.open.is_none());
    assert!(matches!(end.failure(), (Error::Timeout(_), false)));
}

#[test]
fn a_silent_server_is_waited_for_by_who_gets_the_mark_until_the_deadline() {
    let play = Play {
        limit: Duration::from_millis(600),
        ..get()
    };
    let end = play.run(&[Accept, Hear(0), Accept, Hear(1)]);
    assert!(end.took >= Duration::from_millis(600), "{:?}", end.took);
    assert_eq!(end.asked, 1);
    assert!(matches!(end.failure(), (Error::Timeout(_), true)));
}

#[test]
fn who_does_not_get_the_mark_gives_up() {
    let play = Play {
        grant: false,
        ..get()
    };
    let end = play.run(&[Accept, Hear(0), Accept, Hear(1)]);
    assert!(
        end.took >= STALL * 7 / 5 && end.took < LIMIT,
        "{:?}",
        end.took
    );
    assert_eq!(end.asked, 1);
    assert!(matches!(end.failure(), (Error::Timeout(_), true)));
}

#[test]
fn who_has_the_mark_takes_an_answer_that_comes_behind_that_to_its_question() {
    let end = get().run(&[
        Accept,
        Hear(0),
        Accept,
        Hear(1),
        Hear(1),
        Await,
        Say(1, "END\r\n"),
        Await,
        Say(1, "VALUE k 7 1\r\nx\r\nEND\r\n"),
    ]);
    assert!(matches!(end.reply, Ok(Reply::Item(_))), "{:?}", end.reply);
    assert_eq!((&*end.value, end.asked), ("x", 1));
}

#[test]
fn a_fresh_connection_that_is_refused_blames_the_server() {
    let turn: fn(&mut Road) = |road| road.fresh = Some(port_of_nobody());
    let play = Play { turn, ..get() };
    let end = play.run(&[Accept, Hear(0), Close(0)]);
    assert!(end.took < LIMIT);
    assert!(matches!(
        end.failure(),
        (Error::Down(Down::Connect(_)), true)
    ));
    let play = Play {
        grant: false,
        turn,
        ..get()
    };
    let end = play.run(&[Accept, Hear(0)]);
    assert_eq!(end.asked, 1, "the first one may still answer");
    assert!(matches!(end.failure(), (Error::Timeout(_), true)));
}

#[test]
fn what_may_be_done_already_is_not_taken_for_what_was_not_sent() {
    let turn: fn(&mut Road) = |road| road.fresh = Some(port_of_nobody());
    let once = Play { turn, ..incr() };
    let (error, is_evidence) = once.run(&[Accept, Hear(0), Close(0)]).failure();
    assert!(is_evidence && !error.allows_stand_in(false), "{error:?}");
    let again = Play { turn, ..get() };
    let (error, _) = again.run(&[Accept, Hear(0), Close(0)]).failure();
    assert!(error.allows_stand_in(true), "{error:?}");
}

#[test]
fn who_can_open_no_connection_blames_nobody() {
    let turn: fn(&mut Road) = |road| road.fresh = None;
    let play = Play { turn, ..get() };
    let (error, is_evidence) = play.run(&[Accept, Hear(0), Close(0)]).failure();
    assert!(matches!(error, Error::Down(Down::Shortage(_))), "{error:?}");
    assert!(!(is_evidence && error.counts_against_server()));
    let play = Play { turn, ..get() };
    let end = play.run(&[Accept, Hear(0)]);
    assert_eq!(end.asked, 0, "it does not wait on either");
    let (error, is_evidence) = end.failure();
    assert!(!(is_evidence && error.counts_against_server()), "{error:?}");
}

#[test]
fn garbage_on_one_connection_is_not_the_server() {
    let end = get().run(&[
        Accept,
        Hear(0),
        Say(0, "what?\r\n"),
        Accept,
        Hear(1),
        Hear(1),
        Say(1, "END\r\nEND\r\n"),
    ]);
    assert!(matches!(end.reply, Ok(Reply::Miss)), "{:?}", end.reply);
    let end = get().run(&[
        Accept,
        Hear(0),
        Say(0, "what?\r\n"),
        Accept,
        Hear(1),
        Say(1, "what?\r\n"),
    ]);
    assert!(matches!(end.failure(), (Error::Garbled(_), true)));
    let end = get().run(&[
        Accept,
        Hear(0),
        Accept,
        Hear(1),
        Hear(1),
        Say(1, "END\r\nVALUE other 0 1\r\nx\r\nEND\r\n"),
        Close(0),
    ]);
    assert!(!end.failure().1, "it has answered the question");
}

#[test]
fn a_hangup_on_both_connections_is_the_server() {
    let end = get().run(&[Accept, Hear(0), Close(0), Accept, Hear(1), Close(1)]);
    let (error, is_evidence) = end.failure();
    assert!(error.is_hangup() && is_evidence, "{error:?}");
}

#[test]
fn a_server_that_turns_connections_away_is_heard() {
    let end = get().run(&[
        Accept,
        Hear(0),
        Close(0),
        Accept,
        Hear(1),
        Say(1, "ERROR Too many open connections\r\n"),
        Close(1),
    ]);
    let (error, is_evidence) = end.failure();
    let words = "ERROR Too many open connections";
    assert!(
        matches!(&error, Error::Rejected(said) if **said == *words),
        "{error:?}"
    );
    assert!(!is_evidence);
}

#[test]
fn what_may_be_done_once_only_is_not_asked_again() {
    let end = incr().run(&[
        Accept,
        Hear(0),
        Accept,
        Hear(1),
        Say(1, "END\r\n"),
        Await,
        Say(0, "8\r\n"),
    ]);
    assert_eq!(end.reply.unwrap(), Reply::Counted(8));
    let said = [(0, "incr k 1\r\n"), (1, "get q1\r\n")];
    assert_eq!(end.lines, said.map(|(at, line)| (at, line.into())));
    for end in [
        incr().run(&[
            Accept,
            Hear(0),
            Close(0),
            Accept,
            Hear(1),
            Say(1, "END\r\n"),
        ]),
        incr().run(&[
            Accept,
            Hear(0),
            Close(0),
            Accept,
            Hear(1),
            Say(1, "CLIENT_ERROR x\r\n"),
        ]),
    ] {
        assert!(end.took < STALL, "nothing is left to wait for");
        assert!(!end.failure().1);
    }
}

/// The deadline of a test whose server says nothing is near.
#[test]
fn no_look_is_made_without_time_for_it() {
    let play = Play {
        limit: STALL,
        ..get()
    };
    let end = play.run(&[Accept, Hear(0)]);
    assert_eq!((end.asked, end.client.road.questions.get()), (0, 0));
    let (error, is_evidence) = end.failure();
    assert!(
        matches!(error, Error::Timeout(_)) && is_evidence,
        "a fresh one"
    );
}

#[test]
fn a_value_is_never_a_mixture_of_two_connections() {
    const REST: &str = "def\r\nEND\r\n";
    let first = get().run(&[
        Accept,
        Hear(0),
        Say(0, "VALUE k 0 6\r\nabc"),
        Accept,
        Hear(1),
        Say(1, "END\r\nVALUE k 0 6\r\nuvw"),
        Await,
        Say(0, REST),
    ]);
    let fresh = get().run(&[
        Accept,
        Hear(0),
        Say(0, "VALUE k 0 6\r\nabc"),
        Accept,
        Hear(1),
        Say(1, "END\r\nVALUE k 0 6\r\nuvw"),
        Await,
        Say(1, "xyz\r\nEND\r\n"),
    ]);
    let missed = get().run(&[
        Accept,
        Hear(0),
        Say(0, "VALUE k 0 6\r\nabc"),
        Accept,
        Hear(1),
        Say(1, "END\r\nEND\r\n"),
    ]);
    assert_eq!((&*first.value, &*fresh.value), ("abcdef", "uvwxyz"));
    assert!(matches!(missed.reply, Ok(Reply::Miss)));
}

#[test]
fn a_look_after_a_lost_value_begins_anew() {
    let end = get().run(&[
        Accept,
        Hear(0),
        Say(0, "VALUE k 0 6\r\nabc"),
        Close(0),
        Accept,
        Hear(1),
        Hear(1),
        Say(1, "END\r\nVALUE k 0 2\r\nuv\r\nEND\r\n"),
    ]);
    assert!(end.reply.is_ok(), "{:?}", end.reply);
    assert_eq!(end.value, "uv");
}

/// How far apart the bytes of a slow reply are. A few of them take longer than the stall limit.
const APART: Duration = Duration::from_millis(80);

/// A get that may not wait beyond the stall limit has its answer, and has not asked for more time.
fn is_no_stall(steps: &'static [Step]) -> End {
    let play = Play {
        grant: false,
        ..get()
    };
    let end = play.run(steps);
    assert!(end.reply.is_ok(), "{:?}", end.reply);
    assert_eq!((&*end.value, end.asked), ("abcdef", 0));
    end
}

#[test]
fn what_is_arriving_is_no_stall() {
    let end = is_no_stall(&[
        Accept,
        Hear(0),
        Say(0, "VALUE k 0 6\r\n"),
        Drip(0, "abcdef\r\nEND\r\n", APART),
    ]);
    assert_eq!(end.client.road.questions.get(), 0);
}

#[test]
fn what_is_arriving_again_after_a_stall_is_none() {
    is_no_stall(&[
        Accept,
        Hear(0),
        Say(0, "VALUE k 0 6\r\nabc"),
        Accept,
        Hear(1),
        Drip(0, "def\r\nEND\r\n", APART),
    ]);
}
