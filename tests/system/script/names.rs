//! Keys as a script writes them: what stands between the parentheses of `$mct(…)`, and
//! under which key memcached then holds it.

use support::{Answer, Kamailio, Memcached, Request};

/// Stores `x` under `$mct({name})` for a request with this header `X`.
fn store(memcached: &Memcached, name: &str, header: &str) -> Answer {
    let kamailio = Kamailio::on(memcached)
        .script("store", &format!("$mct({name}) = \"x\";"), &["$mcst"])
        .start();
    kamailio.run_with("store", Request::options().header("X", header))
}

/// The only key it holds, as text.
#[track_caller]
fn only_key(memcached: &Memcached) -> String {
    let keys = memcached.keys();
    assert_eq!(keys.len(), 1, "{keys:?}");
    String::from_utf8_lossy(&keys[0]).into_owned()
}

#[test]
fn the_arrow_is_cut_from_the_configuration_never_from_caller_data() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .script("with", "$mct($hdr(X)=>60) = 1;", &["$mct(a=>5)"])
        .script("without", "$mct($hdr(X)) = 1;", &["$mct($hdr(X))"])
        .start();
    let request = |header: &str| Request::options().header("X", header);
    kamailio.run_with("with", request("a=>5"));
    memcached.assert_holds("a=>5", 0, "1");
    memcached.assert_expires_in("a=>5", 60);
    let answer = kamailio.run_with("without", request("b=>5=>6"));
    memcached.assert_holds("b=>5=>6", 0, "1");
    memcached.assert_expires_in("b=>5=>6", 10_800);
    assert_eq!(answer["$mct($hdr(X))"], 1);
    assert_eq!(memcached.len(), 2);
}

#[test]
fn every_variable_keeps_caller_data_whole() {
    let memcached = Memcached::start();
    memcached.put("n=>5", 0, 100, "10");
    let kamailio = Kamailio::on(&memcached)
        .script("up", "$mcinc($hdr(X)) = 4;", &["$mcst"])
        .script("down", "$mcdec($hdr(X)) = 3;", &["$mcst"])
        .script("touch", "$mctex($hdr(X)) = 1000;", &["$mcst"])
        .script("read", "", &["$mcinc($hdr(X))"])
        .script("delete", "$mct($hdr(X)) = $null;", &["$mcst"])
        .start();
    let run = |script: &str| kamailio.run_with(script, Request::options().header("X", "n=>5"));
    assert_eq!(run("up")["$mcst"], "counted");
    memcached.assert_holds("n=>5", 0, "14");
    assert_eq!(run("down")["$mcst"], "counted");
    memcached.assert_holds("n=>5", 0, "11");
    memcached.assert_expires_in("n=>5", 100);
    assert_eq!(run("touch")["$mcst"], "touched");
    memcached.assert_expires_in("n=>5", 1000);
    assert_eq!(run("read")["$mcinc($hdr(X))"], 11);
    assert_eq!(run("delete")["$mcst"], "deleted");
    assert!(memcached.is_empty());
}

#[test]
fn an_arrow_inside_parentheses_belongs_to_the_key() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .module("htable")
        .param_of("htable", "htable", "t=>size=4;")
        .script(
            "store",
            r#"
            $sht(t=>entry) = "from-the-table";
            $mct($sht(t=>entry)) = 1;
            $mct($sht(t=>entry)=>60) = 2;
            $mct($(hdr(X){s.replace,=>,-}) => 70) = 3;
            "#,
            &["$mcst"],
        )
        .start();
    kamailio.run_with("store", Request::options().header("X", "a=>b"));
    assert_eq!(memcached.keys(), [&b"a-b"[..], b"from-the-table"]);
    memcached.assert_holds("from-the-table", 0, "2");
    memcached.assert_expires_in("from-the-table", 60);
    memcached.assert_holds("a-b", 0, "3");
    memcached.assert_expires_in("a-b", 70);
}

#[test]
fn variables_are_expanded_anywhere_in_the_key() {
    let memcached = Memcached::start();
    store(&memcached, "user:$rU:$(hdr(X){s.toupper})-$$", "abc");
    assert_eq!(only_key(&memcached), "user:store:ABC-$");
}

#[test]
fn blanks_around_the_parts_are_of_no_account() {
    let memcached = Memcached::start();
    store(&memcached, " $hdr(X)  =>\t60 ", "key");
    assert_eq!(only_key(&memcached), "key");
    memcached.assert_expires_in("key", 60);
}

#[test]
fn one_equals_sign_or_one_bracket_cuts_nothing() {
    let memcached = Memcached::start();
    store(&memcached, "a=b>c", "");
    assert_eq!(only_key(&memcached), "a=b>c");
}

#[test]
fn a_single_word_is_a_key_whatever_it_means_elsewhere() {
    let memcached = Memcached::start();
    store(&memcached, "servers", "");
    assert_eq!(only_key(&memcached), "servers");
}

#[test]
fn keys_in_utf_8_go_out_as_they_are() {
    let memcached = Memcached::start();
    store(&memcached, "jürgen:$hdr(X)", "Пётр");
    assert_eq!(only_key(&memcached), "jürgen:Пётр");
}

