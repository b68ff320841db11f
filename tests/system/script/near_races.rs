//! Eight readers and writers of a few keys, each with its own connections and one near cache for all, as
//! Kamailio's workers have them: nobody reads what was written over, deleted or counted before.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use kamailio_memcached::internals::{
    Cache, Found, Given, Numbers, Parameters, Shared, Status, Table, Value,
};
use support::Memcached;

const WORKERS: usize = 8;
const KEYS: usize = 50;
/// Of each worker.
const OPERATIONS: usize = 125_000;

/// A key, and what is known of it.
#[derive(Default)]
struct Item {
    /// Who writes it, one at a time; the number of the last write.
    writer: Mutex<u64>,
    /// The number of the last write that was acknowledged.
    acknowledged: AtomicU64,
    /// The number of the last write that was begun.
    begun: AtomicU64,
}

impl Item {
    /// Writes the next number, or deletes the item.
    fn write(&self, cache: &mut Cache, key: &str) {
        let key = cache.key(0, key.as_bytes(), b"").unwrap();
        let mut number = self.writer.lock().unwrap();
        *number += 1;
        self.begun.store(*number, Ordering::SeqCst);
        let status = match deletes(*number) {
            true => Status::of(&cache.delete(&key)),
            false => Status::of(&cache.assign(&key, Value::Integer(*number as i64))),
        };
        let good = [Status::Stored, Status::Deleted, Status::Miss];
        assert!(good.contains(&status), "{status}");
        self.acknowledged.store(*number, Ordering::SeqCst);
    }

    /// What is read was written by the last acknowledged write or a later one.
    fn read(&self, cache: &mut Cache, key: &str) {
        let key = cache.key(0, key.as_bytes(), b"").unwrap();
        let least = self.acknowledged.load(Ordering::SeqCst);
        let read = cache.get(&key, &mut Vec::new()).unwrap();
        let most = self.begun.load(Ordering::SeqCst);
        match read.found() {
            Some(Found::Integer(number)) => {
                let number = number as u64;
                assert!((least..=most).contains(&number), "{number} after {least}");
            }
            Some(other) => panic!("{other:?}"),
            None => assert!(
                least == 0 || deletes_one(least, most),
                "nothing after {least}"
            ),
        }
    }
}

/// The writes that delete: every fifth.
fn deletes(number: u64) -> bool {
    number.is_multiple_of(5)
}

fn deletes_one(least: u64, most: u64) -> bool {
    (least..=most).any(deletes)
}

#[test]
fn nobody_reads_what_this_node_has_written_over() {
    let memcached = Memcached::start();
    let mut parameters = Parameters::default();
    let servers = Given::Text(memcached.address());
    parameters.set("servers", servers).unwrap();
    // Nothing is over while the test runs, and no server out: there is no prober.
    for name in ["near_expire", "timeout", "stall_limit"] {
        parameters.set(name, Given::Number(3_600_000)).unwrap();
    }
    let pools = parameters.settle();
    let shared = Shared::private(1);
    // Fewer places than keys.
    let table = Table::private(shared[0].near(), 40);
    let items: [Item; KEYS] = std::array::from_fn(|_| Item::default());
    // The host makes them one after the other, too: it forks.
    let caches = std::array::from_fn::<_, WORKERS, _>(|_| {
        let mut cache = Cache::new(pools.clone(), Numbers::Bits64, shared);
        cache.keep_near(vec![table]);
        cache
    });
    let work = |worker: usize, mut cache: Cache| {
        for round in 0..OPERATIONS {
            // Some keys are used much more than others.
            let mixed = (round * 2_654_435_761 + worker * 40_503) >> 7;
            let at = (mixed % KEYS).min((mixed >> 8) % KEYS);
            let (item, key) = (&items[at], format!("key-{at}"));
            if (mixed >> 3).is_multiple_of(10) {
                item.write(&mut cache, &key);
            } else {
                item.read(&mut cache, &key);
            }
        }
    };
    let work = &work;
    thread::scope(|scope| {
        for (worker, cache) in caches.into_iter().enumerate() {
            scope.spawn(move || work(worker, cache));
        }
    });
    let near_hits = shared[0].stats().near_hits.value();
    assert!(near_hits > 100_000, "{near_hits} reads asked nobody");
}
