use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::rc::Rc;

use super::*;
use crate::health::State;
use crate::kamailio::fake::{Run, Turn};
use crate::kamailio::host::layout::{PV_NULL, PvValue64};

/// The text of `$mcev(name)`, or `None` if it is null.
fn read(name: &str) -> Option<String> {
    // SAFETY: all bits zero is a valid `pv_spec_t`, and the core passes a zeroed `pv_value_t`.
    let (mut spec, mut value) = unsafe {
        (
            MaybeUninit::<PvSpec>::zeroed().assume_init(),
            MaybeUninit::<PvValue64>::zeroed().assume_init(),
        )
    };
    let mut inner = Str::borrowed(name.as_bytes());
    // SAFETY: they get what the core would pass.
    unsafe {
        assert_eq!(parse_field(&raw mut spec, &raw mut inner), 0, "{name}");
        assert!(spec.pvp.pvn.nfree.is_none());
        let read = get_field(ptr::null_mut(), &raw mut spec.pvp, (&raw mut value).cast());
        assert_eq!(read, 0);
        let text = String::from_utf8_lossy(value.rs.bytes()).into_owned();
        (value.flags & PV_NULL == 0).then_some(text)
    }
}

/// Collects what runs, with what the script can then read.
fn watch(turn: &Turn) -> Rc<RefCell<Vec<String>>> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let lines = Rc::clone(&seen);
    turn.on_run(move |run| {
        let data = FIELDS.each_ref().map(|(name, _)| read(name).unwrap());
        let line = match run {
            Run::Route(name) => format!("{name}: {}", data.join(" ")),
            Run::Function(name, event) => format!("{name}({event}): {}", data[0]),
            Run::Reset => "reset".to_owned(),
        };
        lines.borrow_mut().push(line);
    });
    seen
}

fn set(state: State) {
    process::with(|process| process.cache.pools()[0].members()[0].server().set(state)).unwrap();
}

#[test]
fn routes_run_with_the_data_of_their_event_and_once() {
    let turn = Turn::with_servers("127.0.0.1:1 one");
    find_listeners(None);
    let seen = watch(&turn);
    announce();
    assert!(seen.borrow().is_empty());
    set(State::Disabled);
    announce();
    announce();
    set(State::Active);
    announce();
    let expected = [
        "memcached:server-down: 127.0.0.1:1 one default disabled  0",
        "reset",
        "memcached:server-up: 127.0.0.1:1 one default active  0",
        "reset",
    ];
    assert_eq!(*seen.borrow(), expected);
}

#[test]
fn a_kemi_function_gets_the_event_s_name() {
    let turn = Turn::without_server();
    turn.set_kemi(true);
    find_listeners(Some("on_cache".into()));
    let seen = watch(&turn);
    set(State::Disabled);
    announce();
    assert_eq!(
        seen.borrow()[2..],
        ["on_cache(memcached:server-down): 127.0.0.1:1", "reset"]
    );
    assert!(
        turn.lines()
            .iter()
            .all(|line| line.contains(" is disabled: "))
    );
}

#[test]
fn what_goes_wrong_in_a_kemi_script_is_logged() {
    let turn = Turn::without_server();
    find_listeners(Some("missing".into()));
    turn.set_kemi(true);
    set(State::Disabled);
    announce();
    turn.set_kemi(false);
    set(State::Active);
    announce();
    if cfg!(miri) {
        return;
    }
    let lines = turn.lines().join("\n");
    let without = "'event_callback' has no effect without a KEMI script";
    let failed = "event memcached:server-down: the KEMI function 'missing' has failed";
    assert!(lines.contains(without) && lines.contains(failed), "{lines}");
    assert!(!lines.contains("event memcached:server-up"), "{lines}");
}

#[test]
fn the_core_is_in_an_event_s_route_meanwhile_and_ours_is_free() {
    let turn = Turn::without_server();
    find_listeners(None);
    let before = turn.route_type();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let during = Rc::clone(&seen);
    turn.on_run(move |run| {
        let usable = process::with(|process| process.cache.pools().len());
        // SAFETY: it is a variable of the fake host.
        let kind = unsafe { *host().symbols.route_type };
        during.borrow_mut().push((run, kind, usable));
    });
    set(State::Disabled);
    announce();
    let route = Run::Route("memcached:server-down".into());
    let expected = [(route, EVENT_ROUTE, Some(1)), (Run::Reset, before, Some(1))];
    assert_eq!(*seen.borrow(), expected);
    assert_eq!(turn.route_type(), before);
    assert_ne!(before, EVENT_ROUTE);
}

#[test]
fn outside_of_an_event_the_variables_are_null() {
    let turn = Turn::without_server();
    find_listeners(None);
    set(State::Disabled);
    announce();
    drop(turn);
    let _turn = Turn::without_server();
    for (name, _) in &FIELDS {
        assert_eq!(read(name), None, "{name}");
    }
}

#[test]
fn unknown_names_are_refused_in_words() {
    let turn = Turn::without_server();
    for name in ["", "servers", "Server", "server ,", "\u{0}"] {
        let mut spec = MaybeUninit::<PvSpec>::zeroed();
        let mut inner = Str::borrowed(name.as_bytes());
        // SAFETY: it gets what the core would pass.
        let parsed = unsafe { parse_field(spec.as_mut_ptr(), &raw mut inner) };
        assert_eq!(parsed, -1, "{name}");
    }
    assert_eq!(read(" server "), None);
    if !cfg!(miri) {
        let lines = turn.lines();
        assert!(lines[1].contains("'$mcev(servers)'; accepted: server, alias,"));
    }
}
