//! Values that are larger than `value_limit`, or than the memory of the process: they cost their own
//! operation.

use std::time::Duration;

use support::{Builder, Faults, FaultyServer, Kamailio, Memcached, Pid, Store, Who, wait};

const MB: usize = 1_000_000;

/// A memcached that keeps values of some megabytes.
fn large_memcached() -> Memcached {
    let memcached = Memcached::with(&["-I", "64m", "-m", "512"]);
    for (key, size) in [("one", MB), ("four", 4 * MB), ("thirty", 30 * MB)] {
        memcached.put(key, 1, 0, vec![b'x'; size]);
    }
    memcached.put("small", 1, 0, "value");
    memcached
}

/// Scripts that read a key and tell its length, without a copy of the value.
fn reading(builder: Builder, key: &str) -> Builder {
    let length = format!("$(mct({key}){{s.len}})");
    builder.script(key, "", &[&length, "$mcst", "$pp"])
}

/// What that script reads: the length, and the word.
fn read(kamailio: &Kamailio, key: &str) -> (Option<i64>, String) {
    let answer = kamailio.run(key);
    let word = answer["$mcst"].bytes().expect("a word");
    (
        answer[&*format!("$(mct({key}){{s.len}})")]
            .int()
            .filter(|len| *len > 0),
        String::from_utf8_lossy(word).into_owned(),
    )
}

fn worker(kamailio: &Kamailio) -> Pid {
    kamailio.workers()[0]
}

#[test]
fn a_value_above_the_limit_costs_that_read_and_its_connection() {
    let memcached = large_memcached();
    memcached.put("exact", 1, 0, "12345678");
    memcached.put("above", 1, 0, "123456789");
    let kamailio = ["exact", "above"]
        .into_iter()
        .fold(Kamailio::on(&memcached), reading)
        .param("value_limit", 8)
        .param(
            "pool",
            format!(
                "name=large;value_limit=4000000;servers={}",
                memcached.address()
            ),
        )
        .script(
            "large",
            "",
            &[
                "$(mct(large=>four){s.len})",
                "$(mct(large=>one){s.len})",
                "$mcst",
            ],
        )
        .start();
    for _ in 0..3 {
        assert_eq!(read(&kamailio, "exact"), (Some(8), "hit".into()));
        assert_eq!(read(&kamailio, "above"), (None, "too_large".into()));
    }
    let line = &kamailio.module_lines()[0];
    let expected =
        "get of key 'above': too_large: the item has 9 bytes; accepted: up to 8 (value_limit)";
    assert!(line.contains(expected), "{line}");
    let answer = kamailio.run("large");
    assert_eq!(answer["$(mct(large=>four){s.len})"], 4 * MB as i64);
    assert_eq!(answer["$(mct(large=>one){s.len})"], MB as i64);
    assert!(kamailio.log_lines(" is inactive").is_empty());
}

/// A server that has a value of 50 MB for whatever it is asked.
#[test]
fn a_server_with_huge_values_takes_no_memory() {
    let huge = |connection: &mut support::Connection, request: &[u8]| {
        let text = String::from_utf8_lossy(request).into_owned();
        match text.trim_end().strip_prefix("get k") {
            Some(number) => {
                connection.send(format!("VALUE k{number} 1 50000000\r\n"))?;
                while connection.send(vec![b'x'; MB]).is_ok() {}
                Ok(true)
            }
            None => Ok(false),
        }
    };
    let store = Store::new();
    store.put("small", "value");
    let server = FaultyServer::storing(store, huge);
    let expressions: Vec<String> = (0..24)
        .map(|at| format!("$(mct(k{at}){{s.len}})"))
        .collect();
    let expressions: Vec<&str> = expressions
        .iter()
        .map(String::as_str)
        .chain(["$mcst"])
        .collect();
    let kamailio = reading(Kamailio::builder(), "small")
        .param("servers", server.address())
        .script("all", "", &expressions)
        .start();
    assert_eq!(read(&kamailio, "small"), (Some(5), "hit".into()));
    let before = worker(&kamailio).anonymous_kib();
    assert_eq!(kamailio.run("all")["$mcst"], "too_large");
    let after = worker(&kamailio).anonymous_kib();
    assert!(
        after < before + 4096,
        "{before} KiB before, {after} KiB after"
    );
    assert_eq!(read(&kamailio, "small"), (Some(5), "hit".into()));
    assert!(kamailio.log_lines(" is inactive").is_empty());
}