#[test]
fn keys_that_are_no_utf_8_go_out_as_they_are() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .script("store", "$mct($hdr(X)) = 1;", &["$mct($hdr(X))"])
        .start();
    let request = Request::options().header("X", b"caf\xe9\xff");
    let answer = kamailio.run_with("store", request);
    assert_eq!(answer["$mct($hdr(X))"], 1);
    assert_eq!(memcached.keys(), [b"caf\xe9\xff"]);
}

#[test]
fn a_null_inside_a_key_reads_null() {
    let memcached = Memcached::start();
    store(&memcached, "a:$avp(none):$hdr(Not-There)", "");
    assert_eq!(only_key(&memcached), "a:<null>:<null>");
}

/// The digests are what `md5sum` says of the same bytes.
#[test]
fn keys_are_folded_from_250_bytes_on() {
    let memcached = Memcached::start();
    let long = "k".repeat(249);
    store(&memcached, "$hdr(X)", &long);
    assert_eq!(only_key(&memcached), long);
    memcached.remove(&long);
    store(&memcached, &format!("{long}k"), "");
    assert_eq!(only_key(&memcached), "932f7b7f3c7159821f6b6723f618263f");
    memcached.remove("932f7b7f3c7159821f6b6723f618263f");
    store(&memcached, "$hdr(X)$hdr(X)", &"k".repeat(125));
    assert_eq!(only_key(&memcached), "932f7b7f3c7159821f6b6723f618263f");
}

#[test]
fn very_long_keys_are_folded_too() {
    let memcached = Memcached::start();
    let header = "0123456789".repeat(900);
    let answer = store(&memcached, "$hdr(X)$hdr(X)$hdr(X)$hdr(X)$hdr(X)", &header);
    assert_eq!(answer["$mcst"], "stored");
    assert_eq!(only_key(&memcached), "b2a7f0f6fade6742b4a53996ace8cae8");
}

#[test]
fn a_key_beyond_all_measure_is_refused() {
    let memcached = Memcached::start();
    // Newer hosts take no more than 32 KiB in one message.
    let name = "$hdr(X)".repeat(5);
    let answer = store(&memcached, &name, &"k".repeat(30_000));
    assert_eq!(answer["$mcst"], "refused");
    assert!(memcached.is_empty());
}

#[test]
fn keys_with_blanks_are_folded() {
    let memcached = Memcached::start();
    store(&memcached, "$hdr(X)", "a b");
    assert_eq!(only_key(&memcached), "0cc9cd4dd26c5137b675a0d819cb9ab0");
    memcached.remove("0cc9cd4dd26c5137b675a0d819cb9ab0");
    store(&memcached, "a b", "");
    assert_eq!(only_key(&memcached), "0cc9cd4dd26c5137b675a0d819cb9ab0");
}

#[test]
fn an_empty_key_is_refused_by_every_operation() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .script("read", "", &["$mct($hdr(X))", "$mcst"])
        .script("store", "$mct($hdr(X)) = 1;", &["$mcst"])
        .script("delete", "$mct($hdr(X)) = $null;", &["$mcst"])
        .script("up", "$mcinc($hdr(X)) = 1;", &["$mcst"])
        .script("down", "$mcdec($hdr(X)) = 1;", &["$mcst"])
        .script("touch", "$mctex($hdr(X)) = 1;", &["$mcst"])
        .start();
    for script in ["read", "store", "delete", "up", "down", "touch"] {
        let answer = kamailio.run_with(script, Request::options().header("X", ""));
        assert_eq!(answer["$mcst"], "refused", "{script}");
    }
    assert!(memcached.is_empty());
    assert!(kamailio.log().contains("the key is empty"));
}

#[test]
fn names_that_make_no_sense_are_refused_at_configuration_time() {
    let nonsense = [
        ("=>5", "no key"),
        (" => 5", "no key"),
        ("k=>60s", "'60s'"),
        ("k=>1.5", "'1.5'"),
        ("k=>abc", "'abc'"),
        ("k=>-5", "'-5'"),
        ("k=>+5", "'+5'"),
        ("k=>0x10", "'0x10'"),
        ("k=>6 0", "'6 0'"),
        ("$hdr(X)=>60s", "'60s'"),
        ("a=>b=>c", "'a'"),
        ("a=>5=>6", "'a'"),
        ("a=>b=>c=>5", "too many '=>'"),
    ];
    for (name, fault) in nonsense {
        for variable in ["mct", "mcinc", "mcdec", "mctex"] {
            let statement = format!("${variable}({name}) = 1;");
            let check = Kamailio::builder().script("run", &statement, &[]).check();
            assert!(!check.ok, "{statement} is accepted");
            let ours = check
                .output
                .lines()
                .find(|line| line.contains(" memcached ["));
            let ours = ours.unwrap_or_else(|| panic!("no line of ours:\n{}", check.output));
            for part in ["ERROR: ", name, fault, "accepted: "] {
                assert!(ours.contains(part), "no {part:?} in {ours}");
            }
            let whole = format!("${variable}({name})");
            assert!(check.output.contains(&whole), "{}", check.output);
        }
    }
}

#[test]
fn names_that_make_sense_pass_the_check() {
    let good = [
        "k",
        "k=>60",
        "k=>0",
        "k=>",
        "k => 60 ",
        "k=>$var(t)",
        "$mct(a)",
        "$mct(a=>5)=>6",
    ];
    let statements = good.map(|name| format!("$mct({name}) = 1;")).concat();
    let check = Kamailio::builder().script("run", &statements, &[]).check();
    assert!(check.ok, "{}", check.output);
}
