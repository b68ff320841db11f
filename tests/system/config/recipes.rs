//! The recipes of the manual, which are pieces of the files in `kamailio-cfg/`, when six callers come
//! at once: nothing is lost, and of those who compete one wins. `cache_db.rs` has the one with a database.

use std::fs;
use std::path::PathBuf;

use support::{Builder, Host, Kamailio, Memcached, Request};

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
