use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::queue::MAX_LOOKUPS;

const LONG: Duration = Duration::from_secs(10);

/// A system that knows the names that begin with `n`, panics at `panic`, and keeps a thread that
/// looks a name up which begins with `hang` until [`Self::release`].
struct Fake {
    /// How many lookups are under way, and how many have been at most.
    now: AtomicUsize,
    most: AtomicUsize,
    names: Mutex<Vec<String>>,
    hanging: Mutex<Receiver<()>>,
    release: Sender<()>,
    /// How many threads can still be started.
    threads: AtomicUsize,
}

impl Fake {
    fn new() -> Arc<Self> {
        let (release, hanging) = channel();
        Arc::new(Self {
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            names: Mutex::default(),
            hanging: Mutex::new(hanging),
            release,
            threads: AtomicUsize::new(usize::MAX),
        })
    }

    /// So many of the lookups that hang end, now or later.
    fn release(&self, count: usize) {
        (0..count).for_each(|_| self.release.send(()).unwrap());
    }

    /// The names that were looked up, sorted.
    fn names(&self) -> Vec<String> {
        let mut names = self.names.lock().unwrap().clone();
        names.sort();
        names
    }
}

impl Platform for Fake {
    fn look_up(&self, name: &str) -> Vec<IpAddr> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        self.names.lock().unwrap().push(name.to_owned());
        match name {
            "panic" => panic!("a fault of the resolver"),
            hangs if hangs.starts_with("hang") => self.hanging.lock().unwrap().recv().unwrap(),
            _ => {}
        }
        self.now.fetch_sub(1, Ordering::SeqCst);
        let known = name.starts_with('n');
        known.then(|| [10, 0, 0, 1].into()).into_iter().collect()
    }

    fn start(&self, work: Work) -> io::Result<()> {
        let left = self.threads.load(Ordering::SeqCst);
        let Some(left) = left.checked_sub(1) else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        self.threads.store(left, Ordering::SeqCst);
        std::thread::Builder::new().spawn(work).map(drop)
    }
}

fn resolver() -> (Resolver, Arc<Fake>) {
    let fake = Fake::new();
    (Resolver::new(Arc::clone(&fake) as Arc<dyn Platform>), fake)
}

fn asker(pool: usize) -> Asker {
    let address = Address::Unix("/any".into());
    Asker { pool, address }
}

/// Begins; where the addresses will come.
fn begin(resolver: &mut Resolver, name: &str) -> Receiver<Vec<IpAddr>> {
    begin_at(resolver, name, Moment::now())
}

fn begin_at(resolver: &mut Resolver, name: &str, now: Moment) -> Receiver<Vec<IpAddr>> {
    let (sender, receiver) = channel();
    resolver.begin(name, asker(0), now, move |found| {
        let _ = sender.send(found.to_vec());
    });
    receiver
}

#[test]
fn a_name_gets_its_addresses_and_others_get_none() {
    let mut resolver = Resolver::default();
    let known = begin(&mut resolver, "localhost");
    let unknown = begin(&mut resolver, "no-such-host.invalid");
    resolver.wait(LONG);
    let known = known.try_recv().unwrap();
    let loopback = known.iter().all(IpAddr::is_loopback);
    assert!(loopback && !known.is_empty(), "{known:?}");
    assert!(unknown.try_recv().is_err());
}

#[test]
fn a_hundred_names_are_looked_up_a_few_at_a_time() {
    let (mut resolver, fake) = resolver();
    let names: Vec<String> = (100..200).map(|number| format!("n{number}")).collect();
    let answers: Vec<_> = names
        .iter()
        .map(|name| begin(&mut resolver, name))
        .collect();
    resolver.wait(LONG);
    assert!(answers.iter().all(|answer| answer.try_recv().is_ok()));
    assert_eq!(fake.names(), names, "each once");
    let most = fake.most.load(Ordering::SeqCst);
    assert!((1..=MAX_LOOKUPS).contains(&most), "{most}");
}

/// Has that many names looked up that hang.
fn hang(resolver: &mut Resolver, count: usize) {
    for number in 0..count {
        let _ = begin(resolver, &format!("hang{number}"));
    }
}

#[test]
fn lookups_that_hang_leave_the_other_places_to_others() {
    let (mut resolver, fake) = resolver();
    hang(&mut resolver, MAX_LOOKUPS - 1);
    for number in 0..20 {
        let answer = begin(&mut resolver, &format!("n{number}"));
        assert!(answer.recv_timeout(LONG).is_ok(), "{number}");
    }
    hang(&mut resolver, MAX_LOOKUPS);
    let waits = begin(&mut resolver, "n-last");
    fake.release(1);
    assert!(waits.recv_timeout(LONG).is_ok());
    fake.release(MAX_LOOKUPS - 1);
    resolver.wait(LONG);
    assert_eq!(fake.names().len(), 20 + MAX_LOOKUPS + 1);
    assert!(fake.most.load(Ordering::SeqCst) <= MAX_LOOKUPS);
}

