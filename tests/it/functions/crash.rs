//! Functions that crash, hang, flood and lie: each has the documented outcome, and no process is left.

use std::time::Duration;

use gateway::functions::{FunctionEvent, InvokeError};
use harness::Table;
use serde_json::{Value, json};

use super::{Bench, error, shown};

#[tokio::test]
async fn each_misdeed_of_a_call_has_its_outcome_and_the_next_call_is_served() {
    let bench = Bench::start();
    let mut function = bench.provided(
        "f",
        r#"
while True:
    id, event, _ = next()
    do = event.get("do")
    if do == "exit": sys.exit(event["code"])
    if do == "signal": os.kill(os.getpid(), event["signal"])
    if do == "hang": time.sleep(600)
    if do == "error": fail(id, {"errorType": "Odd", "errorMessage": "m"}); continue
    if do == "error type": fail(id, {}, {"Lambda-Runtime-Function-Error-Type": "Function.Odd"}); continue
    if do == "garbage": ask("POST", f"/runtime/invocation/{id}/response", "<html>"); continue
    if do == "nothing": ask("POST", f"/runtime/invocation/{id}/response", ""); continue
    if do == "large": respond(id, "x" * 7_000_000); continue
    if do == "limit": respond(id, "x" * (6_291_556 - 2)); continue
    if do == "answer and exit": respond(id, "answered"); sys.exit(7)
    if do == "close": os.close(1); os.close(2)
    if do == "noise": socket.create_connection(ADDRESS.split(":")).sendall(b"\0\1nonsense\r\n\r\n")
    respond(id, "fine")
"#,
    );
    function.timeout = Duration::from_secs(4);
    function.max_workers = Some(1);
    bench.host.put(function);
    let mut table = Table::about("what a function does to a call");
    let exited = |how: &str| {
        let message = format!("RequestId: <id> Error: Runtime exited with error: {how}");
        error("Runtime.ExitError", &message)
    };
    for (event, expected) in [
        (json!({"do": "exit", "code": 3}), exited("exit status 3")),
        (
            json!({"do": "exit", "code": 0}),
            error(
                "Runtime.ExitError",
                "RequestId: <id> Error: Runtime exited without providing a reason",
            ),
        ),
        (
            json!({"do": "signal", "signal": 9}),
            exited("signal: killed"),
        ),
        (
            json!({"do": "signal", "signal": 11}),
            exited("signal: segmentation fault"),
        ),
        (
            json!({"do": "hang"}),
            error(
                "Sandbox.Timedout",
                "RequestId: <id> Error: Task timed out after 4.00 seconds",
            ),
        ),
        (json!({"do": "error"}), error("Odd", "m")),
        (json!({"do": "error type"}), json!({"error": {}})),
        (json!({"do": "garbage"}), json!("<html>")),
        (json!({"do": "nothing"}), json!("")),
        (
            json!({"do": "large"}),
            error(
                "Function.ResponseSizeTooLarge",
                "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
            ),
        ),
        (json!({"do": "answer and exit"}), json!("answered")),
        (json!({"do": "close"}), json!("fine")),
        (json!({"do": "noise"}), json!("fine")),
    ] {
        let name = event.to_string();
        table.row(&name, bench.outcome("f", event).await, expected);
        let after = format!("the call after {name}");
        table.row(&after, bench.outcome("f", json!({})).await, json!("fine"));
    }
    let full = bench.outcome("f", json!({"do": "limit"})).await;
    table.row(
        "a result of the largest size",
        full.as_str().map(str::len),
        Some(6_291_554),
    );
    let odd = bench.call("f", json!({"do": "error type"})).await.unwrap();
    table.row(
        "the type in the header",
        odd.outcome.unwrap_err().error_type,
        "Function.Odd",
    );
    drop(table);
    bench.end().await;
}

