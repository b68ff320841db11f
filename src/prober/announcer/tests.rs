use super::*;
use crate::config::{Given, Parameters};
use crate::health::{Health, Judgement, Origin, Overdue, Rules};
use crate::item::value::Numbers;
use crate::server::parse_list;
use crate::shared::Shared;

fn origin(health: &Health, began: Moment) -> Origin {
    Origin {
        process: 7,
        generation: health.generation(),
        began,
        is_kept_out: false,
        ends: began + Duration::from_secs(5),
    }
}

const RULES: Rules = Rules {
    inactive_threshold: 1,
    probing_threshold: 2,
};

/// All pieces of an event's data.
const FIELDS: [Field; 6] = [
    Field::Server,
    Field::Alias,
    Field::Pool,
    Field::State,
    Field::Reason,
    Field::Downtime,
];

/// An announcer on a clock of the test's own, which stands still unless moved.
struct Node {
    cache: Cache,
    announcer: Announcer,
    now: Moment,
}

impl Node {
    /// The pools `default` with a and b (alias bee), and `calls` with a.
    fn new() -> Self {
        let mut parameters = Parameters::default();
        let servers = Given::Text("a:1, b:2 bee");
        parameters.set("servers", servers).unwrap();
        let pool = Given::Text("name=calls;servers=a:1");
        parameters.set("pool", pool).unwrap();
        Self {
            cache: Cache::new(parameters.settle(), Numbers::Bits64, Shared::private(2)),
            announcer: Announcer::default(),
            // Later than what the pools have noted as their start.
            now: Moment::now() + Duration::from_secs(10),
        }
    }

    fn health(&self, pool: usize, member: usize) -> &'static Health {
        self.cache.pools()[pool].members()[member].health()
    }

    fn fail(&self, pool: usize, member: usize, why: Status) {
        let health = self.health(pool, member);
        let failed = health.failed(self.now, origin(health, self.now), why, RULES);
        assert!(matches!(failed, Judgement::Changed(_)));
    }

    fn wait(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
    }

    /// The events of a look, one a line.
    fn look(&mut self) -> Vec<String> {
        let events = self.announcer.look(&mut self.cache, self.now);
        let words = |event: &Event| {
            let field = |field| match event.field(field) {
                Value::Integer(number) => number.to_string(),
                Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
            };
            let fields = FIELDS.map(field).join(" ");
            match event.kind {
                EventKind::Down => format!("server-down {fields}"),
                EventKind::Up => format!("server-up {fields}"),
            }
        };
        events.iter().map(words).collect()
    }
}

#[test]
fn nothing_is_announced_while_nothing_happens() {
    let mut node = Node::new();
    for _ in 0..3 {
        assert!(node.look().is_empty());
        node.wait(50);
    }
}

#[test]
fn a_failure_and_the_return_are_announced_once_each() {
    let mut node = Node::new();
    assert!(node.look().is_empty());
    node.fail(0, 1, Status::Down);
    node.wait(40);
    assert_eq!(node.look(), ["server-down b:2 bee default inactive down 0"]);
    node.wait(3_000);
    assert!(node.look().is_empty());
    node.health(0, 1).set(node.now, State::Active);
    node.wait(40);
    assert_eq!(node.look(), ["server-up b:2 bee default active down 3"]);
    assert!(node.look().is_empty());
}

#[test]
fn an_operator_s_decision_has_no_reason() {
    let mut node = Node::new();
    node.health(0, 0).set(node.now, State::Disabled);
    assert_eq!(node.look(), ["server-down a:1  default disabled  0"]);
    node.wait(999);
    node.health(0, 0).set(node.now, State::Active);
    assert_eq!(node.look(), ["server-up a:1  default active  0"]);
}

#[test]
fn what_is_down_does_not_go_down_again() {
    let mut node = Node::new();
    node.fail(0, 0, Status::Garbled);
    assert_eq!(node.look().len(), 1);
    node.wait(1_000);
    node.health(0, 0).set(node.now, State::Disabled);
    assert!(node.look().is_empty(), "an operator agrees");
    node.wait(1_000);
    node.health(0, 0).set(node.now, State::Active);
    assert_eq!(node.look(), ["server-up a:1  default active garbled 2"]);
}

