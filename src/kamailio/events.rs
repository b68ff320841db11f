//! The script's event routes and its KEMI callback, and the variable `$mcev` for both.
//!
//! [`crate::prober::announcer`] finds out what has happened. The prober's process then runs what
//! the script has for it: `event_route[memcached:server-down]` or `[memcached:server-up]`, then the
//! function that the parameter `event_callback` names. No cell of ours is borrowed meanwhile, so
//! the script may use all variables. Each run gets one of the core's own SIP messages
//! (`core/fmsg.c`), as events of other modules do, and what the script sets for it is removed
//! afterwards.

use std::ffi::{CStr, CString, c_int, c_void};
use std::ptr;
use std::rc::Rc;

use super::host::guard::guard;
use super::host::layout::{EVENT_ROUTE, PV_NAME_OTHER, PvParam, PvSpec, SipMsg, Str};
use super::host::symbols::host;
use super::process::{self, ProcessCell};
use super::pv_value::HostValue;
use crate::clock::Moment;
use crate::item::value::Value;
use crate::prober::announcer::{Announcer, Event, EventKind, Field};
use crate::quoted::{quoted, shown};

/// An event's name. Its route has this name, and the KEMI function gets it as argument.
fn event_name(kind: EventKind) -> &'static CStr {
    match kind {
        EventKind::Down => c"memcached:server-down",
        EventKind::Up => c"memcached:server-up",
    }
}

/// The pieces of an event's data and their names in `$mcev(name)`.
static FIELDS: [(&str, Field); 6] = [
    ("server", Field::Server),
    ("alias", Field::Alias),
    ("pool", Field::Pool),
    ("state", Field::State),
    ("reason", Field::Reason),
    ("downtime", Field::Downtime),
];

/// What the script has for events: the numbers of its routes, and the name of its function.
#[derive(Debug)]
struct Listeners {
    down: Option<usize>,
    up: Option<usize>,
    callback: Option<CString>,
}

impl Listeners {
    fn any(&self) -> bool {
        self.down.is_some() || self.up.is_some() || self.callback.is_some()
    }
}

static LISTENERS: ProcessCell<Option<Rc<Listeners>>> = ProcessCell::new(None);

static ANNOUNCER: ProcessCell<Option<Announcer>> = ProcessCell::new(None);

/// The event whose route is running.
static CURRENT: ProcessCell<Option<Event>> = ProcessCell::new(None);

/// Looks up the script's routes after the configuration has been read. `callback` is the name of
/// the KEMI function.
pub(super) fn find_listeners(callback: Option<String>) {
    // SAFETY: it is a core function without arguments.
    if callback.is_some() && unsafe { (host().symbols.sr_kemi_eng_get)() }.is_null() {
        log::warn!(
            target: "mod_init",
            "parameter 'event_callback' has no effect without a KEMI script"
        );
    }
    let listeners = Listeners {
        down: route(EventKind::Down),
        up: route(EventKind::Up),
        callback: callback.and_then(|name| CString::new(name).ok()),
    };
    LISTENERS.with(|slot| *slot = Some(Rc::new(listeners)));
    ANNOUNCER.with(|slot| *slot = None);
}

fn route(kind: EventKind) -> Option<usize> {
    let symbols = &host().symbols;
    // SAFETY: this runs in `mod_init`, for which the core function is made. It only reads the name.
    let number =
        unsafe { (symbols.route_lookup)(symbols.event_rt, event_name(kind).as_ptr().cast_mut()) };
    usize::try_from(number).ok()
}

/// Runs the script for each server that has gone down or come up. Only the prober's process calls
/// this.
pub(super) fn announce() {
    let listeners = LISTENERS.with(|listeners| listeners.clone()).flatten();
    let Some(listeners) = listeners.filter(|listeners| listeners.any()) else {
        return;
    };
    let events = process::with(|process| {
        ANNOUNCER.with(|announcer| {
            let announcer = announcer.get_or_insert_default();
            announcer.look(&mut process.cache, Moment::now())
        })
    });
    for event in events.flatten().unwrap_or_default() {
        run(&listeners, event);
    }
}

/// Runs the route of the event and the KEMI function, with the event's data in `$mcev`.
fn run(listeners: &Listeners, event: Event) {
    let kind = event.kind;
    let route = match kind {
        EventKind::Down => listeners.down,
        EventKind::Up => listeners.up,
    };
    CURRENT.with(|current| *current = Some(event));
    if let Some(route) = route {
        with_message(|message| run_route(route, message));
    }
    if let Some(callback) = &listeners.callback {
        with_message(|message| call(callback, kind, message));
    }
    CURRENT.with(|current| *current = None);
}

