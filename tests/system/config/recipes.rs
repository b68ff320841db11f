//! The recipes of the manual, which are pieces of the files in `kamailio-cfg/`, when six callers come
//! at once: nothing is lost, and of those who compete one wins. `cache_db.rs` has the one with a database.

use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use support::{Builder, Host, Kamailio, Memcached, Request, wait};

const CALLERS: usize = 6;

/// How often they come. A recipe that loses first hits loses some within so many rounds.
const ROUNDS: usize = 40;

fn example(name: &str, memcached: &Memcached) -> Builder {
    let servers = memcached.address();
    Kamailio::builder()
        .file(PathBuf::from("kamailio-cfg").join(name))
        .define("MEMCACHED", &format!("\"{servers}\""))
        .define("ADD", &format!("\"name=add;servers={servers};mode=1\""))
        .children(CALLERS)
}

/// Six requests to `user` at once, all by this caller; the reason phrases of the responses, sorted.
fn at_once(kamailio: &Kamailio, user: &str, caller: &str) -> Vec<String> {
    let request = Request::options().user(user).caller(caller);
    let request = request.header("X-Call", caller);
    let sent: Vec<_> = (0..CALLERS)
        .map(|_| kamailio.send(request.clone()))
        .collect();
    let answers = sent.into_iter().map(|pending| {
        let response = pending.wait();
        response.unwrap_or_else(|error| kamailio.fail(&format!("{user}: {error}")))
    });
    let mut reasons: Vec<_> = answers.map(|response| response.reason).collect();
    reasons.sort();
    reasons
}

/// The counter `key`, in which `CALLER` stands for a caller, has every request to `user`.
#[track_caller]
fn assert_loses_no_count(kamailio: &Kamailio, memcached: &Memcached, user: &str, key: &str) {
    for round in 0..ROUNDS {
        let caller = format!("caller-{round}");
        let answers = at_once(kamailio, user, &caller);
        let counted = memcached.text(key.replace("CALLER", &caller));
        let counted = counted.map(|text| text.trim_end().to_owned());
        assert_eq!(
            counted,
            Some(CALLERS.to_string()),
            "{user} {caller}: {answers:?}"
        );
    }
}

#[test]
fn every_call_of_the_demo_is_counted() {
    let memcached = Memcached::start();
    let kamailio = example("demo.cfg", &memcached).start();
    assert_loses_no_count(&kamailio, &memcached, "any", "calls:CALLER");
}

#[test]
fn every_call_of_variables_cfg_is_counted() {
    let memcached = Memcached::start();
    let kamailio = example("variables.cfg", &memcached).start();
    assert_loses_no_count(&kamailio, &memcached, "count", "calls:CALLER");
}

#[test]
fn every_call_of_a_kemi_script_is_counted() {
    let memcached = Memcached::start();
    let scratch = Host::current().scratch();
    let script = scratch.write("kemi.lua", fs::read("kamailio-cfg/kemi.lua").unwrap());
    let script = format!("\"{}\"", Host::current().inside(&script).display());
    let kamailio = example("kemi.cfg", &memcached)
        .define("SCRIPT", &script)
        .start();
    assert_loses_no_count(&kamailio, &memcached, "any", "calls:CALLER");
}

#[test]
fn every_call_of_a_second_pool_is_counted() {
    let memcached = Memcached::start();
    let scratch = Host::current().scratch();
    let list = scratch.write("servers.list", memcached.address());
    let list = format!("\"{}\"", Host::current().inside(&list).display());
    let text = fs::read_to_string("kamailio-cfg/pools.cfg").unwrap();
    let mut lines = text.lines();
    let pool = lines.find_map(|line| line.strip_prefix("#!define CALLS "));
    let pool = pool.expect("the pool of the example");
    let pool = pool.replace("127.0.0.4:11211:1", &format!("{}:1", memcached.address()));
    let kamailio = example("pools.cfg", &memcached)
        .define("SERVERS_FILE", &list)
        .define("CALLS", &pool)
        .start();
    assert_loses_no_count(&kamailio, &memcached, "any", "sip:{CALLER}:calls");
}

#[test]
fn of_those_who_compete_one_wins() {
    let memcached = Memcached::start();
    let kamailio = example("shared.cfg", &memcached).start();
    for round in 0..ROUNDS {
        let answers = at_once(&kamailio, "claim", &format!("call-{round}"));
        let won = answers
            .iter()
            .filter(|answer| *answer == "this node has it");
        assert_eq!(won.count(), 1, "{answers:?}");
    }
}

