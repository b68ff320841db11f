//! What reaches all parts of a value.

use super::{PART, Site, assert_same, status};

#[test]
fn touching_reaches_all_parts() {
    let site = Site::start();
    let kamailio = site.builder().param("expire", 100).start();
    site.offer(2 * PART);
    kamailio.run("copy");
    assert_eq!(kamailio.run("touch")["$mcst"], "touched");
    for key in ["k", "~1k/0", "~1k/1"] {
        let told = site.split.command(format!("mg {key} t\r\n"));
        let told = String::from_utf8_lossy(&told).into_owned();
        let left = told.trim().strip_prefix("HD t").map(str::parse::<u32>);
        assert!(matches!(left, Some(Ok(4900..))), "{key}: {told}");
    }
    kamailio.run("delete");
    assert_eq!(kamailio.run("touch")["$mcst"], "miss");
    assert_eq!(kamailio.run("delete")["$mcst"], "miss");
}

#[test]
fn invalidating_reaches_all_parts() {
    const ALL: [&str; 4] = ["k", "~1k/0", "~1k/1", "~1k/2"];
    let is_gone = |site: &Site| ALL.iter().all(|key| site.split.item(key).is_none());
    for protocol in ["meta", "classic"] {
        let site = Site::start();
        let invalidate = |seconds| format!("mct_invalidate(\"k\", {seconds});");
        let kamailio = site
            .builder()
            .param("protocol", protocol)
            .script("outdate", &invalidate(5000), &["$mcst"])
            .script("remove", &invalidate(0), &["$mcst"])
            .start();
        site.offer(2_500_000);
        kamailio.run("copy");
        if protocol == "meta" {
            assert_eq!(status(&kamailio.run("outdate")), "touched");
            for key in ALL {
                site.split.assert_expires_in(key, 5000);
            }
            assert_same(&kamailio);
            kamailio.run("copy");
        }
        assert_eq!(status(&kamailio.run("remove")), "deleted", "{protocol}");
        assert!(is_gone(&site), "{protocol}");
        kamailio.run("copy");
        assert_eq!(site.parts().len(), 3);
        if protocol == "classic" {
            assert_eq!(status(&kamailio.run("outdate")), "deleted");
            assert!(is_gone(&site));
        }
    }
}
