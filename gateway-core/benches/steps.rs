//! What each pure step on the way of a message costs: `cargo bench -p gateway-core`. Compare figures of one machine and
//! one hour only.
#![allow(missing_docs, reason = "criterion's macros define public items")]

#[path = "shared/calls.rs"]
mod calls;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gateway_core::auth::sigv4::{EXECUTE_API, SignedRequest, payload_hash, verify};
use gateway_core::mapping::build;

use calls::{EXPRESSIONS, NOW, aws_proxy, call, connection, credentials, http_proxy, mapped};
use calls::{message, signed_headers, stage};

/// The shortest chat message, a usual one, and AWS's largest.
const LENGTHS: [usize; 3] = [91, 1024, 128 * 1024];

fn select_route(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("select route");
    let connection = connection();
    for (name, expression) in EXPRESSIONS {
        let stage = stage(expression, http_proxy());
        for length in LENGTHS {
            let body = message(length);
            let text = std::str::from_utf8(&body).expect("text");
            group.throughput(Throughput::Bytes(length as u64));
            group.bench_function(BenchmarkId::new(name, length), |bencher| {
                bencher.iter(|| {
                    stage
                        .select_message(&connection, black_box(Some(text)))
                        .is_ok()
                });
            });
        }
    }
}

fn build_request(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build request");
    let connection = connection();
    for (name, integration) in [
        ("HTTP_PROXY", http_proxy()),
        ("HTTP_PROXY, four parameters", mapped()),
        ("AWS_PROXY", aws_proxy()),
    ] {
        let stage = stage(EXPRESSIONS[0].1, integration);
        for length in LENGTHS {
            let body = message(length);
            let call = call(&connection, &body);
            group.bench_function(BenchmarkId::new(name, length), |bencher| {
                bencher.iter(|| {
                    build(
                        &stage,
                        &stage.integrations[0],
                        black_box(&call),
                        "http://callback",
                    )
                    .is_ok()
                });
            });
        }
    }
}

fn verify_signature(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("verify sigv4");
    let path = "/dev/@connections/AQEBAQEBAgICAgICAgICAgICAgICAgI=";
    for length in LENGTHS {
        let body = message(length);
        let headers = signed_headers(path, &payload_hash(&body));
        let headers: Vec<(&str, &[u8])> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        group.bench_function(BenchmarkId::new("POST", length), |bencher| {
            bencher.iter(|| {
                let request = SignedRequest {
                    method: "POST",
                    path,
                    query: "",
                    headers: &headers,
                    payload_hash: &payload_hash(black_box(&body)),
                };
                let verified = verify(&request, &|_| Some(credentials()), NOW, EXECUTE_API);
                verified.expect("a good signature")
            });
        });
    }
}

criterion_group! {
    name = steps;
    config = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = select_route, build_request, verify_signature
}
criterion_main!(steps);
