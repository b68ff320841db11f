use super::super::Selection;
use super::super::servers::list;
use super::super::tests::cache;
use super::*;
use crate::config::{Given, Parameters};
use crate::item::value::Numbers;
use crate::shared::Shared;

#[test]
fn a_bad_file_changes_nothing() {
    let path = std::env::temp_dir().join(format!("reload-{}.list", std::process::id()));
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    write("a:1\nb:2\n");
    let mut cache = cache(&[("servers_file", path.to_str().unwrap())]);
    write("a:1\nb:nix\n");
    let refused = reload(&mut cache, None).unwrap_err().reason;
    let still = list(&mut cache, Selection::default()).unwrap().len();
    write("a:1\nb:2\nc:3\n");
    let reloaded = reload(&mut cache, Some("default"));
    let now = list(&mut cache, Selection::default()).unwrap().len();
    std::fs::remove_file(&path).unwrap();
    assert!(
        refused
            .starts_with("nothing changed: pool 'default': line 2: invalid port 'nix' in 'b:nix'"),
        "{refused}"
    );
    assert_eq!((still, now), (2, 3));
    assert_eq!(
        reloaded.unwrap(),
        [Reloaded {
            name: "default".into(),
            servers: 3
        }]
    );
}

#[test]
fn pools_without_a_file_have_nothing_to_reload() {
    let mut cache = cache(&[("servers", "a")]);
    assert!(
        reload(&mut cache, None)
            .unwrap_err()
            .reason
            .contains("no pool has a servers_file")
    );
    let refused = reload(&mut cache, Some("default")).unwrap_err().reason;
    assert!(
        refused.contains("pool 'default': it has no servers_file"),
        "{refused}"
    );
}

/// What a list of these servers is as a pool's file has it.
fn servers(list: &str) -> Vec<ServerSpec> {
    crate::server::parse_list(list).unwrap()
}

#[test]
fn a_file_is_read_again_when_another_process_has_published_meanwhile() {
    let mut cache = cache(&[("servers", "a:1")]);
    let pool = &cache.pools()[0];
    let other_publishes = |list: &str| {
        let servers = servers(list);
        pool.publish(pool.list_version(), &servers).unwrap();
    };
    let read = Read::new(pool, || Ok(servers("old:1"))).unwrap();
    other_publishes("other:1");
    assert_eq!(read.publish(pool, || Ok(servers("new:1,new:2"))), Ok(2));
    let read = Read::new(pool, || Ok(servers("old:1"))).unwrap();
    other_publishes("other:2");
    let why = read.publish(pool, || Err("it is gone".into()));
    assert_eq!(why, Err("it is gone".into()), "the file that counts is bad");
    let shown = list(&mut cache, Selection::default()).unwrap();
    assert_eq!(shown[0].address, "other:2");
}

#[test]
fn a_file_is_not_read_again_for_ever() {
    let cache = cache(&[("servers", "a:1")]);
    let pool = &cache.pools()[0];
    let times = std::cell::Cell::new(0);
    let read = || {
        let other = servers("other:1");
        pool.publish(pool.list_version(), &other).unwrap();
        times.set(times.get() + 1);
        // Published after the version was looked at: this is old news again.
        Ok(servers("old:1"))
    };
    let why = Read::new(pool, read).unwrap().publish(pool, read);
    assert!(why.unwrap_err().contains("try again"));
    assert_eq!(times.get(), ROUNDS + 1);
}

#[test]
fn two_reloads_at_once_end_with_the_newest_file() {
    let path = std::env::temp_dir().join(format!("reloads-{}.list", std::process::id()));
    let write = |number: usize| {
        let beside = path.with_extension("new");
        std::fs::write(&beside, format!("a:{number}\n")).unwrap();
        std::fs::rename(&beside, &path).unwrap();
    };
    write(1);
    let mut parameters = Parameters::default();
    let file = Given::Text(path.to_str().unwrap());
    parameters.set("servers_file", file).unwrap();
    let (settings, shared) = (parameters.settle(), Shared::private(1));
    let [mut one, mut other] =
        [settings.clone(), settings].map(|it| Cache::new(it, Numbers::Bits64, shared));
    let rounds = if cfg!(miri) { 2 } else { 300 };
    let both = std::sync::Barrier::new(2);
    // In each round one process reloads the file as the other one changes it and reloads it, too.
    let results: Vec<_> = thread::scope(|scope| {
        let other = scope.spawn(|| {
            let reloaded = (1..=rounds).map(|_| {
                both.wait();
                let reloaded = reload(&mut other, None);
                both.wait();
                reloaded
            });
            reloaded.collect::<Vec<_>>()
        });
        let reloaded = (1..=rounds).map(|number| {
            both.wait();
            write(number);
            let reloaded = reload(&mut one, None);
            both.wait();
            let (_, listed) = shared[0].list().unwrap_or_default();
            let newest = listed.first().map(|(_, server)| server.address.to_string());
            (reloaded, newest)
        });
        let reloaded: Vec<_> = reloaded.collect();
        reloaded.into_iter().zip(other.join().unwrap()).collect()
    });
    std::fs::remove_file(&path).unwrap();
    for (number, ((one, newest), other)) in (1..=rounds).zip(results) {
        assert!(one.is_ok() && other.is_ok(), "{number}: {one:?} {other:?}");
        assert_eq!(newest, Some(format!("a:{number}")));
    }
}
