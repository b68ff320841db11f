use super::*;

#[test]
#[cfg_attr(miri, ignore = "uses a socket")]
fn a_variable_gets_the_page_and_the_last_status_stays() {
    let turn = Turn::without_server();
    assert_eq!(call("mct_metrics", &["$v"]), 1);
    let Held::Text(page) = turn.get('v') else {
        panic!("no text");
    };
    let page = String::from_utf8(page).unwrap();
    assert!(page.starts_with("# HELP kamailio_memcached_info "));
    assert!(page.contains("\nkamailio_memcached_pool_gets_total{pool=\"default\"} 0\n"));
    assert_eq!(status(), None);
}

#[test]
#[cfg_attr(miri, ignore = "uses a socket")]
fn without_a_variable_there_is_no_page() {
    let turn = Turn::without_server();
    assert!(ScriptCall::parse("mct_metrics", &[b"page"]).is_err());
    turn.complete_script();
    assert_eq!(call("mct_metrics", &["page"]), -3);
    let refused = process::with(|process| {
        let stats = process.cache.pools()[0].stats();
        stats.failures.of(Status::Refused)
    });
    assert_eq!(refused, Some(1));
    let lines = turn.lines();
    let [refused, called] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert!(refused.contains("mct_metrics, argument 1: "), "{refused}");
    assert!(called.contains("mct_metrics: refused: "), "{called}");
}