#[test]
fn each_variable_does_what_it_says_beside_others() {
    let memcached = Memcached::start();
    let kamailio = example("variables.cfg", &memcached).start();
    let of = |answer: &str, count: usize| vec![answer.to_owned(); count];
    for round in 0..ROUNDS / 4 {
        let caller = format!("caller-{round}");
        let all = |user| at_once(&kamailio, user, &caller);
        assert_eq!(all("lookup"), of("plan: none", CALLERS));
        assert_eq!(all("write"), of("the last one was stored", CALLERS));
        assert_eq!(all("read"), of("plan: a faithful gold, 4 letters", CALLERS));
        assert_eq!(all("prolong"), of("it was touched", CALLERS));
        let deleted = [of("it was deleted", 1), of("it was miss", CALLERS - 1)].concat();
        assert_eq!(all("delete"), deleted);
        all("count");
        all("uncount");
        let left = memcached.text(format!("calls:{caller}"));
        assert_eq!(left.as_deref().map(str::trim_end), Some("0"));
    }
}

#[test]
fn each_function_does_what_it_says_beside_others() {
    let memcached = Memcached::start();
    let kamailio = example("functions.cfg", &memcached).start();
    assert_loses_no_count(&kamailio, &memcached, "count", "calls:CALLER");
    for round in 0..ROUNDS {
        let caller = format!("caller-{round}");
        at_once(&kamailio, "change", &caller);
        let list = memcached.text(format!("list:{caller}"));
        assert_eq!(list, Some("x".repeat(CALLERS)));
        let answers = at_once(&kamailio, "add", &caller);
        let won = answers.iter().filter(|it| *it == "this call has it");
        assert_eq!(won.count(), 1, "{answers:?}");
    }
}

#[test]
fn of_all_calls_as_many_pass_as_the_limit_says() {
    let memcached = Memcached::start();
    let kamailio = example("rate-limit.cfg", &memcached)
        .define("LIMIT", "10")
        .start();
    for way in ["fixed", "sliding"] {
        // The second minute of a test that runs across the end of one allows as many again.
        for round in 0..3 {
            let caller = format!("{way}-{round}");
            let answers: Vec<_> = (0..5)
                .flat_map(|_| at_once(&kamailio, way, &caller))
                .collect();
            let passed = answers.iter().filter(|it| it.starts_with("call ")).count();
            let counted = answers.iter().filter(|it| *it == "too many calls").count();
            assert_eq!(passed + counted, 5 * CALLERS, "{answers:?}");
            let most = if way == "fixed" { 10 } else { 20 };
            assert!((10..=most).contains(&passed), "{way}: {answers:?}");
        }
    }
    // Windows end: here the counter's does, since it is removed.
    memcached.remove("rate:fixed-0");
    assert_eq!(at_once(&kamailio, "fixed", "fixed-0").len(), CALLERS);
    assert_eq!(memcached.text("rate:fixed-0").as_deref(), Some("6"));
    memcached.assert_expires_in("rate:fixed-0", 60);
    memcached.kill();
    for answer in at_once(&kamailio, "fixed", "fixed-1") {
        assert!(
            answer.starts_with("call "),
            "an outage stops calls: {answer}"
        );
    }
}

#[test]
fn calls_of_the_minute_before_count_by_their_share() {
    let memcached = Memcached::start();
    let kamailio = example("rate-limit.cfg", &memcached).start();
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    // Whichever minute the test falls into, the one before it had very many calls.
    for minute in [seconds / 60 - 1, seconds / 60] {
        memcached.put(format!("rate:busy:{minute}"), 0, 120, "1000000");
    }
    assert_eq!(
        at_once(&kamailio, "sliding", "busy"),
        vec!["too many calls"; CALLERS]
    );
}

#[test]
fn a_job_is_done_by_one_at_a_time() {
    let memcached = Memcached::start();
    let kamailio = example("lock.cfg", &memcached).start();
    let mut done = 0;
    for _ in 0..ROUNDS {
        for answer in at_once(&kamailio, "any", "job") {
            match &answer[..] {
                "done and released" => done += 1,
                other => assert!(other.starts_with("not taken: "), "{other}"),
            }
        }
        // Two that worked at the same time would have written the same number.
        assert_eq!(memcached.text("done:job"), Some(done.to_string()));
        memcached.assert_holds("lock:job", 1, "free");
    }
    assert!(done >= ROUNDS, "{done} of {ROUNDS} rounds");
    // The lock of an owner who has died is not released by others, and ends by itself.
    memcached.put("lock:job", 1, 30, "somebody else");
    assert_eq!(
        at_once(&kamailio, "any", "job"),
        vec!["not taken: hit"; CALLERS]
    );
    memcached.assert_holds("lock:job", 1, "somebody else");
    memcached.kill();
    for answer in at_once(&kamailio, "any", "job") {
        assert!(answer.starts_with("not taken: "), "{answer}");
    }
}