#[tokio::test]
async fn a_function_that_does_not_load_fails_its_calls_and_is_not_started_again_and_again() {
    let patient = Bench::start();
    let hurried = Bench::with(|settings| settings.init_timeout = Duration::from_secs(1));
    let mut table = Table::about("what a function does while it loads");
    let exited = |how: &str| {
        error(
            "Runtime.ExitError",
            &format!("Runtime exited with error: {how}"),
        )
    };
    for (name, code, expected) in [
        ("exits", "sys.exit(5)", exited("exit status 5")),
        (
            "is-killed",
            "os.kill(os.getpid(), 9)",
            exited("signal: killed"),
        ),
        (
            "hangs",
            "time.sleep(600)",
            error("Sandbox.Timedout", "Init timed out after 1.00 seconds"),
        ),
        (
            "says-why",
            r#"ask("POST", "/runtime/init/error", json.dumps({"errorType": "Runtime.Mine", "errorMessage": "m"}))"#,
            error("Runtime.Mine", "m"),
        ),
        (
            "says-why-and-hangs",
            r#"ask("POST", "/runtime/init/error", json.dumps({"errorType": "Runtime.Mine", "errorMessage": "m"})); time.sleep(600)"#,
            error("Runtime.Mine", "m"),
        ),
    ] {
        let bench = if name == "hangs" { &hurried } else { &patient };
        bench.host.put(bench.provided(name, &format!("{code}\n")));
        let mut events = bench.host.watch();
        // All of them end, though only some had a process.
        let calls = (0..30).map(|_| bench.outcome(name, json!({})));
        let outcomes = futures_util::future::join_all(calls).await;
        let mut outcomes: Vec<Value> = outcomes.into_iter().map(without_id).collect();
        outcomes.dedup();
        table.row(name, outcomes, vec![expected]);
        let mut failures = 0;
        while let Ok(event) = events.try_recv() {
            failures += usize::from(matches!(event, FunctionEvent::InitFailed { .. }));
        }
        table.holds(
            name,
            (1..10).contains(&failures),
            &format!("{failures} starts for 30 calls"),
        );
    }
    drop(table);
    for bench in [patient, hurried] {
        bench.processes_become(0).await;
        bench.end().await;
    }
}

/// What failed before there was a call has an id of its own.
fn without_id(mut outcome: Value) -> Value {
    if let Some(message) = outcome["error"]["errorMessage"].as_str()
        && let Some((_, rest)) = message.split_once(" Error: ")
    {
        outcome["error"]["errorMessage"] = json!(rest);
    }
    outcome
}

#[tokio::test]
async fn a_function_that_could_not_load_is_tried_again() {
    let bench = Bench::start();
    let flag = bench.folder.path().join("flag");
    let code = format!(
        "if not os.path.exists({:?}): sys.exit(1)\nwhile True:\n    id, _, _ = next()\n    respond(id, 'up')\n",
        flag.display().to_string()
    );
    bench.host.put(bench.provided("f", &code));
    assert!(bench.outcome("f", json!({})).await["error"].is_object());
    std::fs::write(&flag, "").unwrap();
    harness::eventually("a call that is served", async || {
        (bench.outcome("f", json!({})).await == json!("up")).then_some(())
    })
    .await;
    bench.end().await;
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let bench = Bench::start();
    let mut table = Table::about("functions that cannot be started");
    let mut gone = bench.provided("gone", "");
    gone.code = bench.folder.path().join("nowhere");
    let empty = bench.function("empty", "provided", "", &[("README", "nothing")]);
    let plain = bench.function(
        "plain",
        "provided",
        "",
        &[("bootstrap", "#!/nowhere/interpreter\n")],
    );
    let stiff = bench.function("stiff", "provided", "", &[("bootstrap.txt", "x")]);
    std::fs::rename(
        stiff.code.join("bootstrap.txt"),
        stiff.code.join("bootstrap"),
    )
    .unwrap();
    let mut other = bench.node("other", "");
    other
        .environment
        .insert("WIREGATE_NODE".to_owned(), "/nowhere/node".to_owned());
    let mut python = bench.function("python", "python3.12", "app.handler", &[("app.py", "")]);
    python
        .environment
        .insert("WIREGATE_PYTHON".to_owned(), "/nowhere/python".to_owned());
    for (function, part) in [
        (gone, "there is no folder"),
        (empty, "Couldn't find valid bootstrap(s)"),
        (plain, "bootstrap: No such file or directory"),
        (stiff, "is not executable: chmod +x"),
        (other, "/nowhere/node: No such file or directory"),
        (python, "/nowhere/python"),
    ] {
        let name = function.name.clone();
        bench.host.put(function);
        let outcome = bench.outcome(&name, json!({})).await;
        table.row(
            &name,
            &outcome["error"]["errorType"],
            &json!("Runtime.InvalidEntrypoint"),
        );
        let message = outcome["error"]["errorMessage"]
            .as_str()
            .unwrap_or_default();
        table.holds(&name, message.contains(part), message);
    }
    drop(table);
    bench.end().await;
}

#[tokio::test]
async fn what_a_function_forks_ends_with_it_wherever_it_went() {
    let bench = Bench::start();
    let fork = r"
def away():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            time.sleep(600)
        os._exit(0)
    os.wait()
";
    for (name, end, calls) in [
        ("exits", "sys.exit(1)", 1),
        ("hangs", "time.sleep(600)", 1),
        ("works", "respond(id, 'ok')", 2),
    ] {
        let code = format!(
            "{fork}while True:\n    id, event, _ = next()\n    away()\n    subprocess.Popen(['sleep', '600'])\n    {end}\n"
        );
        let mut function = bench.provided(name, &code);
        function.timeout = Duration::from_secs(3);
        function.max_workers = Some(1);
        bench.host.put(function);
        for _ in 0..calls {
            let _ = bench.call(name, json!({})).await;
        }
    }
    // Of the last: the keeper, its worker, and what two calls forked.
    bench.processes_become(2 + 4).await;
    bench.host.remove("works");
    bench.processes_become(0).await;
    bench.end().await;
}

