//! Pools step by step; calls are words, times are milliseconds.

use super::*;

struct Bench {
    pool: Pool<&'static str>,
    start: Instant,
}

#[allow(
    clippy::disallowed_methods,
    reason = "some instant is needed to count from"
)]
fn bench(limit: usize) -> Bench {
    Bench {
        pool: Pool::new(terms(limit)),
        start: Instant::now(),
    }
}

fn terms(limit: usize) -> Terms {
    Terms {
        limit,
        idle: Duration::from_mins(1),
    }
}

fn error() -> FunctionError {
    FunctionError::new("Runtime.Broken", "it does not load")
}

/// Actions as words.
fn words(actions: Vec<Action<&'static str>>) -> String {
    let word = |action| match action {
        Action::Start(id) => format!("start {id}"),
        Action::Give(id, call) => format!("give {id} {call}"),
        Action::Stop(id) => format!("stop {id}"),
        Action::Refuse(call, Undone::Late) => format!("late {call}"),
        Action::Refuse(call, Undone::Full) => format!("full {call}"),
        Action::Refuse(call, Undone::Init(_)) => format!("init {call}"),
        Action::Refuse(call, Undone::Stopped) => format!("stopped {call}"),
    };
    let words: Vec<_> = actions.into_iter().map(word).collect();
    words.join(", ")
}