#[test]
fn what_is_looked_up_is_stored_whoever_was_first() {
    let memcached = Memcached::start();
    for (name, user, answers) in [
        ("metrics.cfg", "use", ["it was hit", "it was stored"]),
        ("outages.cfg", "any", ["gold: stored, hit"; 2]),
    ] {
        let kamailio = example(name, &memcached).start();
        for round in 0..ROUNDS / 4 {
            let caller = format!("{name}-{round}");
            for answer in at_once(&kamailio, user, &caller) {
                assert!(answers.contains(&&answer[..]), "{name}: {answer}");
            }
            let plan = memcached.text(format!("plan:{caller}"));
            assert_eq!(plan.as_deref(), Some("gold"), "{name}");
        }
    }
}

#[test]
fn an_outage_that_six_callers_see_is_one_alert() {
    let memcached = Memcached::start();
    let kamailio = example("events.cfg", &memcached).start();
    memcached.put("plan:any", 1, 0, "gold");
    at_once(&kamailio, "any", "any");
    memcached.kill();
    for _ in 0..ROUNDS / 4 {
        for answer in at_once(&kamailio, "any", "any") {
            assert!(answer.starts_with("plan:"), "{answer}");
        }
    }
    kamailio.wait_for_log("ALERT: ", wait::WAIT_LIMIT);
    memcached.restart();
    kamailio.wait_for_log(" is back after ", wait::WAIT_LIMIT);
    assert_eq!(kamailio.log_lines("ALERT: ").len(), 2, "down, up");
}

#[test]
fn every_change_of_a_session_is_kept() {
    let memcached = Memcached::start();
    let kamailio = example("session.cfg", &memcached).start();
    let ask = |user: &str, call: &str| {
        let request = Request::options().user(user).caller("alice");
        kamailio.send(request.call_id(call))
    };
    let answer = |user: &str, call: &str| ask(user, call).wait().expect("a response").reason;
    for round in 0..ROUNDS / 4 {
        let call = format!("call-{round}");
        assert_eq!(answer("request", &call), "it was miss");
        assert_eq!(answer("begin", &call), "it was stored");
        assert_eq!(answer("begin", &call), "it was not_stored");
        let sent: Vec<_> = (0..CALLERS).map(|_| ask("request", &call)).collect();
        let answers = sent.into_iter().map(|it| it.wait().expect("a response"));
        let mut answers: Vec<_> = answers.map(|response| response.reason).collect();
        answers.sort();
        let expected: Vec<_> = (1..=CALLERS).map(|at| format!("request {at}")).collect();
        assert_eq!(answers, expected);
        assert_eq!(answer("show", &call), "alice: 6");
        assert_eq!(answer("end", &call), "it was deleted");
        assert_eq!(answer("show", &call), "none");
    }
}

#[test]
fn of_a_herd_one_asks_the_database() {
    let memcached = Memcached::start();
    let kamailio = example("herd.cfg", &memcached).start();
    for round in 0..ROUNDS / 10 {
        let (user, all) = (format!("plan-{round}"), CALLERS - 1);
        let asked = || memcached.text(format!("queries:{user}"));
        let all_at_once = || at_once(&kamailio, &user, "any");
        let told = |word: &str, count| vec![word.to_owned(); count];
        // Those who find nothing wait for what the one brings.
        let first = [told("hit: 1", all), told("lease: 1", 1)].concat();
        assert_eq!((all_at_once(), asked()), (first, Some("1".into())));
        let changed = Request::new("NOTIFY").user(&user);
        let changed = kamailio.send(changed).wait().expect("a response");
        assert_eq!(changed.reason, "touched");
        let second = [told("lease: 2", 1), told("stale: 1", all)].concat();
        assert_eq!((all_at_once(), asked()), (second, Some("2".into())));
        let third = told("hit: 2", CALLERS);
        assert_eq!((all_at_once(), asked()), (third, Some("2".into())));
    }
    memcached.kill();
    for answer in at_once(&kamailio, "plan-0", "any") {
        assert!(!answer.starts_with("hit"), "{answer}");
    }
}