/// Calls `body` with a SIP message for scripts that run without one, in the core's state for event
/// routes.
fn with_message(body: impl FnOnce(*mut SipMsg)) {
    let symbols = &host().symbols;
    // SAFETY: these core functions are for processes that have had their `child_init`, as this one
    // has. The variable belongs to this process, and this is its one thread.
    unsafe {
        let message = (symbols.faked_msg_get_next)();
        if message.is_null() {
            log::error!("Kamailio has no SIP message for an event route");
            return;
        }
        let before = *symbols.route_type;
        *symbols.route_type = EVENT_ROUTE;
        body(message);
        *symbols.route_type = before;
        (symbols.ksr_msg_env_reset)();
    }
}

fn run_route(number: usize, message: *mut SipMsg) {
    let symbols = &host().symbols;
    // SAFETY: `route_lookup` gave the number for this list. The routes do not move after the
    // configuration has been read. For NULL the core makes a context of its own.
    unsafe {
        let statements = *(*symbols.event_rt).rlist.add(number);
        if !statements.is_null() {
            (symbols.run_top_route)(statements, message, ptr::null_mut());
        }
    }
}

fn call(function: &CStr, kind: EventKind, message: *mut SipMsg) {
    let (symbols, event) = (&host().symbols, event_name(kind));
    let mut name = Str::terminated(function);
    let mut data = Str::terminated(event);
    // SAFETY: these core functions are for processes that have had their `child_init`, as this one
    // has. KEMI engines read both texts as C strings, which they are, and do not keep them.
    let done = unsafe {
        let engine = (symbols.sr_kemi_eng_get)();
        if engine.is_null() {
            return;
        }
        (symbols.sr_kemi_route)(engine, message, EVENT_ROUTE, &raw mut name, &raw mut data)
    };
    if done < 0 {
        let (function, event) = (quoted(function.to_bytes()), event.to_string_lossy());
        log::error!("event {event}: the KEMI function {function} has failed");
    }
}

/// Reads the name in `$mcev(name)`.
///
/// # Safety
/// Called by the core, as `parse_name` of a variable.
pub(super) unsafe extern "C" fn parse_field(spec: *mut PvSpec, inner: *mut Str) -> c_int {
    guard(-1, || {
        // SAFETY: the fence's rule "live arguments".
        let inner = unsafe { (*inner).bytes() }.trim_ascii();
        let named = |(name, _): &&(&str, Field)| name.as_bytes() == inner;
        let Some((_, field)) = FIELDS.iter().find(named) else {
            let accepted = FIELDS.map(|(name, _)| name).join(", ");
            log::error!(
                "invalid name of a variable: '$mcev({})'; accepted: {accepted}",
                shown(inner)
            );
            return -1;
        };
        // SAFETY: the core wants us to fill in the specification. The data is constant, so there is
        // nothing to free.
        let name = unsafe { &mut (*spec).pvp.pvn };
        name.kind = PV_NAME_OTHER;
        name.dname = ptr::from_ref(field).cast_mut().cast();
        name.nfree = None;
        0
    })
}

/// Reads `$mcev(name)`, which is null unless an event's route is running.
///
/// # Safety
/// Called by the core, as getter of a variable that has [`parse_field`].
pub(super) unsafe extern "C" fn get_field(
    _msg: *mut SipMsg,
    param: *mut PvParam,
    value: *mut c_void,
) -> c_int {
    // SAFETY: the fence's rule "live arguments".
    let mut answer = unsafe { HostValue::new(host().family, value) };
    answer.set_null();
    guard(0, || {
        // SAFETY: the fence's rule "own data": `parse_field` has stored it there.
        let field = unsafe { *(*param).pvn.dname.cast::<Field>() };
        CURRENT.with(|current| {
            let event = current.as_ref()?;
            process::with(|process| {
                let text = process.results.next();
                match event.field(field) {
                    Value::Integer(number) => {
                        text.extend_from_slice(number.to_string().as_bytes());
                        answer.set_integer(number, text);
                    }
                    Value::Text(bytes) => {
                        text.extend_from_slice(bytes);
                        answer.set_text(text);
                    }
                }
            })
        });
        0
    })
}

#[cfg(test)]
mod tests;
