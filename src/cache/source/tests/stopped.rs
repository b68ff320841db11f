//! In a process that has run no operation for a while.

use super::*;

/// It may have been stopped since the list had one server.
#[test]
fn a_process_that_has_an_old_list_removes_what_the_stand_in_of_the_new_one_has() {
    let mut pair = Pair::new(ALWAYS, &[MISSING], &["DELETED\r\n"]);
    let key = pair.key();
    let owner = pair.cache.pools()[0].owner_of(&key.wire).unwrap().clone();
    let specs = |cache: &Cache| -> Vec<_> {
        let members = cache.pools()[0].members().iter();
        members.map(|member| member.spec().clone()).collect()
    };
    let both = specs(&pair.cache);
    let one: Vec<_> = both
        .iter()
        .filter(|it| it.address == owner)
        .cloned()
        .collect();
    let publish = |cache: &Cache, list: &[_]| {
        let pool = &cache.pools()[0];
        pool.publish(pool.list_version(), list).unwrap();
    };
    publish(&pair.cache, &one);
    pair.cache.refresh();
    assert_eq!(specs(&pair.cache).len(), 1);
    publish(&pair.cache, &both);
    assert_eq!(pair.call(Verb::Delete, &[]).status, Status::Deleted);
    assert_eq!(pair.said(), [["delete k|"], ["delete k|"]]);
}
