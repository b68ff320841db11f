//! One of five servers killed while callers keep all workers busy: what gets lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use support::{Answer, Kamailio, Memcached, Request, wait};

use super::watch::{row, wait_for_state};

#[test]
fn one_of_five_killed_under_load_costs_no_request_anything() {
    for (failover, workers) in [(1, 1), (1, 8), (2, 8)] {
        let memcacheds: Vec<Memcached> = (0..5).map(|_| Memcached::start()).collect();
        let addresses: Vec<&str> = memcacheds.iter().map(Memcached::address).collect();
        let script = "
            $var(x) = $mct($hdr(X-Key));
            $var(first) = $mcst;
            $var(x) = $mct($hdr(X-Key));
            $var(second) = $mcst;
            $mct($hdr(X-Key)) = 1;";
        let expressions = ["$var(first)", "$var(second)", "$mcst"];
        let kamailio = Kamailio::builder()
            .param("servers", addresses.join(","))
            .param("failover", failover)
            .rpc()
            .script("load", script, &expressions)
            .children(workers)
            .start();
        let keys: Vec<String> = (0..50).map(|number| format!("key-{number}")).collect();
        let ends = AtomicBool::new(false);
        let answers: Vec<Answer> = thread::scope(|scope| {
            let caller = |from: usize| {
                let (kamailio, keys, ends) = (&kamailio, &keys, &ends);
                scope.spawn(move || {
                    let mut answers = Vec::new();
                    while !ends.load(Ordering::Relaxed) {
                        let key = &keys[(from + answers.len()) % keys.len()];
                        let request = Request::about(key);
                        answers.push(kamailio.run_with("load", request));
                    }
                    answers
                })
            };
            let callers: Vec<_> = (0..8).map(|number| caller(number * 6)).collect();
            let asked = || row(&kamailio, memcacheds[1].address()).operations;
            wait::until("some load", wait::PATIENCE, || asked() > 100);
            memcacheds[3].kill();
            let address = memcacheds[3].address();
            wait_for_state(&kamailio, address, "inactive");
            let before = asked();
            wait::until("more load", wait::PATIENCE, || asked() > before + 100);
            ends.store(true, Ordering::Relaxed);
            callers
                .into_iter()
                .flat_map(|caller| caller.join().expect("no panic"))
                .collect()
        });
        let failed = |answer: &Answer, name: &str| answer[name] != "hit" && answer[name] != "miss";
        let count =
            |lost: &dyn Fn(&Answer) -> bool| answers.iter().filter(|answer| lost(answer)).count();
        let first = count(&|answer| failed(answer, "$var(first)"));
        let second = count(&|answer| failed(answer, "$var(second)"));
        let both = count(&|answer| failed(answer, "$var(first)") && failed(answer, "$var(second)"));
        let what = format!(
            "failover={failover}, {workers} workers, {} requests",
            answers.len()
        );
        assert_eq!(both, 0, "{what}: nothing fails twice");
        // With a new ring those fail that were under way, one for each worker at most.
        let most = if failover == 1 { 0 } else { workers };
        assert!(
            first + second <= most,
            "{what}: {first} and {second} reads failed"
        );
    }
}
