//! More calls than workers, and code that is replaced under them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gateway::functions::InvokeError;
use serde_json::{Value, json};

use super::{Bench, processes};

/// Answers with its process id after a while.
const WORKS: &str = r"
while True:
    id, event, _ = next()
    time.sleep(event['seconds'])
    respond(id, os.getpid())
";

/// Counts workers, without their keepers, until it is told to stop; the most that there were at once.
fn count_workers(mark: &str, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<usize> {
    let (mark, stop) = (mark.to_owned(), Arc::clone(stop));
    std::thread::spawn(move || {
        let mut most = 0;
        while !stop.load(Ordering::Relaxed) {
            let is_keeper = |line: &&String| line.contains("function-keeper");
            let all = processes(&mark);
            most = most.max(all.iter().filter(|line| !is_keeper(line)).count());
            std::thread::sleep(Duration::from_millis(20));
        }
        most
    })
}

#[tokio::test]
async fn two_hundred_calls_at_once_share_the_workers_there_may_be() {
    let bench = Bench::start();
    let mut function = bench.provided("f", WORKS);
    function.max_workers = Some(4);
    bench.host.put(function);
    let stop = Arc::default();
    let counter = count_workers(&bench.mark, &stop);
    let calls = (0..200).map(|_| bench.outcome("f", json!({"seconds": 0.02})));
    let outcomes = futures_util::future::join_all(calls).await;
    stop.store(true, Ordering::Relaxed);
    let most = counter.join().unwrap();
    assert!(outcomes.iter().all(Value::is_number), "{outcomes:?}");
    let workers: HashSet<String> = outcomes.iter().map(Value::to_string).collect();
    assert_eq!(workers.len(), 4, "each worker had its share");
    assert!((1..=4).contains(&most), "{most} at once");
    bench.end().await;
}

#[tokio::test]
async fn calls_that_get_no_worker_in_time_are_told_and_the_queue_is_bounded() {
    let bench = Bench::start();
    let mut function = bench.provided("f", WORKS);
    function.max_workers = Some(1);
    bench.host.put(function);
    bench.outcome("f", json!({"seconds": 0})).await;
    let first = bench.call("f", json!({"seconds": 4}));
    let wait = Duration::from_secs(2);
    let others = (0..1100).map(|_| bench.call_within("f", json!({"seconds": 0}), wait));
    let (first, others) = futures_util::join!(first, futures_util::future::join_all(others));
    assert!(first.is_ok());
    let count = |error: InvokeError| {
        others
            .iter()
            .filter(|outcome| **outcome == Err(error.clone()))
            .count()
    };
    assert_eq!(
        (count(InvokeError::TimedOut), count(InvokeError::Busy)),
        (1024, 76)
    );
    assert!(bench.outcome("f", json!({"seconds": 0})).await.is_number());
    bench.end().await;
}

#[tokio::test]
async fn replaced_code_ends_what_it_began_and_new_calls_get_the_new() {
    let bench = Bench::start();
    let code = |answer: &str| {
        format!(
            "while True:\n    id, event, _ = next()\n    time.sleep(event)\n    respond(id, '{answer}')\n"
        )
    };
    let mut old = bench.provided("f", &code("old"));
    old.max_workers = Some(2);
    bench.host.put(old);
    assert_eq!(bench.outcome("f", json!(0)).await, json!("old"));
    let slow = bench.outcome("f", json!(3));
    let replaced = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        bench.host.put(bench.provided("f", &code("new")));
        let begun = tokio::time::Instant::now();
        let new = bench.outcome("f", json!(0)).await;
        (new, begun.elapsed())
    };
    let (slow, (new, after)) = futures_util::join!(slow, replaced);
    assert_eq!((slow, new), (json!("old"), json!("new")));
    assert!(
        after < Duration::from_millis(2400),
        "the new code did not wait for the old: {after:?}"
    );
    // One keeper and one worker of the new code.
    bench.processes_become(2).await;
    bench.end().await;
}

#[tokio::test]
async fn a_worker_without_a_call_is_stopped() {
    let bench = Bench::with(|settings| settings.idle_timeout = Duration::from_millis(700));
    bench.host.put(bench.provided("f", WORKS));
    assert!(bench.outcome("f", json!({"seconds": 0})).await.is_number());
    assert_eq!(bench.processes().len(), 2);
    bench.processes_become(0).await;
    assert!(bench.outcome("f", json!({"seconds": 0})).await.is_number());
    bench.end().await;
}

#[tokio::test]
async fn a_host_that_stops_ends_calls_and_processes() {
    let bench = Bench::start();
    let mut function = bench.provided("f", WORKS);
    function.max_workers = Some(1);
    bench.host.put(function);
    bench.outcome("f", json!({"seconds": 0})).await;
    let running = bench.call("f", json!({"seconds": 30}));
    let waiting = bench.call("f", json!({"seconds": 0}));
    let stop = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        bench.host.stop().await;
        assert_eq!(bench.processes(), Vec::<String>::new());
    };
    let (running, waiting, ()) = futures_util::join!(running, waiting, stop);
    let error = running.unwrap().outcome.unwrap_err();
    assert_eq!(error.error_type, "Runtime.ExitError");
    assert_eq!(waiting, Err(InvokeError::Stopped));
    assert_eq!(bench.call("f", json!({})).await, Err(InvokeError::Stopped));
    bench.end().await;
}

#[tokio::test]
async fn a_host_that_stops_does_not_wait_for_a_function_that_was_removed() {
    let bench = Bench::start();
    bench.host.put(bench.provided("f", WORKS));
    bench.outcome("f", json!({"seconds": 0})).await;
    let running = bench.call("f", json!({"seconds": 60}));
    let stop = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        bench.host.remove("f");
        let limit = Duration::from_secs(8);
        let stopped = tokio::time::timeout(limit, bench.host.stop()).await;
        assert!(stopped.is_ok(), "it waits for the call");
    };
    let (running, ()) = futures_util::join!(running, stop);
    assert!(running.unwrap().outcome.is_err());
    bench.end().await;
}