#[test]
fn a_stall_that_is_answered_is_no_event() {
    let mut node = Node::new();
    let health = node.health(0, 0);
    assert!(matches!(
        health.overdue(node.now, origin(health, node.now)),
        Overdue::WaitOn(_)
    ));
    assert!(node.look().is_empty());
    node.wait(300);
    let by = origin(health, node.now);
    assert!(health.clear(node.now, by).is_some());
    assert!(node.look().is_empty());
    assert!(matches!(
        health.overdue(node.now, origin(health, node.now)),
        Overdue::WaitOn(_)
    ));
    assert!(node.look().is_empty());
    node.fail(0, 0, Status::Timeout);
    assert_eq!(node.look(), ["server-down a:1  default inactive timeout 0"]);
}

#[test]
fn a_server_that_is_returning_is_not_up_yet() {
    let mut node = Node::new();
    node.fail(0, 0, Status::Down);
    assert_eq!(node.look().len(), 1);
    let health = node.health(0, 0);
    for bad in [None, Some(Status::Timeout), None] {
        node.wait(1_000);
        assert!(
            health
                .probed(node.now, origin(health, node.now), bad, RULES)
                .is_some()
        );
        assert!(node.look().is_empty(), "after a probe that was {bad:?}");
    }
    node.wait(1_000);
    health.probed(node.now, origin(health, node.now), None, RULES);
    assert_eq!(node.look(), ["server-up a:1  default active down 4"]);
}

#[test]
fn what_begins_and_ends_between_two_looks_is_no_event() {
    let mut node = Node::new();
    node.look();
    node.fail(0, 0, Status::Down);
    node.health(0, 0).set(node.now, State::Active);
    assert!(node.look().is_empty());
    node.fail(0, 0, Status::Down);
    assert_eq!(node.look().len(), 1);
    node.wait(5_000);
    node.health(0, 0).set(node.now, State::Active);
    node.fail(0, 0, Status::Down);
    assert!(node.look().is_empty(), "one outage that goes on");
    node.wait(5_000);
    node.health(0, 0).set(node.now, State::Active);
    assert_eq!(node.look(), ["server-up a:1  default active down 10"]);
}

#[test]
fn each_pool_has_its_own_verdict_on_a_server() {
    let mut node = Node::new();
    node.fail(1, 0, Status::Down);
    assert_eq!(node.look(), ["server-down a:1  calls inactive down 0"]);
    node.fail(0, 0, Status::Down);
    node.fail(0, 1, Status::Timeout);
    let both = [
        "server-down a:1  default inactive down 0",
        "server-down b:2 bee default inactive timeout 0",
    ];
    assert_eq!(node.look(), both);
}

#[test]
fn what_is_out_before_the_first_look_is_announced_with_it() {
    let mut node = Node::new();
    node.fail(0, 0, Status::Down);
    node.wait(2_000);
    assert_eq!(node.look().len(), 1);
    node.health(0, 0).set(node.now, State::Active);
    assert_eq!(node.look(), ["server-up a:1  default active down 2"]);
}

#[test]
fn a_moment_that_lags_behind_the_state_does_not_make_an_outage_longer() {
    let mut node = Node::new();
    node.look();
    let long_ago = Moment::from_nanos(1);
    let health = node.health(0, 0);
    let by = origin(health, Moment::now());
    let failed = health.failed(long_ago, by, Status::Down, RULES);
    assert!(matches!(failed, Judgement::Changed(_)));
    node.wait(1_000);
    assert_eq!(node.look().len(), 1);
    node.wait(1_000);
    node.health(0, 0).set(long_ago, State::Active);
    assert_eq!(node.look(), ["server-up a:1  default active down 1"]);
}

#[test]
fn a_server_that_leaves_the_list_is_forgotten() {
    let mut node = Node::new();
    let publish = |node: &Node, list: &str| {
        let list = parse_list(list).unwrap();
        let pool = &node.cache.pools()[0];
        pool.publish(pool.list_version(), &list).unwrap();
    };
    node.fail(0, 0, Status::Down);
    assert_eq!(node.look().len(), 1);
    publish(&node, "b:2 bee, c:3");
    assert!(node.look().is_empty());
    publish(&node, "b:2 bee, a:1");
    assert!(node.look().is_empty(), "it begins anew");
    node.fail(0, 0, Status::Down);
    publish(&node, "b:2:5 bumble, a:1");
    let renamed = ["server-down b:2 bumble default inactive down 0"];
    assert_eq!(node.look(), renamed);
}
