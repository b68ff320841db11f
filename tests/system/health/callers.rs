//! Callers who keep asking for keys, one after the other, while something happens to the servers.

use std::sync::Mutex;
use std::time::Duration;

use support::{Answer, Builder, Kamailio, Pid, Request, during, wait};

/// How long a caller waits from one operation to the next, so that operations that fail at once do not
/// outnumber those that succeed.
const PAUSE: Duration = Duration::from_millis(5);

/// How long it may take on a busy machine until there are calls enough.
const ENOUGH_LIMIT: Duration = Duration::from_secs(60);

/// How long a connection is idle until a worker looks at it before it uses it: more than `IDLE` in
/// src/wire/connection.rs.
const IDLE: Duration = Duration::from_millis(6);

/// One operation, and what it came to.
#[derive(Debug, Clone)]
pub struct Call {
    pub key: String,
    /// What was read, if that was a string.
    pub value: Option<String>,
    /// `$mcst`.
    pub word: String,
    /// How long the whole request took.
    pub took: Duration,
    pub process: Pid,
}

impl Call {
    fn new(key: &str, answer: &Answer) -> Call {
        let text = |name: &str| {
            let bytes = answer[name].bytes();
            bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        };
        Call {
            key: key.into(),
            value: text("$avp(got)"),
            word: text("$mcst").expect("a word"),
            took: answer.elapsed(),
            process: answer.process(),
        }
    }
}

/// Adds scripts that read, write, count and delete the key of the request.
pub fn scripts(builder: Builder) -> Builder {
    let key = "$mct($hdr(X-Key))";
    let statements = [
        ("get", format!("$avp(got) = {key};")),
        ("set", format!("{key} = $hdr(X-Value);")),
        ("delete", format!("{key} = $null;")),
        ("count", "$mcinc($hdr(X-Key)) = 1;".into()),
    ];
    let add = |builder: Builder, (name, statement): (&str, String)| {
        builder.script(name, &statement, &["$avp(got)", "$mcst", "$pp"])
    };
    statements.into_iter().fold(builder, add)
}

/// Runs the script for this key.
#[track_caller]
pub fn call(kamailio: &Kamailio, script: &str, key: &str) -> Call {
    Call::new(key, &kamailio.run_with(script, Request::about(key)))
}

/// Writes this value.
#[track_caller]
pub fn write(kamailio: &Kamailio, key: &str, value: &str) -> Call {
    let request = Request::about(key).header("X-Value", value);
    Call::new(key, &kamailio.run_with("set", request))
}

/// Reads a key many times at once.
#[track_caller]
pub fn read_at_once(kamailio: &Kamailio, count: usize, key: &str) -> Vec<Call> {
    let answers = kamailio.run_at_once("get", count, &Request::about(key));
    answers
        .iter()
        .map(|answer| Call::new(key, answer))
        .collect()
}

/// So many callers read these keys in turn for as long as `event` takes. Returns what `event` did and all
/// that they asked.
#[track_caller]
pub fn read_during<T>(
    kamailio: &Kamailio,
    callers: usize,
    keys: &[String],
    event: impl FnOnce() -> T,
) -> (T, Vec<Call>) {
    read_beside(kamailio, callers, keys, |_| event())
}

/// So many callers read these keys in turn until what they have asked is enough. Returns all that.
#[track_caller]
pub fn read_until(
    kamailio: &Kamailio,
    callers: usize,
    keys: &[String],
    is_enough: impl Fn(&[Call]) -> bool,
) -> Vec<Call> {
    let event = |calls: &Mutex<Vec<Call>>| {
        let made = || calls.lock().expect("no panic");
        let enough = || is_enough(&made()).then_some(());
        if wait::poll(ENOUGH_LIMIT, enough).is_none() {
            let words = format!("{:?}", words(&made()));
            kamailio.fail(&format!("not enough within {ENOUGH_LIMIT:?}: {words}"));
        }
    };
    let ((), calls) = read_beside(kamailio, callers, keys, event);
    calls
}

/// So many callers read these keys in turn for as long as `event` takes, which may look at the calls that they
/// have made. Returns what it did and all calls.
fn read_beside<T>(
    kamailio: &Kamailio,
    callers: usize,
    keys: &[String],
    event: impl FnOnce(&Mutex<Vec<Call>>) -> T,
) -> (T, Vec<Call>) {
    let calls = Mutex::new(Vec::new());
    let read = |number: usize| {
        let made = call(kamailio, "get", &keys[number % keys.len()]);
        calls.lock().expect("no panic").push(made);
        pass(PAUSE);
    };
    let (value, _) = during(callers, read, |_| event(&calls));
    (value, calls.into_inner().expect("no panic"))
}

/// Whether each worker has answered so many of these calls.
pub fn has_each_answered(kamailio: &Kamailio, calls: &[Call], count: usize) -> bool {
    let answered = |worker: Pid| calls.iter().filter(|call| call.process == worker).count();
    let mut workers = kamailio.workers().into_iter();
    workers.all(|worker| answered(worker) >= count)
}

/// Lets so much time pass: a fault lasts that long, a process leaves a server alone, a caller rests.
pub fn pass(time: Duration) {
    wait::poll::<()>(time, || None);
}

/// Lets connections be idle for so long that a worker looks whether they were closed before it uses them.
pub fn leave_idle() {
    pass(IDLE);
}

/// How often these calls ended with each word, for messages.
pub fn words(calls: &[Call]) -> std::collections::BTreeMap<&str, usize> {
    let mut words = std::collections::BTreeMap::new();
    for call in calls {
        *words.entry(&call.word[..]).or_default() += 1;
    }
    words
}

/// All of these calls have ended with this word.
#[track_caller]
pub fn assert_all_are(calls: &[Call], word: &str) {
    let words = words(calls);
    assert!(words.keys().eq([&word]), "{words:?}, not {word:?} alone");
}

/// The longest of them.
pub fn longest(calls: &[Call]) -> Duration {
    calls
        .iter()
        .map(|call| call.took)
        .max()
        .expect("one or more")
}