#[tokio::test]
async fn late_answers_and_calls_without_callers_trouble_nobody() {
    let bench = Bench::start();
    let mut function = bench.provided(
        "f",
        r#"
while True:
    id, event, _ = next()
    if event.get("slow"): time.sleep(1.5)
    respond(id, event.get("slow", False))
"#,
    );
    function.max_workers = Some(1);
    bench.host.put(function);
    assert_eq!(bench.outcome("f", json!({})).await, json!(false));
    let wait = Duration::from_millis(300);
    let late = bench.call_within("f", json!({"slow": true}), wait).await;
    assert_eq!(late, Err(InvokeError::TimedOut));
    // The process is at it still: this one waits for it, and in vain.
    let queued = bench.call_within("f", json!({}), wait).await;
    assert_eq!(queued, Err(InvokeError::TimedOut));
    assert_eq!(bench.outcome("f", json!({})).await, json!(false));
    bench.processes_become(2).await;
    bench.end().await;
}

#[tokio::test]
async fn megabytes_of_log_are_read_and_the_tail_is_kept() {
    let bench = Bench::start();
    let mut events = bench.host.watch();
    bench.host.put(bench.provided(
        "f",
        r#"
while True:
    id, event, _ = next()
    for n in range(event["lines"]): print("line", n, "x" * event["width"])
    print("the last", end="", flush=True)
    print("to stderr", file=sys.stderr, flush=True)
    sys.stdout.flush()
    respond(id, "ok")
"#,
    ));
    for event in [
        json!({"lines": 50_000, "width": 100}),
        json!({"lines": 20, "width": 500_000}),
    ] {
        let invoked = bench.call("f", event).await.unwrap();
        assert_eq!(shown(&invoked), json!("ok"));
        let tail = String::from_utf8_lossy(&invoked.log_tail);
        assert_eq!(invoked.log_tail.len(), 4096);
        let id = &invoked.request_id;
        assert!(
            tail.contains(&format!(
                "END RequestId: {id}\nREPORT RequestId: {id}\tDuration: "
            )),
            "{tail}"
        );
        assert!(tail.contains("the last\n"), "{tail}");
    }
    let short = bench
        .call("f", json!({"lines": 1, "width": 1}))
        .await
        .unwrap();
    let tail = String::from_utf8_lossy(&short.log_tail).into_owned();
    let id = &short.request_id;
    assert!(
        tail.starts_with(&format!("START RequestId: {id} Version: $LATEST\n")),
        "{tail}"
    );
    for line in ["line 0 x\n", "the last\n", "to stderr\n"] {
        assert!(tail.contains(line), "{line}: {tail}");
    }
    bench.host.stop().await;
    // A line carries the call that it belongs to. Most of them were left out, or missed by this slow watcher.
    let mut lines = 0;
    loop {
        match events.try_recv() {
            Ok(FunctionEvent::Line { request_id, .. }) => {
                lines += 1;
                assert!(request_id.is_some());
            }
            Ok(_) | Err(tokio::sync::broadcast::error::TryRecvError::Lagged(_)) => {}
            Err(_) => break,
        }
    }
    assert!((1..20_000).contains(&lines), "{lines} lines");
    bench.end().await;
}

#[tokio::test]
async fn a_worker_does_not_outlive_its_keeper() {
    let bench = Bench::start();
    let code =
        "while True:\n    id, event, _ = next()\n    time.sleep(event)\n    respond(id, 'ok')\n";
    let mut function = bench.provided("f", code);
    function.max_workers = Some(1);
    bench.host.put(function);
    assert_eq!(bench.outcome("f", json!(0)).await, json!("ok"));
    let slow = bench.outcome("f", json!(15));
    let end = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let processes = bench.processes();
        let keeper = processes
            .iter()
            .find(|line| line.contains("function-keeper"));
        let keeper = keeper.and_then(|line| line.split(' ').next()).unwrap();
        let killed = std::process::Command::new("sh")
            .args(["-c", &format!("kill -KILL {keeper}")])
            .status();
        assert!(killed.is_ok_and(|status| status.success()));
    };
    let (slow, ()) = futures_util::join!(slow, end);
    let message = "RequestId: <id> Error: Runtime exited with error: signal: killed";
    assert_eq!(slow, error("Runtime.ExitError", message));
    assert_eq!(bench.outcome("f", json!(0)).await, json!("ok"));
    bench.processes_become(2).await;
    bench.end().await;
}
