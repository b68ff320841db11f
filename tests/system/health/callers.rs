//! Callers who keep asking for keys, one after the other, while something happens to the servers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use support::{Answer, Builder, Kamailio, Pid, Request, wait};

/// How long a caller waits from one operation to the next, so that operations that fail at once do not
/// outnumber those that succeed.
const PAUSE: Duration = Duration::from_millis(5);

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
    let ends = AtomicBool::new(false);
    thread::scope(|scope| {
        let caller = |from: usize| {
            let ends = &ends;
            scope.spawn(move || {
                let mut calls = Vec::new();
                while !ends.load(Ordering::Relaxed) {
                    let key = &keys[(from + calls.len()) % keys.len()];
                    calls.push(call(kamailio, "get", key));
                    let ends = || ends.load(Ordering::Relaxed).then_some(());
                    wait::poll(PAUSE, ends);
                }
                calls
            })
        };
        let callers: Vec<_> = (0..callers).map(|from| caller(from * 7)).collect();
        let ending = Ending(&ends);
        let value = event();
        drop(ending);
        let calls = callers.into_iter();
        let calls = calls.flat_map(|caller| caller.join().expect("no panic"));
        (value, calls.collect())
    })
}

/// Lets so much time pass: a fault lasts, or callers ask.
pub fn pass(time: Duration) {
    wait::poll::<()>(time, || None);
}

/// Ends the callers, also when a test fails in between.
pub struct Ending<'a>(pub &'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
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