#[test]
fn lookups_that_never_end_give_their_places_back() {
    let (mut resolver, fake) = resolver();
    hang(&mut resolver, MAX_LOOKUPS);
    let soon = begin(&mut resolver, "n1");
    let late = Moment::now() + Duration::from_secs(31);
    let later = begin_at(&mut resolver, "n2", late);
    assert!(soon.recv_timeout(LONG).is_ok());
    assert!(later.recv_timeout(LONG).is_ok());
    fake.release(MAX_LOOKUPS);
    resolver.wait(LONG);
}

#[test]
fn waiting_ends_with_the_last_answer_or_with_its_time() {
    let (mut resolver, fake) = resolver();
    let start = Moment::now();
    resolver.wait(LONG);
    let hangs = begin(&mut resolver, "hang");
    resolver.wait(Duration::ZERO);
    assert!(hangs.try_recv().is_err());
    fake.release(1);
    resolver.wait(LONG);
    assert!(Moment::now().since(start) < LONG, "not a moment longer");
    assert!(hangs.recv().is_err(), "it has no addresses");
    let (start, time) = (Moment::now(), Duration::from_millis(20));
    hang(&mut resolver, 1);
    resolver.wait(time);
    assert!(Moment::now().since(start) >= time);
    fake.release(1);
}

#[test]
fn a_name_whose_thread_cannot_be_started_stays_in_the_queue() {
    let (mut resolver, fake) = resolver();
    fake.threads.store(0, Ordering::SeqCst);
    let (first, second) = (begin(&mut resolver, "n1"), begin(&mut resolver, "n2"));
    let start = Moment::now();
    resolver.wait(LONG);
    assert!(
        Moment::now().since(start) < LONG,
        "there is nobody to wait for"
    );
    assert_eq!(fake.names(), [""; 0]);
    fake.threads.store(1, Ordering::SeqCst);
    let third = begin(&mut resolver, "n3");
    resolver.wait(LONG);
    for answer in [first, second, third] {
        assert!(answer.try_recv().is_ok(), "one thread is enough");
    }
    fake.threads.store(0, Ordering::SeqCst);
    let fourth = begin(&mut resolver, "n4");
    fake.threads.store(1, Ordering::SeqCst);
    resolver.wait(LONG);
    assert!(fourth.try_recv().is_ok(), "who waits starts threads, too");
    fake.threads.store(0, Ordering::SeqCst);
    let fifth = begin(&mut resolver, "n5");
    fake.threads.store(1, Ordering::SeqCst);
    resolver.go_on(Moment::now());
    assert!(fifth.recv_timeout(LONG).is_ok(), "and so does each tick");
}

#[test]
fn after_a_fork_all_begins_anew_and_nobody_waits_for_the_old_lock() {
    let (mut resolver, fake) = resolver();
    let parents = Arc::clone(&resolver.threads);
    let parents_answer = {
        // A thread that the fork left behind held the lock.
        let _held = parents.queue();
        resolver.process = sys::process().wrapping_add(1);
        resolver.wait(LONG);
        let answer = begin(&mut resolver, "n1");
        resolver.wait(LONG);
        answer
    };
    assert!(parents_answer.try_recv().is_ok());
    assert_eq!(fake.names(), ["n1"]);
    assert!(!Arc::ptr_eq(&parents, &resolver.threads));
}

#[test]
fn two_servers_of_one_name_are_answered_by_one_lookup() {
    let (mut resolver, fake) = resolver();
    hang(&mut resolver, MAX_LOOKUPS);
    let (sender, answers) = channel();
    for pool in [0, 1, 1] {
        let sender = sender.clone();
        resolver.begin("n1", asker(pool), Moment::now(), move |_| {
            sender.send(pool).unwrap();
        });
    }
    fake.release(MAX_LOOKUPS);
    resolver.wait(LONG);
    assert_eq!(answers.try_iter().collect::<Vec<_>>(), [0, 1]);
    let n1 = fake.names().iter().filter(|name| *name == "n1").count();
    assert_eq!(n1, 1);
}

#[test]
fn a_lookup_that_panics_is_over_and_its_name_may_be_asked_for_again() {
    let (mut resolver, fake) = resolver();
    for _ in 0..2 {
        let answer = begin(&mut resolver, "panic");
        resolver.wait(LONG);
        assert!(answer.try_recv().is_err());
    }
    assert_eq!(fake.names(), ["panic", "panic"]);
}
