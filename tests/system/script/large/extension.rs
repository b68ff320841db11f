//! Text that is put beside a large value, and counting where one is.

use support::Request;

use super::*;

/// With scripts that put a text beside the value, and that count.
fn site() -> (Site, Kamailio) {
    let site = Site::start();
    let builder = site
        .builder()
        .script("count", "mct_inc(\"k\", \"1\", \"$var(n)\");", &["$mcst"])
        .script(
            "create",
            "mct_dec(\"k\", \"1\", \"$var(n)\", \"5\", \"60\");",
            &["$mcst"],
        );
    let extending = |builder: Builder, verb: &str| {
        let statement = format!("mct_{verb}(\"k\", \"$hdr(X-Text)\");");
        builder.script(verb, &statement, &["$mcst"])
    };
    let kamailio = ["append", "prepend"]
        .into_iter()
        .fold(builder, extending)
        .start();
    (site, kamailio)
}

fn extend(kamailio: &Kamailio, verb: &str, text: &str) -> String {
    let text = Request::options().header("X-Text", text);
    status(&kamailio.run_with(verb, text))
}

#[test]
fn text_is_put_beside_a_value_in_parts_and_its_lifetime_stays() {
    let (site, kamailio) = site();
    assert_eq!(extend(&kamailio, "append", "x"), "not_stored");
    let value = site.offer(2 * PART);
    assert_eq!(kamailio.run("copy")["$mcst"], "stored");
    assert_eq!(kamailio.run("touch")["$mcst"], "touched");
    assert_eq!(extend(&kamailio, "append", "more"), "stored");
    assert_eq!(extend(&kamailio, "prepend", "before"), "stored");
    let extended = [b"before", &value[..], b"more"].concat();
    site.whole.put("k", 1, 0, &extended);
    assert_same(&kamailio);
    let flags = site.split.item("k").expect("stored").flags - SPLIT;
    assert_eq!(site.parts(), [(flags, PART), (flags, PART), (flags, 10)]);
    for key in ["k", "~1k/0", "~1k/2"] {
        site.split.assert_expires_in(key, 5000);
    }
    kamailio.assert_nothing_logged();
}

#[test]
fn a_value_that_gets_too_long_for_one_item_is_stored_in_parts_from_then_on() {
    let (site, kamailio) = site();
    let value = site.offer(PART - 1);
    assert_eq!(kamailio.run("copy")["$mcst"], "stored");
    assert_eq!(extend(&kamailio, "append", "x"), "stored");
    assert!(site.parts().is_empty());
    assert_eq!(extend(&kamailio, "append", "y"), "stored");
    assert_eq!(site.parts().len(), 2);
    site.whole.put("k", 1, 0, [&value[..], b"xy"].concat());
    assert_same(&kamailio);
    kamailio.assert_nothing_logged();
}

#[test]
fn a_value_in_parts_is_no_number() {
    let (site, kamailio) = site();
    site.offer(2 * PART);
    assert_eq!(kamailio.run("create")["$mcst"], "counted");
    assert_eq!(kamailio.run("count")["$mcst"], "counted");
    assert_eq!(site.split.text("k").as_deref(), Some("6"));
    assert_eq!(kamailio.run("copy")["$mcst"], "stored");
    for counting in ["count", "create"] {
        assert_eq!(kamailio.run(counting)["$mcst"], "not_a_number");
        assert_same(&kamailio);
    }
}