#[test]
fn large_values_give_their_memory_back_at_the_end_of_the_message() {
    let memcached = large_memcached();
    let reads = "$(mct(thirty){s.len})";
    let kamailio = reading(Kamailio::on(&memcached), "small")
        .script("many", "", &[reads; 8])
        .start();
    assert_eq!(read(&kamailio, "small"), (Some(5), "hit".into()));
    let before = worker(&kamailio).anonymous_kib();
    for _ in 0..3 {
        assert_eq!(kamailio.run("many")[reads], 30 * MB as i64);
        // The response is sent before the script has ended.
        let is_back = || (worker(&kamailio).anonymous_kib() < before + 8192).then_some(());
        let back = wait::poll(Duration::from_secs(5), is_back);
        assert!(
            back.is_some(),
            "{before} KiB, then {}",
            worker(&kamailio).anonymous_kib()
        );
    }
}

/// Where an allocation fails, the operation does.
#[test]
fn without_memory_for_a_value_its_operation_alone_fails() {
    let Some(faults) = Faults::new() else { return };
    let memcached = large_memcached();
    let kamailio = ["small", "one", "four"]
        .into_iter()
        .fold(faults.obeyed_by(Kamailio::on(&memcached)), reading)
        .script("copy", "$mct(to) = $mct(one);", &["$mcst", "$mct(small)"])
        .arg("-M")
        .arg("64")
        .start();
    let processes = kamailio.processes();
    assert_eq!(read(&kamailio, "four"), (Some(4 * MB as i64), "hit".into()));
    faults.order_no_memory(MB as i32 + 1000, Who::Only(worker(&kamailio)));
    for _ in 0..3 {
        assert_eq!(read(&kamailio, "four"), (None, "too_large".into()));
        assert_eq!(read(&kamailio, "small"), (Some(5), "hit".into()));
    }
    assert!(faults.clear() > 0);
    let line = &kamailio.module_lines()[0];
    assert!(
        line.contains("too_large: this process has no memory for 4000000 bytes"),
        "{line}"
    );
    // There is memory for the value that is read, but not for the request, which is a little longer.
    faults.order_no_memory(MB as i32 + 200, Who::Only(worker(&kamailio)));
    let answer = kamailio.run("copy");
    assert_eq!(answer["$mcst"], "refused");
    assert_eq!(answer["$mct(small)"], "value");
    assert!(faults.clear() > 0);
    kamailio.wait_for_log(
        "refused: this process has no memory for the request",
        wait::WAIT_LIMIT,
    );
    assert!(memcached.item("to").is_none());
    assert!(kamailio.log_lines(" is inactive").is_empty());
    assert_eq!(kamailio.processes(), processes);
}

/// 20 MB of address space are left, and the value has 30.
#[test]
fn a_value_larger_than_the_address_space_is_too_large() {
    let memcached = large_memcached();
    let kamailio = ["small", "one", "thirty"]
        .into_iter()
        .fold(Kamailio::on(&memcached), reading)
        .start();
    let processes = kamailio.processes();
    assert_eq!(read(&kamailio, "small"), (Some(5), "hit".into()));
    worker(&kamailio).limit_more_memory(20 * MB as u64);
    for _ in 0..3 {
        assert_eq!(read(&kamailio, "thirty"), (None, "too_large".into()));
        assert_eq!(read(&kamailio, "one"), (Some(MB as i64), "hit".into()));
    }
    assert!(kamailio.log_lines(" is inactive").is_empty());
    assert_eq!(kamailio.processes(), processes);
}

/// 64 MB of address space for all of a process, and the value has 60.
#[test]
fn kamailio_serves_in_64_megabytes_of_address_space() {
    let memcached = large_memcached();
    memcached.put("sixty", 1, 0, vec![b'x'; 60 * MB]);
    let kamailio = ["small", "one", "sixty"]
        .into_iter()
        .fold(Kamailio::on(&memcached), reading)
        .param("value_limit", 100 * MB as i64)
        .arg("-m")
        .arg("8")
        .arg("-M")
        .arg("2")
        .wrapper(&["prlimit", "--as=67108864:67108864"])
        .start();
    let processes = kamailio.processes();
    for _ in 0..3 {
        assert_eq!(read(&kamailio, "small"), (Some(5), "hit".into()));
        assert_eq!(read(&kamailio, "sixty"), (None, "too_large".into()));
        assert_eq!(read(&kamailio, "one"), (Some(MB as i64), "hit".into()));
    }
    let line = kamailio.wait_for_log("too_large", wait::WAIT_LIMIT);
    assert!(
        line.contains("this process has no memory for 60000000 bytes"),
        "{line}"
    );
    assert!(kamailio.log_lines(" is inactive").is_empty());
    assert_eq!(kamailio.processes(), processes);
}