impl Bench {
    fn at(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    fn call(&mut self, call: &'static str, at: u64) -> String {
        let deadline = self.at(at) + Duration::from_secs(29);
        words(self.pool.call(call, deadline, self.at(at)))
    }

    fn ready(&mut self, id: WorkerId, at: u64) -> String {
        words(self.pool.ready(id, self.at(at)))
    }

    fn answered(&mut self, id: WorkerId, at: u64) -> String {
        words(self.pool.answered(id, self.at(at)))
    }

    fn fail(&mut self, id: WorkerId, at: u64) -> String {
        words(self.pool.gone(id, Gone::Init(error()), self.at(at)))
    }

    fn gone(&mut self, id: WorkerId, at: u64) -> String {
        words(self.pool.gone(id, Gone::Other, self.at(at)))
    }

    fn tick(&mut self, at: u64) -> String {
        words(self.pool.tick(self.at(at)))
    }

    fn wakes_at(&self) -> Option<u64> {
        let wake = self.pool.wake()?;
        Some(u64::try_from((wake - self.start).as_millis()).unwrap())
    }
}

#[test]
fn a_worker_is_started_for_a_call_and_used_again() {
    let mut bench = bench(2);
    assert_eq!(bench.call("a", 0), "start 0");
    assert_eq!(bench.ready(0, 10), "give 0 a");
    assert_eq!(bench.ready(0, 20), "");
    assert_eq!(bench.call("b", 30), "give 0 b");
    assert_eq!(bench.call("c", 40), "start 1");
    assert_eq!(bench.ready(0, 50), "give 0 c");
    assert_eq!(bench.ready(1, 60), "");
}

#[test]
fn who_has_just_answered_is_waited_for_a_moment() {
    let mut bench = bench(2);
    bench.call("a", 0);
    bench.ready(0, 0);
    assert_eq!(bench.answered(0, 10), "");
    assert_eq!(bench.wakes_at(), None);
    assert_eq!(bench.call("b", 11), "");
    assert_eq!(bench.ready(0, 12), "give 0 b");
    assert_eq!(bench.answered(0, 20), "");
    assert_eq!(bench.call("c", 21), "");
    assert_eq!(bench.call("d", 21), "start 1", "for one of two");
    assert_eq!(bench.ready(1, 30), "give 1 c");
    assert_eq!(bench.wakes_at(), Some(70));
    assert_eq!(bench.answered(1, 69), "");
    assert_eq!(bench.tick(70), "", "worker 1 will do");
    assert_eq!(bench.ready(1, 71), "give 1 d");
    assert_eq!(bench.answered(1, 72), "");
    bench.call("e", 72);
    assert_eq!(bench.gone(1, 73), "start 2");
}

#[test]
fn calls_over_the_limit_wait_in_order() {
    let mut bench = bench(2);
    assert_eq!(bench.call("a", 0), "start 0");
    assert_eq!(bench.call("b", 0), "start 1");
    assert_eq!(bench.call("c", 0), "");
    assert_eq!(bench.call("d", 0), "");
    assert_eq!((bench.pool.waiting(), bench.pool.workers()), (4, 2));
    assert_eq!(bench.ready(1, 10), "give 1 a");
    assert_eq!(bench.ready(0, 10), "give 0 b");
    assert_eq!(bench.ready(1, 20), "give 1 c");
    assert_eq!(bench.gone(0, 20), "start 2");
    assert_eq!(bench.ready(2, 30), "give 2 d");
}

#[test]
fn whoever_gets_no_worker_in_time_is_told() {
    let mut bench = bench(1);
    bench.call("a", 0);
    bench.ready(0, 0);
    bench.call("b", 1000);
    assert_eq!(bench.wakes_at(), Some(30_000));
    assert_eq!(bench.tick(29_999), "");
    assert_eq!(bench.tick(30_000), "late b");
    assert_eq!(bench.wakes_at(), None);
}

#[test]
fn the_queue_is_bounded() {
    let mut bench = bench(1);
    for _ in 0..MAX_WAITING {
        bench.call("a", 0);
    }
    assert_eq!(bench.call("z", 0), "full z");
    assert_eq!(bench.pool.waiting(), MAX_WAITING);
}

#[test]
fn idle_workers_are_stopped_the_one_that_worked_last_at_last() {
    let mut bench = bench(2);
    bench.call("a", 0);
    bench.call("b", 0);
    bench.ready(0, 0);
    bench.ready(1, 0);
    bench.ready(0, 10);
    bench.ready(1, 20);
    assert_eq!(bench.wakes_at(), Some(60_010));
    assert_eq!(bench.call("c", 30), "give 1 c");
    assert_eq!(bench.tick(60_010), "stop 0");
    assert_eq!(bench.call("d", 60_011), "", "worker 0 still lives");
    assert_eq!(bench.gone(0, 60_012), "start 2");
}

#[test]
fn a_function_that_does_not_load_is_tried_for_each_call_and_then_less_often() {
    let mut bench = bench(2);
    assert_eq!(bench.call("a", 0), "start 0");
    assert_eq!(bench.call("b", 0), "start 1");
    assert_eq!(bench.call("c", 0), "");
    assert_eq!(bench.call("d", 0), "");
    assert_eq!(bench.fail(0, 10), "init a");
    assert_eq!(bench.fail(1, 10), "init b, init c, init d");
    assert_eq!(bench.call("e", 100), "init e", "within the pause");
    assert_eq!(bench.wakes_at(), None);
    assert_eq!(
        bench.call("f", 210),
        "start 2",
        "after two failures: 200 ms"
    );
    assert_eq!(bench.fail(2, 220), "init f");
    assert_eq!(bench.call("g", 619), "init g");
    assert_eq!(bench.call("h", 620), "start 3");
    assert_eq!(bench.ready(3, 630), "give 3 h");
    bench.call("i", 640);
    assert_eq!(bench.fail(4, 650), "init i");
    assert_eq!(bench.call("j", 700), "", "worker 3 will be free");
    assert_eq!(bench.wakes_at(), Some(750), "and a start is tried");
    assert_eq!(bench.tick(750), "start 5");
}

#[test]
fn pauses_grow_up_to_a_limit() {
    let check = |failures, millis| assert_eq!(pause(failures).as_millis(), millis, "{failures}");
    check(1, 100);
    check(2, 200);
    check(7, 6400);
    check(8, 10_000);
    check(u32::MAX, 10_000);
}

#[test]
fn replaced_code_ends_its_calls_and_begins_none() {
    let mut bench = bench(2);
    bench.call("a", 0);
    bench.ready(0, 0);
    bench.call("b", 0);
    bench.call("c", 0);
    let replaced = bench.pool.replace(terms(1), bench.at(10));
    assert_eq!(words(replaced), "stop 1, start 2", "worker 0 is at a");
    assert_eq!(bench.ready(2, 20), "give 2 b");
    assert_eq!(bench.ready(0, 20), "stop 0");
    assert_eq!(bench.gone(0, 20), "");
    assert_eq!(bench.fail(1, 20), "", "what the old code failed at");
    assert_eq!(bench.ready(2, 30), "give 2 c");
}

#[test]
fn at_the_end_nothing_waits() {
    let mut bench = bench(1);
    bench.call("a", 0);
    bench.ready(0, 0);
    bench.call("b", 0);
    assert_eq!(words(bench.pool.close(false)), "stopped b");
    assert_eq!(words(bench.pool.close(true)), "stop 0");
    assert_eq!(bench.ready(0, 10), "stop 0");
    assert_eq!(bench.gone(0, 10), "");
}
