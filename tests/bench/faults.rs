//! Measures what it costs when a memcached stops answering: `make bench-faults`.
//!
//! Ours and the stock module go through the same outages at the same time. Each has four workers
//! and its own memcached, which is stopped by a signal and continued, and then killed and started
//! again. Then ours alone, with five memcacheds and two copies of each item, loses one of them while all workers
//! read. The table goes to standard output and to `bench/faults.md` in the target folder.

mod lost;
mod pair;
mod run;
mod table;

use std::fmt::Write;
use std::time::{Duration, Instant};
use std::{io, thread};

use support::sip::Pending;

use lost::{Lost, STALL_LIMIT};
use pair::Pair;
use table::{Table, number};

/// The stock module needs 80 s at most.
const LIMIT: Duration = Duration::from_secs(300);

/// The time between two requests that do not use the cache.
const BYSTANDERS: Duration = Duration::from_millis(50);

/// The number of gets that are sent right after the server was stopped.
const AT_ONCE: usize = 12;

/// The results. All times are in ms.
struct Figures {
    bystander: f64,
    ten: f64,
    later: f64,
    recovery: f64,
    recovery_restarted: f64,
    /// The number of failed operations among the first ones after a restart.
    lost: f64,
    lines: f64,
    /// The number of operations that failed while the lines were logged.
    failed: f64,
}

fn main() -> io::Result<()> {
    run::end_after(LIMIT);
    let with_ours = run::has_module();
    let (ours, stock) = thread::scope(|scope| {
        let ours = with_ours.then(|| scope.spawn(|| measure(&Pair::start(false))));
        let stock = scope.spawn(|| measure(&Pair::start(true)));
        let ours = ours.map(|thread| thread.join().expect("ours is measured"));
        (ours, stock.join().expect("the C module is measured"))
    });
    let lost = with_ours.then(lost::measure);
    run::publish("faults.md", &page(ours.as_ref(), &stock, lost.as_ref()))
}

fn measure(pair: &Pair) -> Figures {
    // After this, every worker has its connection.
    pair.recovery(Instant::now());

    let lines = || pair.kamailio.log().lines().count();
    let quiet = lines();
    pair.memcached.pause();
    let mut bystanders: Vec<Pending> = Vec::new();
    pair.gets(AT_ONCE, || {
        bystanders.push(pair.bystander());
        thread::sleep(BYSTANDERS);
    });
    let bystander = bystanders
        .into_iter()
        .map(|pending| pair.answered(pending))
        .max();
    let first = pair.later(1);
    // If one operation takes seconds, a hundred of them show nothing new.
    let further = if first < Duration::from_millis(100) {
        100
    } else {
        0
    };
    let later = pair.later(further).max(first);
    pair.memcached.resume();
    let (recovery, failed) = pair.recovery(Instant::now());
    let failed = failed + AT_ONCE + 1 + further;
    let lines = lines() - quiet;

    pair.memcached.pause();
    let ten = pair.ten();
    pair.memcached.resume();
    let (again, _) = pair.recovery(Instant::now());

    pair.memcached.kill();
    // The first operation finds a closed connection, the next ones a closed port.
    for _ in 0..3 {
        pair.sweep();
    }
    pair.memcached.restart();
    let restarted = Instant::now();
    pair.put();
    let (recovery_restarted, _) = pair.recovery(restarted);

    pair.memcached.restart();
    pair.put();
    let sweep = pair.sweep();

    Figures {
        bystander: ms(bystander.unwrap_or_default()),
        ten: ms(ten),
        later: ms(later),
        recovery: ms(recovery.max(again)),
        recovery_restarted: ms(recovery_restarted),
        lost: count(sweep.asked - sweep.hits),
        lines: count(lines),
        failed: count(failed),
    }
}

fn page(ours: Option<&Figures>, stock: &Figures, lost: Option<&Lost>) -> String {
    type Figure = fn(&Figures) -> f64;
    let rows: [(&str, f64, Figure); 7] = [
        ("longest wait of a request without cache, ms", 300.0, |f| {
            f.bystander
        }),
        ("ten gets in one request, ms", 1100.0, |f| f.ten),
        ("slowest later operation, ms", 0.05, |f| f.later),
        ("recovery after a stop, ms", 1300.0, |f| f.recovery),
        ("recovery after a restart, ms", 1300.0, |f| {
            f.recovery_restarted
        }),
        ("first operations lost after a restart, of four", 0.0, |f| {
            f.lost
        }),
        ("log lines of an outage", 5.0, |f| f.lines),
    ];
    let mut table = Table::new(&["figure", "to reach", "ours", "C", ""]);
    let mut row = |what: &str, limit: f64, ours: Option<f64>, stock: Option<f64>| {
        let decimals = if limit.fract() > 0.0 { 3 } else { 0 };
        let verdict = match ours.map(|ours| ours <= limit) {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "–",
        };
        table.row(vec![
            what.into(),
            format!("≤ {limit}"),
            number(ours, decimals),
            number(stock, decimals),
            verdict.into(),
        ]);
    };
    for (what, limit, figure) in rows {
        row(what, limit, ours.map(figure), Some(figure(stock)));
    }
    let stall = ms(STALL_LIMIT);
    type OfLost = fn(&Lost) -> f64;
    let two_copies: [(&str, f64, OfLost); 4] = [
        (
            "two copies, one of five servers killed: reads that failed",
            0.0,
            |it| count(it.killed.failed),
        ),
        ("the longest of these reads, ms", 1.2 * stall, |it| {
            ms(it.killed.longest)
        }),
        (
            "two copies, one of five servers stopped: reads that failed",
            0.0,
            |it| count(it.stopped.failed),
        ),
        ("the longest of these reads, ms", stall + 20.0, |it| {
            ms(it.stopped.longest)
        }),
    ];
    for (what, limit, figure) in two_copies {
        row(what, limit, lost.map(figure), None);
    }
    let failed = [ours.map(|ours| ours.failed), Some(stock.failed)];
    let [ours, stock] = failed.map(|failed| number(failed, 0));
    let mut page = format!(
        "# A memcached that stops answering\n\nFour workers, `timeout=1000`, {AT_ONCE} gets at \
         once.\n\n{table}"
    );
    writeln!(
        page,
        "\nOperations behind the log lines: {ours} (ours), {stock} (C)."
    )
    .expect("a string takes all");
    if let Some(Lost { killed, stopped }) = lost {
        let (killed, stopped) = (killed.count, stopped.count);
        writeln!(
            page,
            "\nReads while a server was killed: {killed}; while one was stopped: {stopped}."
        )
        .expect("a string takes all");
    }
    page
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).expect("a small number"))
}
